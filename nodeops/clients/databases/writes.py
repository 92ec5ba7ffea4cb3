"""The changes of a rewrite and of its undo, each a function of one open transaction.

The same statements are what a dry run prints. Every function looks at the rows it is about to change, locks
them, and raises `RecordsChangedError` when one is not as expected; done already, it does nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, and_, delete, insert, select, update

from nodeops.clients.databases.link import Link
from nodeops.clients.databases.rows import now, plain, stored
from nodeops.errors import RecordsChangedError
from nodeops.model.records import AttachmentRewrite, BindingRewrite, Images, Row, ServerRewrite

Change: TypeAlias = Callable[[Connection], None]
HIDDEN = "…"
"""Stands for connection info, which may hold secrets, where statements are shown."""
_EXACT = frozenset({"host", "node"})
"""Compared by the statement too; everything expected is compared on the locked row before."""
RESTORED_PORT = ("status", "device_owner")


def one(result: Any, what: str, count: int = 1) -> None:
    """Rows that were matched, changed or not: on MariaDB too, where SQLAlchemy asks for FOUND_ROWS."""
    if result.rowcount != count:
        raise RecordsChangedError(f"{what}: {result.rowcount} rows instead of {count}")


# -- a server's row and its tombstone


def rewrite_server(link: Link, rewrite: ServerRewrite) -> Change:
    """A change for `Link.write`."""

    def change(connection: Connection) -> None:
        row = locked_server(connection, link, rewrite)
        migrations = link.table("migrations")
        ours = migrations.c.uuid == rewrite.tombstone["uuid"]
        known = connection.execute(select(migrations.c.status).where(ours)).one_or_none()
        if known is not None and known.status != "failed":
            if _odd(row, rewrite.changed, ("host", "node")):
                raise RecordsChangedError(
                    f"server {rewrite.server_id}: was rewritten before, and moved since"
                )
            return
        _expect(row, rewrite.expected, f"server {rewrite.server_id}")
        update_, insert_, delete_ = server_statements(link, rewrite)
        one(connection.execute(update_), f"server {rewrite.server_id}")
        if known is None:
            connection.execute(insert_)
        else:  # it was undone, and the row is byte for byte what it was
            again = update(migrations).where(ours, migrations.c.status == "failed")
            one(connection.execute(again.values(status="done", updated_at=now())), "tombstone")
        connection.execute(delete_)

    return change


def server_statements(link: Link, rewrite: ServerRewrite) -> tuple[Any, Any, Any]:
    instances, migrations = link.table("instances"), link.table("migrations")
    tokens = link.table("console_auth_tokens")
    at = now()
    guard = [instances.c[name] == value for name, value in rewrite.expected.items() if name in _EXACT]
    row = {"created_at": at, "updated_at": at, "deleted": 0, **stored(migrations, rewrite.tombstone)}
    return (
        update(instances)
        .where(instances.c.uuid == rewrite.server_id, instances.c.deleted == 0, *guard)
        .values(**stored(instances, rewrite.changed), updated_at=at),
        insert(migrations).values(**row),
        delete(tokens).where(tokens.c.instance_uuid == rewrite.server_id),
    )


def restore_server(link: Link, images: Images, rewrite: ServerRewrite) -> Change:
    def change(connection: Connection) -> None:
        what = f"server {rewrite.server_id}"
        before = _image(images, "instances", what)[0]
        row = locked_server(connection, link, rewrite)
        instances, migrations = link.table("instances"), link.table("migrations")
        ours = migrations.c.uuid == rewrite.tombstone["uuid"]
        query = select(migrations.c.status).where(ours).with_for_update()
        tombstone = connection.execute(query).one_or_none()
        if tombstone is None or tombstone.status == "failed":
            if not _odd(row, before, ("host", "node")):
                return
            raise RecordsChangedError(f"{what}: is on {row.host}, and not by this rewrite")
        if tombstone.status != "done":
            raise RecordsChangedError(
                f"{what}: its tombstone is {tombstone.status}, its old host has removed its copy"
            )
        left = {"vm_state": rewrite.expected.get("vm_state", row.vm_state), "task_state": None}
        _expect(row, left | dict(rewrite.changed), what)
        back = [name for name in rewrite.changed if name in before]
        values = stored(instances, {name: before[name] for name in (*back, "updated_at") if name in before})
        guard = and_(instances.c.host == rewrite.changed["host"], instances.c.node == rewrite.changed["node"])
        one(
            connection.execute(
                update(instances)
                .where(instances.c.uuid == rewrite.server_id, instances.c.deleted == 0, guard)
                .values(**values)
            ),
            what,
        )
        failed = update(migrations).where(ours, migrations.c.status == "done")
        one(connection.execute(failed.values(status="failed", updated_at=now())), f"tombstone of {what}")
        _put_missing(connection, link.table("console_auth_tokens"), images, ("id",))

    return change


def locked_server(connection: Connection, link: Link, rewrite: ServerRewrite) -> Any:
    """What of the row is compared; it cannot be changed by others until the end of the transaction."""
    table = link.table("instances")
    wanted = {"host", "node", "vm_state", "task_state", *rewrite.expected, *rewrite.changed}
    columns = [column for column in table.c if column.name in wanted]
    where = (table.c.uuid == rewrite.server_id, table.c.deleted == 0)
    row = connection.execute(select(*columns).where(*where).with_for_update()).one_or_none()
    if row is None:
        raise RecordsChangedError(f"server {rewrite.server_id}: is deleted")
    return row


def _expect(row: Any, expected: Mapping[str, Any], what: str) -> None:
    odd = _odd(row, expected, tuple(expected))
    if odd:
        raise RecordsChangedError(f"{what}: {odd}")


def _odd(row: Any, expected: Mapping[str, Any], names: Sequence[str]) -> str:
    """What is not as expected, exactly and in words."""
    found = row._mapping  # noqa: SLF001 - its public name
    different = [name for name in names if name in found and plain(found[name]) != expected.get(name)]
    return ", ".join(f"{name} is {plain(found[name])} and not {expected.get(name)}" for name in different)


# -- the bindings of its ports


def rewrite_bindings(link: Link, rewrite: BindingRewrite) -> Change:
    """Of those of its ports that still exist; one that is on the target already stays as it is."""

    def change(connection: Connection) -> None:
        ports = _locked_ports(connection, link, rewrite)
        active = _active(_bindings(connection, link, ports))
        # Without a host: Neutron is just binding it anew.
        move = [port for port in ports if active.get(port, []) not in ([rewrite.target], [""])]
        for port in move:
            _expect_there(port, active.get(port, []), rewrite.source)
        if not move:
            return
        only = replace(rewrite, port_ids=tuple(move))
        stale_levels, stale, move_bindings, move_levels = binding_statements(link, only)
        connection.execute(stale_levels)
        connection.execute(stale)
        one(connection.execute(move_bindings), f"ports of server {rewrite.server_id}", len(move))
        connection.execute(move_levels)

    return change


def binding_statements(link: Link, rewrite: BindingRewrite) -> tuple[Any, Any, Any, Any]:
    bindings, levels = link.table("ml2_port_bindings"), link.table("ml2_port_binding_levels")
    ours, ours_too = bindings.c.port_id.in_(rewrite.port_ids), levels.c.port_id.in_(rewrite.port_ids)
    values: dict[str, Any] = {"host": rewrite.target}
    if rewrite.unbind:
        values |= {"vif_type": "unbound", "vif_details": ""}
    return (
        delete(levels).where(ours_too, levels.c.host == rewrite.target),
        delete(bindings).where(ours, bindings.c.host == rewrite.target, bindings.c.status == "INACTIVE"),
        update(bindings)
        .where(ours, bindings.c.host == rewrite.source, bindings.c.status == "ACTIVE")
        .values(**values),
        update(levels).where(ours_too, levels.c.host == rewrite.source).values(host=rewrite.target),
    )


def restore_bindings(link: Link, images: Images, rewrite: BindingRewrite) -> Change:
    """Both tables' rows of those ports that still exist, on the two hosts; rows on others are not ours."""

    def change(connection: Connection) -> None:
        what = f"ports of server {rewrite.server_id}"
        bindings, levels = link.table("ml2_port_bindings"), link.table("ml2_port_binding_levels")
        _image(images, bindings.name, what)
        ports = _locked_ports(connection, link, rewrite)
        active = _active(_bindings(connection, link, ports))
        back = [port for port in ports if active.get(port, []) != [rewrite.source]]
        for port in back:
            _expect_there(port, active.get(port, []), rewrite.target)
        hosts = (rewrite.source, rewrite.target)
        for table in (levels, bindings):
            connection.execute(delete(table).where(table.c.port_id.in_(back), table.c.host.in_(hosts)))
        for table in (bindings, levels):
            rows = images.tables.get(table.name, ())
            _put_back(
                connection, table, [row for row in rows if row["port_id"] in back and row["host"] in hosts]
            )
        _restore_ports(connection, link.table("ports"), images, back)

    return change


def _restore_ports(connection: Connection, ports: Table, images: Images, port_ids: Sequence[str]) -> None:
    """Their status and owner, which Neutron's API changes with the binding."""
    for row in images.tables.get(ports.name, ()):
        if row["id"] in port_ids:
            values = {name: row[name] for name in RESTORED_PORT if name in row}
            connection.execute(update(ports).where(ports.c.id == row["id"]).values(**stored(ports, values)))


def _locked_ports(connection: Connection, link: Link, rewrite: BindingRewrite) -> list[str]:
    """Those that still exist, always in the same order; only compute ports of exactly this server."""
    ports = link.table("ports")
    query = (
        select(ports.c.id, ports.c.device_id, ports.c.device_owner)
        .where(ports.c.id.in_(rewrite.port_ids))
        .order_by(ports.c.id)
        .with_for_update()
    )
    rows = connection.execute(query).all()
    for row in rows:
        if row.device_id != rewrite.server_id or not (row.device_owner or "").startswith("compute:"):
            raise RecordsChangedError(
                f"port {row.id}: is {row.device_owner or 'nobody'}'s of {row.device_id or 'no server'}"
            )
    return [row.id for row in rows]


def _bindings(connection: Connection, link: Link, port_ids: Sequence[str]) -> list[Any]:
    table = link.table("ml2_port_bindings")
    columns = (table.c.port_id, table.c.host, table.c.status)
    query = select(*columns).where(table.c.port_id.in_(port_ids)).order_by(table.c.port_id, table.c.host)
    return list(connection.execute(query.with_for_update()))


def _active(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Port -> hosts it is active on: one, unless something is wrong."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.status == "ACTIVE":
            found.setdefault(row.port_id, []).append(row.host)
    return found


def _expect_there(port: str, hosts: Sequence[str], wanted: str) -> None:
    if list(hosts) != [wanted]:
        there = ", ".join(each or "no host" for each in hosts) or "no host"
        raise RecordsChangedError(f"port {port}: is bound on {there} and not on {wanted}")


# -- a volume's attachment


def rewrite_attachment(link: Link, rewrite: AttachmentRewrite) -> Change:
    def change(connection: Connection) -> None:
        row = _mapping(connection, link, rewrite)
        if row.attachment_id == rewrite.attachment:
            return
        _expect(row, {"attachment_id": rewrite.expected_attachment}, f"volume {row.volume_id}")
        one(connection.execute(attachment_statement(link, rewrite)), f"volume {row.volume_id}")

    return change


def attachment_statement(link: Link, rewrite: AttachmentRewrite, *, shown: bool = False) -> Any:
    table = link.table("block_device_mapping")
    info = HIDDEN if shown else json.dumps(dict(rewrite.connection_info))
    return (
        update(table)
        .where(
            table.c.id == rewrite.mapping_id,
            table.c.deleted == 0,
            table.c.attachment_id == rewrite.expected_attachment,
        )
        .values(attachment_id=rewrite.attachment, connection_info=info, updated_at=now())
    )


def restore_attachment(link: Link, images: Images, rewrite: AttachmentRewrite) -> Change:
    def change(connection: Connection) -> None:
        table = link.table("block_device_mapping")
        what = f"volume mapping {rewrite.mapping_id}"
        rows = _image(images, table.name, what)
        before = next((row for row in rows if row["id"] == rewrite.mapping_id), None)
        if before is None:
            raise RecordsChangedError(f"{what}: is not in the undo file")
        row = _mapping(connection, link, rewrite)
        if row.attachment_id == before["attachment_id"]:
            return
        _expect(row, {"attachment_id": rewrite.attachment}, what)
        values = {name: before[name] for name in ("attachment_id", "connection_info", "updated_at")}
        result = connection.execute(
            update(table)
            .where(table.c.id == rewrite.mapping_id, table.c.attachment_id == rewrite.attachment)
            .values(**stored(table, values))
        )
        one(result, what)

    return change


def _mapping(connection: Connection, link: Link, rewrite: AttachmentRewrite) -> Any:
    table = link.table("block_device_mapping")
    columns = (table.c.volume_id, table.c.attachment_id)
    query = select(*columns).where(table.c.id == rewrite.mapping_id, table.c.deleted == 0).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RecordsChangedError(f"volume mapping {rewrite.mapping_id}: is gone")
    return row


# -- before-images


def _image(images: Images, table: str, what: str) -> Sequence[Row]:
    rows = images.tables.get(table, ())
    if not rows:
        raise RecordsChangedError(f"{what}: the undo file has no row of {table}")
    return rows


def _put_back(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(insert(table), [stored(table, row) for row in rows])


def _put_missing(connection: Connection, table: Table, images: Images, key: Sequence[str]) -> None:
    for row in images.tables.get(table.name, ()):
        same = [table.c[name] == row[name] for name in key]
        if connection.execute(select(table.c[key[0]]).where(*same)).first() is None:
            _put_back(connection, table, [row])


def denied(link: Link, tables: Mapping[str, str]) -> Iterator[str]:
    """What the account may not do of `update`, `insert` and `delete` on these tables, in words."""
    for name, verbs in tables.items():
        table = link.table(name)
        column = next(iter(table.c))
        empty = select(*table.c).where(column.is_(None), column.is_not(None))
        tries = {
            "update": update(table).where(column.is_(None), column.is_not(None)).values({column: column}),
            "insert": insert(table).from_select([each.name for each in table.c], empty),
            "delete": delete(table).where(column.is_(None), column.is_not(None)),
        }
        for verb in verbs.split():
            if not link.allowed(tries[verb]):
                yield f"{verb} on {name} in {link.name}"
