"""A Nova cell's database: what is read there.

What came with later releases is used where it is: `compute_id` (2023.2), `share_mapping` (2024.1).
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Table, select

from nodeops.clients.databases.link import IDS, Link
from nodeops.clients.databases.rows import batches, grouped, moment
from nodeops.model.records import NodeRecord, ServerRecord, TombstoneRecord, VolumeRecord

ENDED = ("confirmed", "reverted", "error", "failed", "completed", "cancelled", "done")
"""`nova/db/main/api.py`, in-progress migrations are those in no such state."""
EVACUATION = "evacuation"
_SERVER = (
    "uuid",
    "display_name",
    "host",
    "node",
    "compute_id",
    "vm_state",
    "task_state",
    "power_state",
    "availability_zone",
    "updated_at",
    "launched_at",
)


_VOLUME = (
    *("id", "instance_uuid", "volume_id", "attachment_id", "device_name", "boot_index", "connection_info"),
)


def node_of(link: Link, host: str, cell: str) -> NodeRecord:
    """`nodes` is not 1 where it cannot be said what belongs to the host."""
    nodes, services = link.table("compute_nodes"), link.table("services")
    found = [
        row
        for row in link.read(select(nodes).where(nodes.c.host == host, nodes.c.deleted == 0))
        if row.host == host
    ]
    query = select(services.c.host, services.c.disabled, services.c.forced_down).where(
        services.c.host == host, services.c.binary == "nova-compute", services.c.deleted == 0
    )
    service = next((row for row in link.read(query) if row.host == host), None)
    up = service is not None and not service.disabled and not service.forced_down
    if not found:
        return NodeRecord(host, "", 0, "", "", "", cell, nodes=0, service_up=up)
    node = found[0]
    return NodeRecord(
        host=host,
        node=node.hypervisor_hostname,
        compute_id=node.id,
        uuid=node.uuid or "",
        host_ip=node.host_ip or "",
        hypervisor_type=node.hypervisor_type or "",
        cell=cell,
        nodes=len(found),
        service_up=up,
    )


def has_host(link: Link, host: str) -> bool:
    """Whether its nova-compute is registered in this database, under exactly this name."""
    services = link.table("services")
    query = select(services.c.host).where(
        services.c.host == host, services.c.binary == "nova-compute", services.c.deleted == 0
    )
    return any(row.host == host for row in link.read(query))


def rows_on(link: Link, host: str) -> list[Any]:
    """Rows of `instances` with exactly this host."""
    table = link.table("instances")
    query = select(*_columns(table)).where(table.c.host == host, table.c.deleted == 0)
    return [row for row in link.read(query) if row.host == host]


def rows_of(link: Link, server_ids: Sequence[str]) -> list[Any]:
    """Rows of `instances` of these servers, wherever they are."""

    def question() -> Select[Any]:
        table = link.table("instances")
        return select(*_columns(table)).where(table.c.uuid.in_(IDS), table.c.deleted == 0)

    return link.ask("instances", question, server_ids)


def _columns(table: Table) -> list[Any]:
    return [table.c[name] for name in _SERVER if name in table.c]


def server_record(row: Any, cell: str, **more: Any) -> ServerRecord:
    """Of a row of `instances`; `more` is what other tables say."""
    return ServerRecord(
        id=row.uuid,
        name=row.display_name or "",
        host=row.host,
        node=row.node,
        compute_id=getattr(row, "compute_id", None),
        vm_state=row.vm_state or "",
        task_state=row.task_state,
        power_state=row.power_state or 0,
        zone=row.availability_zone or "",
        cell=cell,
        updated_at=moment(row.updated_at),
        launched=row.launched_at is not None,
        **more,
    )


class Ties:
    """What ties servers to their host, for many at once: a few queries for each five hundred."""

    def __init__(self, link: Link, server_ids: Sequence[str]) -> None:
        self._extra = self._of(link, "instance_extra", server_ids)
        self._open = self._migrations(link, server_ids)
        self._devices = self._having(link, "pci_devices", server_ids)
        self._shares = (
            self._having(link, "share_mapping", server_ids) if link.has("share_mapping") else frozenset[str]()
        )
        self.volumes = volumes_of(link, server_ids)

    def of(self, server_id: str) -> dict[str, Any]:
        """As fields of `ServerRecord`."""
        extra = self._extra.get(server_id, [None])[0]
        return {
            "migration_context": _says(extra, "migration_context"),
            "numa": _says(extra, "numa_topology"),
            "pci": server_id in self._devices or _says(extra, "pci_requests"),
            "resources": _says(extra, "resources"),
            "shares": server_id in self._shares,
            "open_migrations": tuple(
                f"{row.migration_type} {row.status}" for row in self._open.get(server_id, [])
            ),
            "volumes": self.volumes.get(server_id, ()),
        }

    @staticmethod
    def _of(link: Link, name: str, server_ids: Sequence[str]) -> dict[str, list[Any]]:
        table = link.table(name)
        wanted = ("instance_uuid", "migration_context", "numa_topology", "pci_requests", "resources")
        columns = [table.c[each] for each in wanted if each in table.c]
        return grouped(
            link.read(
                *(
                    select(*columns).where(table.c.instance_uuid.in_(ids), table.c.deleted == 0)
                    for ids in batches(server_ids)
                )
            ),
            "instance_uuid",
        )

    @staticmethod
    def _migrations(link: Link, server_ids: Sequence[str]) -> dict[str, list[Any]]:
        table = link.table("migrations")
        columns = (table.c.instance_uuid, table.c.migration_type, table.c.status)
        return grouped(
            link.read(
                *(
                    select(*columns).where(
                        table.c.instance_uuid.in_(ids), table.c.deleted == 0, table.c.status.not_in(ENDED)
                    )
                    for ids in batches(server_ids)
                )
            ),
            "instance_uuid",
        )

    @staticmethod
    def _having(link: Link, name: str, server_ids: Sequence[str]) -> frozenset[str]:
        table = link.table(name)
        live = (table.c.deleted == 0,) if "deleted" in table.c else ()
        queries = [
            select(table.c.instance_uuid).distinct().where(table.c.instance_uuid.in_(ids), *live)
            for ids in batches(server_ids)
        ]
        return frozenset(row.instance_uuid for row in link.read(*queries))


def _says(extra: Any, name: str) -> bool:
    """Whether a JSON column holds anything: an object without objects in it holds nothing."""
    text = getattr(extra, name, None)
    if not text:
        return False
    try:
        found = json.loads(text)
    except ValueError:
        return True
    if isinstance(found, dict):
        data = found.get("nova_object.data", found)
        lists = [value for value in data.values() if isinstance(value, list)]
        return bool(data) and (not lists or any(lists))
    return bool(found)


def volumes_of(link: Link, server_ids: Sequence[str]) -> dict[str, tuple[VolumeRecord, ...]]:
    """By server, from `block_device_mapping`."""

    def question() -> Select[Any]:
        table = link.table("block_device_mapping")
        return select(*(table.c[name] for name in _VOLUME)).where(
            table.c.instance_uuid.in_(IDS),
            table.c.deleted == 0,
            table.c.destination_type == "volume",
            table.c.volume_id.is_not(None),
        )

    rows = link.ask("volumes", question, server_ids)
    return {
        server_id: tuple(_volume(row) for row in sorted(those, key=lambda row: row.id))
        for server_id, those in grouped(rows, "instance_uuid").items()
    }


def _volume(row: Any) -> VolumeRecord:
    try:
        info = json.loads(row.connection_info or "null") or {}
    except ValueError:
        info = {}
    return VolumeRecord(
        mapping_id=row.id,
        server_id=row.instance_uuid,
        volume_id=row.volume_id,
        attachment_id=row.attachment_id,
        device=row.device_name or "",
        boot_index=row.boot_index,
        driver=str(info.get("driver_volume_type") or ""),
        multiattach=bool(info.get("multiattach")),
    )


def tombstones(link: Link, source: str, uuids: Sequence[str] | None = None) -> tuple[TombstoneRecord, ...]:
    """Evacuations whose source is exactly this host, newest first; all, or those with such a uuid."""

    def question() -> Select[Any]:
        table = link.table("migrations")
        return _evacuations(table).where(table.c.uuid.in_(IDS)).order_by(table.c.id.desc())

    if uuids is None:
        table = link.table("migrations")
        query = _evacuations(table).where(table.c.source_compute == source).order_by(table.c.id.desc())
        rows = link.read(query)
    else:
        rows = link.ask("tombstones", question, uuids)
    return tuple(_tombstone(row) for row in rows if row.source_compute == source)


def _evacuations(table: Table) -> Select[Any]:
    shown = ("uuid", "instance_uuid", "source_compute", "dest_compute", "status")
    return select(*(table.c[name] for name in shown)).where(
        table.c.migration_type == EVACUATION, table.c.deleted == 0
    )


def _tombstone(row: Any) -> TombstoneRecord:
    return TombstoneRecord(
        row.uuid or "", row.instance_uuid, row.source_compute, row.dest_compute or "", row.status
    )


def pinned_zones(api: Link, server_ids: Sequence[str]) -> dict[str, str | None]:
    """By server, from `request_specs` in Nova's API database."""
    table = api.table("request_specs")
    rows = api.read(
        *(
            select(table.c.instance_uuid, table.c.spec).where(table.c.instance_uuid.in_(ids))
            for ids in batches(server_ids)
        )
    )
    return {row.instance_uuid: _zone(row.spec) for row in rows}


def _zone(spec: str) -> str | None:
    try:
        zone = json.loads(spec)["nova_object.data"].get("availability_zone")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return str(zone) if zone else None
