"""Neutron's database: ports of servers, and where ML2 has them bound."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from nodeops.clients.databases.link import IDS, Link
from nodeops.model.records import BindingRecord


def bindings_of(link: Link, server_ids: Sequence[str]) -> dict[str, tuple[BindingRecord, ...]]:
    """By server: the bindings of its compute ports, on any host."""
    found: dict[str, list[BindingRecord]] = {}
    for row in link.ask("bindings", lambda: _bindings(link), server_ids):
        record = binding(row)
        if record.of_compute:
            found.setdefault(record.server_id, []).append(record)
    return {
        server_id: tuple(sorted(those, key=lambda each: (each.port_id, each.host)))
        for server_id, those in found.items()
    }


def _bindings(link: Link) -> Select[Any]:
    ports, bindings = link.table("ports"), link.table("ml2_port_bindings")
    levels = link.table("ml2_port_binding_levels")
    # By the key, row for row: grouped, all levels of the whole network would be counted for one server.
    counted = (
        select(func.count())
        .select_from(levels)
        .where(levels.c.port_id == bindings.c.port_id, levels.c.host == bindings.c.host)
        .scalar_subquery()
    )
    shown = ("port_id", "host", "status", "vnic_type", "vif_type", "profile")
    return (
        select(
            *(bindings.c[name] for name in shown),
            ports.c.device_id,
            ports.c.device_owner,
            counted.label("levels"),
        )
        .join_from(bindings, ports, bindings.c.port_id == ports.c.id)
        .where(ports.c.device_id.in_(IDS))
    )


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
