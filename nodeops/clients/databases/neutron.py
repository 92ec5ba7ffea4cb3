"""Neutron's database: ports of servers, and where ML2 has them bound."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from nodeops.clients.databases.link import Link
from nodeops.clients.databases.rows import batches
from nodeops.records import BindingRecord


def bindings_of(link: Link, server_ids: Sequence[str]) -> dict[str, tuple[BindingRecord, ...]]:
    """By server: the bindings of its compute ports, on any host."""
    ports, bindings = link.table("ports"), link.table("ml2_port_bindings")
    levels = link.table("ml2_port_binding_levels")
    counted = (
        select(levels.c.port_id, levels.c.host, func.count().label("levels"))
        .group_by(levels.c.port_id, levels.c.host)
        .subquery()
    )
    at = (counted.c.port_id == bindings.c.port_id) & (counted.c.host == bindings.c.host)
    queries = [
        select(bindings, ports.c.device_id, ports.c.device_owner, counted.c.levels)
        .join_from(bindings, ports, bindings.c.port_id == ports.c.id)
        .outerjoin(counted, at)
        .where(ports.c.device_id.in_(ids))
        for ids in batches(server_ids)
    ]
    found: dict[str, list[BindingRecord]] = {}
    for row in link.read(*queries):
        record = binding(row)
        if record.of_compute:
            found.setdefault(record.server_id, []).append(record)
    return {
        server_id: tuple(sorted(those, key=lambda each: (each.port_id, each.host)))
        for server_id, those in found.items()
    }


def binding(row: Any) -> BindingRecord:
    return BindingRecord(
        port_id=row.port_id,
        server_id=row.device_id or "",
        host=row.host,
        status=row.status,
        vnic_type=row.vnic_type,
        vif_type=row.vif_type,
        device_owner=row.device_owner or "",
        profile=row.profile or "",
        levels=row.levels or 0,
    )
