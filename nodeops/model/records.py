"""What the databases of Nova and Neutron say of servers, and the few changes nodeops may make there.

The API is always the better way; these are for what it refuses, or when its services are gone. Who only
reads holds a `RecordsView`. Every write is one small transaction with compare-and-set: it is made only where
all rows are still as the caller says, and counts what it changed (`nova/db/main/api.py`, `_instance_update`,
works so).

Reads and writes raise `DatabaseError` (exit code 22) when the database does not answer, `ConfigurationError`
when none is configured, and writes raise `RecordsChangedError` when a row was not as expected: then nothing
was changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""A whole row as JSON can hold it; times as ISO 8601 with microseconds, no zone (UTC)."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Which tables these are; what is done depends on columns that exist, never on these names."""

    nova: str
    """`alembic_version` of the cell's database."""
    nova_api: str = ""
    neutron: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    """OpenStack releases with such a Nova schema, oldest first; empty: newer (or older) than any known."""
    has_compute_id: bool = False
    """`instances.compute_id`, since 2023.2."""

    @property
    def known(self) -> bool:
        return bool(self.releases)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A compute host as the database has it."""

    host: str
    node: str
    """`compute_nodes.hypervisor_hostname`."""
    compute_id: int
    uuid: str
    """The root resource provider in Placement."""
    host_ip: str
    hypervisor_type: str
    cell: str
    """UUID of its cell mapping."""
    nodes: int = 1
    """Compute nodes of this host; anything but 1 cannot be rewritten."""
    service_up: bool = True
    """Not disabled and not forced down; whether it is alive the API says."""


class BindingStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


@dataclass(frozen=True, slots=True)
class BindingRecord:
    """A row of `ml2_port_bindings` with its port."""

    port_id: str
    server_id: str
    host: str
    status: str
    vnic_type: str
    vif_type: str
    device_owner: str
    profile: str = ""
    levels: int = 0
    """Its rows of `ml2_port_binding_levels`."""

    @property
    def of_compute(self) -> bool:
        """Not a port of a router or of DHCP."""
        return self.device_owner.startswith("compute:")


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A live row of `block_device_mapping` with a volume."""

    mapping_id: int
    server_id: str
    volume_id: str
    attachment_id: str | None
    device: str
    boot_index: int | None
    driver: str
    """`driver_volume_type` of its connection info, such as rbd or iscsi; empty when it has none."""
    multiattach: bool = False


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A row of `instances` with what decides whether it can be rewritten."""

    id: str
    name: str
    host: str | None
    node: str | None
    compute_id: int | None
    vm_state: str
    task_state: str | None
    power_state: int
    zone: str
    cell: str
    """UUID of the cell its mapping names."""
    updated_at: str
    launched: bool = True
    pinned_zone: str | None = None
    """`availability_zone` of its request spec."""
    migration_context: bool = False
    """A resize that is not finished."""
    numa: bool = False
    """It has a NUMA topology: its cells, pinned CPUs and pages are those of the old host."""
    pci: bool = False
    """PCI requests or devices."""
    resources: bool = False
    """Persistent memory or the like claimed on the old host."""
    shares: bool = False
    """Manila shares."""
    open_migrations: tuple[str, ...] = ()
    """Of migrations that are not finished: `<type> <status>`."""
    volumes: tuple[VolumeRecord, ...] = ()
    bindings: tuple[BindingRecord, ...] = ()
    """Of its compute ports, on any host."""


@dataclass(frozen=True, slots=True)
class TombstoneRecord:
    """An `evacuation` migration: what makes nova-compute of the old host remove its copy when it starts."""

    uuid: str
    server_id: str
    source: str
    target: str
    status: str
    """`done` until the old host has cleaned up, then `completed`; `failed` when it was taken back."""


@dataclass(frozen=True, slots=True)
class HostRecords:
    """All that the checks before a rewrite ask; the number of queries does not grow with the servers."""

    schema: Schema
    source: NodeRecord
    target: NodeRecord | None
    servers: tuple[ServerRecord, ...]
    tombstones: tuple[TombstoneRecord, ...] = ()
    """With the source as source."""


@dataclass(frozen=True, slots=True)
class ServerRewrite:
    """W2 of a rewrite: a server's row to another host, and the tombstone for the old one."""

    server_id: str
    expected: Mapping[str, Any]
    """Column -> value that `instances` must still have: host, node, vm_state, task_state and, where it has
    one, updated_at (in the form of `ServerRecord.updated_at`)."""
    changed: Mapping[str, Any]
    """Column -> new value: host, node, launched_on, availability_zone, task_state, power_state (NOSTATE for a
    server that is to be started on the target: so its having run there is seen) and, where the schema has
    it, compute_id. The writer sets `updated_at`; a restore puts back exactly these columns."""
    tombstone: Mapping[str, Any]
    """Columns of the row of `migrations`; the caller chooses its `uuid`, so that a repeated write is seen."""


@dataclass(frozen=True, slots=True)
class BindingRewrite:
    """Both binding tables of exactly one server's compute ports, in one transaction."""

    server_id: str
    port_ids: tuple[str, ...]
    source: str
    target: str
    unbind: bool = False
    """Leave them unbound: Neutron is told next and shall bind anew (docs/adr)."""


@dataclass(frozen=True, slots=True)
class AttachmentRewrite:
    """W4b: a block device mapping from one Cinder attachment to another."""

    mapping_id: int
    expected_attachment: str
    attachment: str
    connection_info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Images:
    """Rows as they were, whole, for one server: what an undo puts back. Holds secrets of the storage."""

    server_id: str
    tables: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    """Table -> rows: instances, block_device_mapping, console_auth_tokens, ml2_port_bindings,
    ml2_port_binding_levels, ports, standardattributes, migrations (open ones)."""


class RecordsView(Protocol):
    """The databases, read only."""

    def schema(self, host: str) -> Schema:
        """Of the cell of this host."""
        ...

    def rights(self, host: str) -> tuple[str, ...]:
        """What the accounts may not do that a rewrite needs, in words; empty when nothing is missing."""
        ...

    def host_records(
        self, source: str, target: str | None, server_ids: Sequence[str] | None = None
    ) -> HostRecords:
        """The source's servers (or only these, wherever they are); names are compared exactly."""
        ...

    def server_records(
        self, server_ids: Sequence[str], near: str, *, volumes: bool = True, bindings: bool = True
    ) -> Mapping[str, ServerRecord]:
        """Those servers, fresh, in the cell of the host `near`, by id; without those that are deleted.

        Without `volumes` or `bindings` those are not asked for and empty.
        """
        ...

    def tombstones(self, source: str, uuids: Sequence[str] | None = None) -> tuple[TombstoneRecord, ...]:
        """Of evacuations from this host, newest first; all of them, or those with such a uuid."""
        ...

    def images(self, server_ids: Sequence[str], near: str) -> Mapping[str, Images]:
        """Before-images of these servers, by id."""
        ...

    def connectors(self, host: str) -> tuple[Mapping[str, Any], ...]:
        """Connectors of live attachments on this host; needs Cinder's database, empty without it."""
        ...

    def statements(
        self, rewrite: ServerRewrite | BindingRewrite | AttachmentRewrite, near: str
    ) -> tuple[str, ...]:
        """The SQL with its values, as a dry run prints it; secrets are left out."""
        ...


class Records(RecordsView, Protocol):
    """The databases, with the writes."""

    def rewrite_server(self, rewrite: ServerRewrite, near: str) -> None: ...

    def rewrite_bindings(self, rewrite: BindingRewrite) -> None:
        """Removes an INACTIVE left-over on the target first; leaves every other port alone."""
        ...

    def rewrite_attachment(self, rewrite: AttachmentRewrite, near: str) -> None: ...

    def restore_server(self, images: Images, rewrite: ServerRewrite, near: str) -> None:
        """Takes `rewrite_server` back: the tombstone `failed`, the row as in the image, each only while ours.

        Raises `RecordsChangedError` when the tombstone is `completed`: the old host has removed its copy.
        """
        ...

    def restore_bindings(self, images: Images, rewrite: BindingRewrite) -> None: ...

    def restore_attachment(self, images: Images, rewrite: AttachmentRewrite, near: str) -> None: ...
