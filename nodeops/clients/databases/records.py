"""`Records` on real databases: which link is asked, and in how many queries."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, select

from nodeops.clients.databases import neutron, nova, writes
from nodeops.clients.databases.cells import Cells
from nodeops.clients.databases.link import Link
from nodeops.clients.databases.releases import releases
from nodeops.clients.databases.rows import batches, grouped, plain_row
from nodeops.clients.no_records import not_configured
from nodeops.errors import ConfigurationError
from nodeops.model.records import (
    AttachmentRewrite,
    BindingRewrite,
    HostRecords,
    Images,
    NodeRecord,
    Row,
    Schema,
    ServerRecord,
    ServerRewrite,
    TombstoneRecord,
)

Url = Callable[[str, str], str | None]
"""The configured URL of `nova`, `nova_api`, `neutron` or `cinder` for a host; None when there is none."""

NOVA_RIGHTS = {
    "instances": "update",
    "migrations": "insert update",
    "block_device_mapping": "update",
    "console_auth_tokens": "delete insert",
}
NEUTRON_RIGHTS = {
    "ml2_port_bindings": "update insert delete",
    "ml2_port_binding_levels": "update insert delete",
    "ports": "update",
}
_NO_NEUTRON = (
    "Set nodeops_neutron_database in the inventory, or NODEOPS_NEUTRON_DATABASE; or use --bindings api."
)


@dataclass
class DatabaseRecords:
    """Implements `Records`. Links are opened when first needed.

    A host's cell is what Nova's API database says. The address of a cell's database is the configured one of
    the host that is asked about, where it knows that host; else that of the cell mapping, as Nova itself uses
    it, a template filled from the configured one.
    """

    url: Url
    _links: dict[str, Link] = field(default_factory=dict, repr=False)
    _cell_of: dict[str, str] = field(default_factory=dict)
    _nova_of: dict[str, Link] = field(default_factory=dict, repr=False)

    def close(self) -> None:
        for link in self._links.values():
            link.close()
        self._links.clear()
        self._nova_of.clear()

    # -- reads

    def schema(self, host: str) -> Schema:
        cell, api, network = self._nova(host), self._api(host), self._neutron(host)
        found = ", ".join(cell.heads())
        of_api = ", ".join(api.heads()) if api else ""
        of_network = network.heads() if network else ()
        return Schema(
            nova=found,
            nova_api=of_api,
            neutron=of_network,
            releases=releases(found, of_api, of_network),
            has_compute_id="compute_id" in cell.table("instances").c,
        )

    def rights(self, host: str) -> tuple[str, ...]:
        missing = list(writes.denied(self._nova(host), NOVA_RIGHTS))
        if self._api(host) is None:
            missing.append("nova's API database is not configured: cells and pinned zones cannot be checked")
        network = self._neutron(host)
        if network is not None:
            missing += writes.denied(network, NEUTRON_RIGHTS)
        return tuple(missing)

    def host_records(
        self, source: str, target: str | None, server_ids: Sequence[str] | None = None
    ) -> HostRecords:
        link, cell = self._nova(source), self._cell(source)
        rows = nova.rows_on(link, source) if server_ids is None else nova.rows_of(link, server_ids)
        return HostRecords(
            schema=self.schema(source),
            source=nova.node_of(link, source, cell),
            target=None if target is None else self._node(target),
            servers=self._servers(source, rows),
            tombstones=nova.tombstones(link, source),
        )

    def server_records(
        self, server_ids: Sequence[str], near: str, *, volumes: bool = True, bindings: bool = True
    ) -> Mapping[str, ServerRecord]:
        """Their rows, volumes and bindings; what does not change by itself is left at its default."""
        link, cell = self._nova(near), self._cell(near)
        network = self._neutron(near) if bindings else None
        attached = nova.volumes_of(link, server_ids) if volumes else {}
        bound = neutron.bindings_of(network, server_ids) if network else {}
        return {
            row.uuid: nova.server_record(
                row, cell, volumes=attached.get(row.uuid, ()), bindings=bound.get(row.uuid, ())
            )
            for row in nova.rows_of(link, server_ids)
        }

    def tombstones(self, source: str, uuids: Sequence[str] | None = None) -> tuple[TombstoneRecord, ...]:
        return nova.tombstones(self._nova(source), source, uuids)

    def images(self, server_ids: Sequence[str], near: str) -> Mapping[str, Images]:
        link, network = self._nova(near), self._neutron(near)
        found: dict[str, dict[str, tuple[Row, ...]]] = {each: {} for each in server_ids}
        for name, column in (
            ("instances", "uuid"),
            ("block_device_mapping", "instance_uuid"),
            ("console_auth_tokens", "instance_uuid"),
            ("migrations", "instance_uuid"),
        ):
            _keep(found, name, column, self._whole(link, name, column, server_ids))
        if network is not None:
            self._keep_network(found, network, server_ids)
        return {each: Images(each, tables) for each, tables in found.items() if tables.get("instances")}

    def connectors(self, host: str) -> tuple[Mapping[str, Any], ...]:
        url = self.url("cinder", host)
        if url is None:
            return ()
        table = self._link(url, "cinder's database").table("volume_attachment")
        query = select(table.c.connector, table.c.attached_host).where(
            table.c.attached_host == host, table.c.deleted == table.c.deleted.type.python_type(0)
        )
        found: dict[str, Mapping[str, Any]] = {}
        for row in self._link(url, "cinder's database").read(query):
            connector = json.loads(row.connector or "null")
            if isinstance(connector, dict) and connector.get("host") == host:
                plain = {name: value for name, value in connector.items() if name != "mountpoint"}
                found.setdefault(json.dumps(plain, sort_keys=True), plain)
        return tuple(found.values())

    def statements(
        self, rewrite: ServerRewrite | BindingRewrite | AttachmentRewrite, near: str
    ) -> tuple[str, ...]:
        link = self._nova(near)
        if isinstance(rewrite, ServerRewrite):
            made: Sequence[Any] = writes.server_statements(link, rewrite)
        elif isinstance(rewrite, BindingRewrite):
            link = self._need_neutron(near)
            made = writes.binding_statements(link, rewrite)
        else:
            made = (writes.attachment_statement(link, rewrite, shown=True),)
        options = {"literal_binds": True}
        texts = (str(each.compile(dialect=link.engine.dialect, compile_kwargs=options)) for each in made)
        return tuple(" ".join(text.split()) + ";" for text in texts)

    # -- writes

    def rewrite_server(self, rewrite: ServerRewrite, near: str) -> None:
        link = self._nova(near)
        link.write(writes.rewrite_server(link, rewrite))

    def rewrite_bindings(self, rewrite: BindingRewrite) -> None:
        link = self._need_neutron(rewrite.source)
        link.write(writes.rewrite_bindings(link, rewrite))

    def rewrite_attachment(self, rewrite: AttachmentRewrite, near: str) -> None:
        link = self._nova(near)
        link.write(writes.rewrite_attachment(link, rewrite))

    def restore_server(self, images: Images, rewrite: ServerRewrite, near: str) -> None:
        link = self._nova(near)
        link.write(writes.restore_server(link, images, rewrite))

    def restore_bindings(self, images: Images, rewrite: BindingRewrite) -> None:
        link = self._need_neutron(rewrite.source)
        link.write(writes.restore_bindings(link, images, rewrite))

    def restore_attachment(self, images: Images, rewrite: AttachmentRewrite, near: str) -> None:
        link = self._nova(near)
        link.write(writes.restore_attachment(link, images, rewrite))

    # -- which database

    def _link(self, url: str, name: str) -> Link:
        if url not in self._links:
            self._links[url] = Link(url, name)
        return self._links[url]

    def _api(self, host: str) -> Link | None:
        url = self.url("nova_api", host)
        return None if url is None else self._link(url, "nova's API database")

    def _neutron(self, host: str) -> Link | None:
        url = self.url("neutron", host)
        return None if url is None else self._link(url, "neutron's database")

    def _need_neutron(self, host: str) -> Link:
        link = self._neutron(host)
        if link is None:
            raise ConfigurationError("neutron's database: no address is configured", hint=_NO_NEUTRON)
        return link

    def _nova(self, host: str) -> Link:
        if host not in self._nova_of:
            self._nova_of[host] = self._found(host)
        return self._nova_of[host]

    def _found(self, host: str) -> Link:
        url, api = self.url("nova", host), self._api(host)
        if url is None and api is None:
            not_configured()
        cell = self._cell(host)
        if url is not None:
            link = self._link(url, "nova's cell database")
            if api is None or not cell or nova.has_host(link, host):
                return link
        if api is None or not cell:
            raise ConfigurationError(
                f"host {host}: nova's API database maps it to no cell",
                hint="nova-manage cell_v2 discover_hosts maps it.",
            )
        return self._link(Cells(api).url(cell, url), f"nova's database of cell {cell}")

    def _cell(self, host: str) -> str:
        """Empty when nobody says."""
        if host not in self._cell_of:
            api = self._api(host)
            self._cell_of[host] = Cells(api).of_host(host) if api else ""
        return self._cell_of[host]

    def _node(self, host: str) -> NodeRecord | None:
        """None when it is in no database that is known."""
        cell = self._cell(host)
        if self._api(host) is not None and not cell:
            return None
        node = nova.node_of(self._nova(host), host, cell)
        return node if node.nodes else None

    # -- many at once

    def _servers(self, host: str, rows: Sequence[Any]) -> tuple[ServerRecord, ...]:
        ids = [row.uuid for row in rows]
        if not ids:
            return ()
        link, api, network = self._nova(host), self._api(host), self._neutron(host)
        ties = nova.Ties(link, ids)
        cells = Cells(api).of_servers(ids) if api else {}
        zones = nova.pinned_zones(api, ids) if api else {}
        bindings = neutron.bindings_of(network, ids) if network else {}
        return tuple(
            nova.server_record(
                row,
                cells.get(row.uuid, "") if api else self._cell(host),
                pinned_zone=zones.get(row.uuid),
                bindings=bindings.get(row.uuid, ()),
                **ties.of(row.uuid),
            )
            for row in rows
        )

    @staticmethod
    def _whole(link: Link, name: str, column: str, ids: Sequence[str]) -> list[Any]:
        table = link.table(name)
        return link.read(
            *(select(table).where(table.c[column].in_(part), *_live(table)) for part in batches(ids))
        )

    def _keep_network(
        self, found: dict[str, dict[str, tuple[Row, ...]]], link: Link, server_ids: Sequence[str]
    ) -> None:
        ports = [
            row
            for row in self._whole(link, "ports", "device_id", server_ids)
            if (row.device_owner or "").startswith("compute:")
        ]
        _keep(found, "ports", "device_id", ports)
        owner = {row.id: row.device_id for row in ports}
        for name in ("ml2_port_bindings", "ml2_port_binding_levels"):
            rows = self._whole(link, name, "port_id", list(owner))
            for server_id, those in _by_owner(rows, owner, "port_id").items():
                found[server_id][name] = those
        attributes = {row.standard_attr_id: row.device_id for row in ports}
        rows = self._whole(link, "standardattributes", "id", list(attributes))
        for server_id, those in _by_owner(rows, attributes, "id").items():
            found[server_id]["standardattributes"] = those


def _live(table: Table) -> tuple[Any, ...]:
    """Rows that are not deleted, where the table keeps deleted ones."""
    return (table.c.deleted == 0,) if "deleted" in table.c else ()


def _keep(found: dict[str, dict[str, tuple[Row, ...]]], name: str, column: str, rows: Sequence[Any]) -> None:
    for server_id, those in grouped(rows, column).items():
        found[server_id][name] = tuple(plain_row(row) for row in those)


def _by_owner(rows: Sequence[Any], owner: Mapping[Any, str], column: str) -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(owner[getattr(row, column)], []).append(plain_row(row))
    return {server_id: tuple(those) for server_id, those in found.items()}
