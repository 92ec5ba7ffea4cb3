"""What planning may read and what actions may write.

A `View` has read methods only, so whoever is handed one cannot change anything, and mypy keeps it so.
Reads raise `ApiError` (or one of its kin) when the cloud does not answer; writes raise it with
`ambiguous` set when the effect may have happened. Writes return Nova's request id.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nodeops.model.facts import (
    Aggregate,
    Allocation,
    AttachedVolume,
    Attachment,
    Explanation,
    Host,
    Identity,
    Migration,
    NetworkAgent,
    Port,
    PortBinding,
    Progress,
    Resource,
    Server,
    ServerGroup,
    Volume,
)
from nodeops.model.records import Records, RecordsView


class View(Protocol):
    """The cloud, read only."""

    def identity(self) -> Identity: ...

    def hosts(self) -> tuple[Host, ...]:
        """Every nova-compute service with its compute node; without Placement's figures."""
        ...

    def host(self, name: str) -> Host | None:
        """One service, fresh; matched exactly, None when there is none."""
        ...

    def servers_on(self, host: str) -> tuple[Server, ...]:
        """Every server of every project whose host is exactly this one, in one (paged) list call."""
        ...

    def server(self, server_id: str) -> Server | None:
        """One server, fresh; None when it does not exist any more."""
        ...

    def servers(self) -> tuple[Server, ...]:
        """Every server of every project, on a host or on none, in one (paged) list call."""
        ...

    def migrations_from(self, host: str, *, server_id: str | None = None) -> tuple[Migration, ...]:
        """Migrations whose source is this host, newest first."""
        ...

    def migrations_of(self, server_id: str) -> tuple[Migration, ...]:
        """A server's migrations, newest first, whatever the host."""
        ...

    def unfinished_migrations(self) -> tuple[Migration, ...]:
        """Of the whole cloud: not ended, or an evacuation that is `done`; a bounded number of calls."""
        ...

    def progress(self, server_id: str) -> Progress | None:
        """Of its running live migration; None when there is none."""
        ...

    def explain(self, server_id: str, request_id: str) -> Explanation | None:
        """Why the request failed, from instance actions, events and the server's fault."""
        ...

    def groups(self) -> tuple[ServerGroup, ...]:
        """Every server group of every project; `member_hosts` is empty."""
        ...

    def aggregates(self) -> tuple[Aggregate, ...]: ...

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]: ...

    def ports_bound_to(self, host: str) -> tuple[Port, ...]:
        """Ports with any binding on this host, INACTIVE left-overs included; `Port.host` is the ACTIVE one's.

        `neutron/plugins/ml2/plugin.py`, `_ml2_port_result_filter_hook`.
        """
        ...

    def ports(self) -> tuple[Port, ...]:
        """Every port of a server, in one (paged) list call."""
        ...

    def attachments_of(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]: ...

    def attachments(self) -> tuple[Attachment, ...]:
        """Every attachment of the cloud, in one (paged) list call."""
        ...

    def volumes(self) -> tuple[Volume, ...]:
        """Every volume of the cloud, in one (paged) list call."""
        ...

    def volume(self, volume_id: str) -> Volume | None:
        """One volume, fresh; None when it does not exist."""
        ...

    def volumes_of(self, server_id: str) -> tuple[AttachedVolume, ...]:
        """What Nova's block device mappings of a server say; empty when it does not exist."""
        ...

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        """Consumers of one resource provider: consumer id -> resource class -> amount."""
        ...

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        """One consumer's allocation: provider id -> resource class -> amount."""
        ...

    def holding(self, server_id: str) -> Allocation:
        """One consumer's allocation with its generation, which `set_allocation` must name."""
        ...

    def tree(self, provider_id: str) -> frozenset[str]:
        """Providers of the tree whose root this is, itself included."""
        ...

    def resources_of(self, provider_id: str) -> Mapping[str, Resource]:
        """One resource provider's own figures by resource class, however full it is."""
        ...

    def agents_on(self, host: str) -> tuple[NetworkAgent, ...]:
        """Neutron's agents on this host; matched exactly."""
        ...

    def evacuations_from(self, host: str) -> tuple[Migration, ...]:
        """Evacuations whose source is this host, newest first."""
        ...

    @property
    def records(self) -> RecordsView:
        """The databases; every read raises `ConfigurationError` when none is configured."""
        ...

    def candidates(
        self, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = ()
    ) -> Mapping[str, Mapping[str, Resource]]:
        """Placement's answer to "who has room for this?": root provider id -> resource class -> figures."""
        ...

    def traits(self, required: Sequence[str]) -> frozenset[str]:
        """Providers that have all these traits."""
        ...

    def image_properties(self, image_id: str) -> Mapping[str, str]:
        """Of one image; empty when it is gone."""
        ...


class World(View, Protocol):
    """The cloud, with the writes. Only actions hold one."""

    def disable(self, service_id: str, reason: str) -> str: ...

    def enable(self, service_id: str) -> str: ...

    def live_migrate(self, server_id: str, target: str | None, *, block: bool | None = None) -> str:
        """`block` None lets Nova decide by the storage (`block_migration: auto`)."""
        ...

    def cold_migrate(self, server_id: str, target: str | None) -> str: ...

    def confirm_resize(self, server_id: str) -> str: ...

    def abort_migration(self, server_id: str, migration_id: int) -> str: ...

    def force_complete_migration(self, server_id: str, migration_id: int) -> str: ...

    def stop(self, server_id: str) -> str: ...

    def start(self, server_id: str) -> str: ...

    def pause(self, server_id: str) -> str: ...

    def unpause(self, server_id: str) -> str: ...

    def suspend(self, server_id: str) -> str: ...

    def resume(self, server_id: str) -> str: ...

    def rescue(self, server_id: str) -> str: ...

    def unrescue(self, server_id: str) -> str: ...

    def shelve(self, server_id: str) -> str: ...

    def shelve_offload(self, server_id: str) -> str: ...

    def unshelve(self, server_id: str, target: str | None) -> str: ...

    def reset_state(self, server_id: str, state: str) -> str: ...

    def lock(self, server_id: str, reason: str) -> str:
        """Keep all but administrators from changing it (2.73; `nova/compute/api.py`, `check_instance_lock`).

        One that is there already is replaced, its reason too; or stays as it is, where this account's project
        owns the server.
        """
        ...

    def unlock(self, server_id: str) -> str:
        """Whoever locked it."""
        ...

    def delete(self, server_id: str) -> str:
        """Also one whose deletion hangs: Nova begins it again (`nova/compute/api.py`, `_delete`)."""
        ...

    def force_down(self, service_id: str, *, forced: bool) -> str:
        """Say that a host is dead, or is not any more.

        Taking it back is refused with 400 while evacuations of the host are `done` and not yet cleaned up
        (`nova/api/openstack/compute/services.py`).
        """
        ...

    def evacuate(self, server_id: str, target: str | None) -> str:
        """At a microversion that keeps a STOPPED server stopped and an ACTIVE one active (2.68 to 2.94)."""
        ...

    def reboot_hard(self, server_id: str) -> str: ...

    def attach_volume(
        self,
        server_id: str,
        volume_id: str,
        device: str | None,
        *,
        tag: str = "",
        delete_on_termination: bool = False,
    ) -> str: ...

    def detach_volume(self, server_id: str, volume_id: str) -> str: ...

    def set_allocation(self, allocation: Allocation) -> str:
        """Replace all that a consumer holds; `ApiError` 409 for another generation or no room."""
        ...

    def bind_port(self, port_id: str, host: str, device_owner: str | None = None) -> PortBinding:
        """Have Neutron bind it on that host; look at `failed` of the answer."""
        ...

    def delete_binding(self, port_id: str, host: str) -> str:
        """An INACTIVE left-over."""
        ...

    def create_attachment(
        self, volume_id: str, server_id: str, connector: Mapping[str, Any] | None, device: str
    ) -> tuple[str, Mapping[str, Any]]:
        """A new Cinder attachment beside the old one: its id and its connection info, which may hold secrets.

        With None as connector it is only reserved, and `connection_info` is empty.
        """
        ...

    def connect_attachment(self, attachment_id: str, connector: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def complete_attachment(self, attachment_id: str) -> str: ...

    def delete_attachment(self, attachment_id: str) -> str:
        """409 while Nova still names it (`cinder/volume/api.py`, CVE-2023-2088); 404 is no error."""
        ...

    @property
    def records(self) -> Records: ...
