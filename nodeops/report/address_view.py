"""Addresses and ports: a table and a document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from nodeops.model.addresses import KEPT_FROM, AddressPort, FloatingIp
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

HEADERS = ("Address", "Port", "Name", "Used by", "On", "State", "Floating", "DNS", "Outlives its server")


@dataclass(frozen=True, slots=True)
class PortLine:
    """One port with what surrounds it."""

    port: AddressPort
    user: str
    """The server's name, or what else uses it; empty when it is free."""
    floating: Sequence[FloatingIp] = ()
    outlives: bool | None = None
    """Whether it survives its server's deletion; None: it has no server."""

    @property
    def cells(self) -> tuple[str, ...]:
        port = self.port
        kept = port.tagged(KEPT_FROM)
        outlives = "" if self.outlives is None else "yes" if self.outlives else "no: Nova made it"
        return (
            ", ".join(port.addresses),
            port.id,
            port.name,
            self.user or (f"nobody; kept from {kept}" if kept else "nobody"),
            port.host,
            port.status,
            ", ".join(each.address for each in self.floating),
            port.dns_name,
            outlives,
        )


def ports_table(lines: Sequence[PortLine]) -> Table:
    """For a terminal."""
    table = plain_table(*(header.lower() if header != "DNS" else header for header in HEADERS))
    table.columns[3].no_wrap, table.columns[3].overflow = False, "fold"
    for each in lines:
        table.add_row(*(Text(cell or "-", "" if cell else "dim") for cell in each.cells))
    return table


def ports_markdown(lines: Sequence[PortLine]) -> str:
    """For a ticket."""
    return "\n".join(markdown_table(HEADERS, [each.cells for each in lines])) + "\n"


def port_document(line: PortLine) -> dict[str, Any]:
    """In JSON."""
    port = line.port
    return {
        "port": port.id,
        "name": port.name,
        "addresses": list(port.addresses),
        "mac": port.mac,
        "network": port.network_id,
        "project": port.project_id,
        "device": port.device_id or None,
        "device_owner": port.device_owner or None,
        "used_by": line.user or None,
        "kept_from": port.tagged(KEPT_FROM) or None,
        "host": port.host or None,
        "status": port.status,
        "dns_name": port.dns_name or None,
        "floating": [each.address for each in line.floating],
        "security_groups": list(port.security_groups),
        "allowed_address_pairs": [dict(pair) for pair in port.allowed_address_pairs],
        "outlives_server": line.outlives,
    }
