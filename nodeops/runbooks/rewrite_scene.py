"""The facts of a rewrite as its planning asks for them: by server, for one target and one set of options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nodeops.model.facts import Attachment, Port, Server, ServerGroup, Storage
from nodeops.model.records import BindingRecord, NodeRecord, ServerRecord, VolumeRecord
from nodeops.model.rewriting import Bindings, RewriteFacts
from nodeops.plan import Json, Plan
from nodeops.runbooks.options import MoveOptions, options_json, options_of
from nodeops.runbooks.priority import Priority, rank
from nodeops.runbooks.scene import grouped

PARALLEL = 4
HOST_FREE = frozenset({"rbd", "nfs", "glusterfs", "quobyte", "vzstorage", "gpfs", "smbfs"})
"""Kinds of connection that are as good on another host: `terminate_connection` of their drivers is empty."""
RUNS_AGAIN = frozenset({"active", "error", "paused", "suspended"})
"""The vm_states whose guest is started on the target; the others have none that ran."""


@dataclass(frozen=True, slots=True)
class RewriteOptions:
    """Choices of a failover by the database; `move.to` is its one target."""

    move: MoveOptions = field(default_factory=lambda: MoveOptions(parallel=PARALLEL, canary=False))
    fenced_by: str = ""
    """How the operator knows that nothing runs there, in words; empty when the evidence has to say so."""
    priority: tuple[Priority, ...] = ()
    bindings: Bindings = Bindings.BOTH
    keep_attachments: bool = False
    """Leave volumes that any host can use as they are attached."""
    connector: str = ""
    """A file with the target's connector."""


def rewrite_json(options: RewriteOptions) -> dict[str, Json]:
    """The options as a plan keeps them."""
    said: dict[str, Json] = {
        "method": "database",
        "fenced_by": options.fenced_by,
        "priority": [str(each) for each in options.priority],
        "bindings": str(options.bindings),
        "keep_attachments": options.keep_attachments,
        "connector": options.connector,
    }
    return options_json(options.move) | said


def rewrite_options(plan: Plan) -> RewriteOptions:
    """The options a plan was made with; raises as `options_of` does."""
    said: Mapping[str, Any] = plan.options
    return RewriteOptions(
        move=options_of(plan),
        fenced_by=said["fenced_by"],
        priority=tuple(Priority.parse(each) for each in said["priority"]),
        bindings=Bindings(said["bindings"]),
        keep_attachments=said["keep_attachments"],
        connector=said["connector"],
    )


@dataclass(frozen=True)
class RewriteScene:
    """Facts and options, indexed."""

    facts: RewriteFacts
    options: RewriteOptions

    @property
    def source(self) -> NodeRecord:
        return self.facts.records.source

    @cached_property
    def target(self) -> NodeRecord:
        """One that is not in the database at all is told of by `not-one-node`."""
        known = self.facts.records.target
        return known or NodeRecord(self.facts.target.name, "", 0, "", "", "", "", nodes=0)

    @cached_property
    def servers(self) -> Mapping[str, Server]:
        return {server.id: server for server in self.facts.servers}

    @cached_property
    def records(self) -> Mapping[str, ServerRecord]:
        return {record.id: record for record in self.facts.records.servers}

    @cached_property
    def api_ports(self) -> Mapping[str, tuple[Port, ...]]:
        return grouped((port.server_id, port) for port in self.facts.ports or ())

    @cached_property
    def attachments(self) -> Mapping[tuple[str, str], tuple[Attachment, ...]]:
        """By server and volume."""
        known = self.facts.attachments or ()
        return grouped(((each.server_id, each.volume_id), each) for each in known)

    @cached_property
    def groups(self) -> Mapping[str, tuple[ServerGroup, ...]]:
        """By member's id."""
        return grouped((member, group) for group in self.facts.groups for member in group.members)

    @property
    def sees_bindings(self) -> bool:
        """Whether Neutron's database is there to be read."""
        return bool(self.facts.records.schema.neutron)

    def bindings(self, record: ServerRecord) -> tuple[BindingRecord, ...]:
        """ACTIVE ones of its compute ports; from the API where Neutron's database is not seen."""
        if self.sees_bindings:
            return tuple(each for each in record.bindings if each.of_compute and each.status == "ACTIVE")
        return tuple(
            BindingRecord(port.id, record.id, port.host, "ACTIVE", port.vnic_type, port.vif_type, "compute:")
            for port in self.api_ports.get(record.id, ())
        )

    def renewed(self, record: ServerRecord) -> tuple[VolumeRecord, ...]:
        """Volumes that are attached anew: all that need it, and unless told otherwise the others too."""
        others = self.facts.connector is not None and not self.options.keep_attachments
        return tuple(each for each in record.volumes if host_bound(each) or others)

    def held(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        """By provider of either host's tree."""
        return (self.facts.held or {}).get(server_id, {})

    def storage(self, host: str, server: Server) -> Storage:
        """Shared also where Placement counts the disk elsewhere than on the host."""
        known = self.facts.settings[host].storage if host in self.facts.settings else Storage.UNKNOWN
        here = self.held(server.id).get(self.source.uuid, {})
        counted = bool(here) and server.local_disk_gb > 0
        if known is Storage.UNKNOWN and counted and "DISK_GB" not in here:
            return Storage.SHARED
        return known

    def rank(self, server: Server) -> int:
        return rank(server, self.options.priority)

    def rewritten(self, record: ServerRecord) -> bool:
        """By an earlier part of this run: its row is on the target, with a tombstone that is ours."""
        if record.host != self.target.host or record.node != self.target.node:
            return False
        step = self.facts.earlier.get(f"rewrite-records:{record.id}")
        tombstone: Any = step.params.get("tombstone", {}) if step else {}
        uuids = {each.uuid for each in self.facts.records.tombstones if each.status in {"done", "completed"}}
        return isinstance(tombstone, Mapping) and tombstone.get("uuid") in uuids

    def sent(self, action: str, server_id: str) -> bool:
        return f"{action}:{server_id}" in self.facts.sent


def host_bound(volume: VolumeRecord) -> bool:
    """Whether its connection is good on one host only."""
    return volume.driver not in HOST_FREE
