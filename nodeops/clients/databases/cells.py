"""Which cell a host and a server are in, and where its database is: Nova's API database says."""

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import select

from nodeops.clients.databases.link import Link
from nodeops.clients.databases.rows import batches
from nodeops.errors import ConfigurationError

CELL0 = "00000000-0000-0000-0000-000000000000"
"""Where servers are that were never placed; no host is in it."""


class Cells:
    """Reads `cell_mappings`, `host_mappings` and `instance_mappings`."""

    def __init__(self, api: Link) -> None:
        self.api = api

    def of_host(self, host: str) -> str:
        """UUID of its cell; empty when it is mapped to none. Names are compared exactly."""
        hosts, cells = self.api.table("host_mappings"), self.api.table("cell_mappings")
        query = (
            select(hosts.c.host, cells.c.uuid)
            .join_from(hosts, cells, hosts.c.cell_id == cells.c.id)
            .where(hosts.c.host == host)
        )
        found = [row.uuid for row in self.api.read(query) if row.host == host and row.uuid != CELL0]
        return found[0] if found else ""

    def of_servers(self, server_ids: Sequence[str]) -> dict[str, str]:
        """UUID of the cell of each that is mapped."""
        servers, cells = self.api.table("instance_mappings"), self.api.table("cell_mappings")
        queries = [
            select(servers.c.instance_uuid, cells.c.uuid)
            .join_from(servers, cells, servers.c.cell_id == cells.c.id)
            .where(servers.c.instance_uuid.in_(ids))
            for ids in batches(server_ids)
        ]
        return {row.instance_uuid: row.uuid for row in self.api.read(*queries)}

    def url(self, cell: str, template_values: str | None) -> str:
        """The cell's database. Raises `ConfigurationError` for a template that cannot be filled in."""
        cells = self.api.table("cell_mappings")
        found = self.api.read(select(cells.c.database_connection).where(cells.c.uuid == cell))
        if not found or not found[0].database_connection:
            raise ConfigurationError(
                f"cell {cell}: nova's API database does not say where its database is",
                hint="Set nodeops_nova_database of its hosts in the inventory.",
            )
        return filled(str(found[0].database_connection), template_values, cell)


def filled(url: str, values: str | None, cell: str) -> str:
    """A mapping may be a template of the parts of `[database]/connection`.

    `nova/objects/cell_mapping.py`, `_format_url`.
    """
    if "{" not in url:
        return url
    try:
        return url.format(**(_parts(values) if values else {}))
    except (KeyError, IndexError, ValueError):
        raise ConfigurationError(
            f"cell {cell}: the address of its database is a template",
            hint="Set nodeops_nova_database of its hosts in the inventory: the cell's own database.",
        ) from None


def _parts(url: str) -> dict[str, str | int]:
    """What a template may name; of several hosts the first also without its number."""
    parts = urlsplit(url)
    found: dict[str, str | int] = {
        "scheme": parts.scheme,
        "path": parts.path.lstrip("/"),
        "query": parts.query,
        "fragment": parts.fragment,
    }
    for number, netloc in enumerate(parts.netloc.split(","), start=1):
        one = SplitResult(parts.scheme, netloc, "", "", "")
        named: dict[str, str | int] = {
            "username": one.username or "",
            "password": one.password or "",
            "hostname": one.hostname or "",
            "port": one.port or "",
        }
        found |= {f"{name}{number}": value for name, value in named.items()}
        found |= named if number == 1 else {}
    return found
