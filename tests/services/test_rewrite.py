"""Records rewritten and put back on the real schemas of three releases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from nodeops.clients.databases import DatabaseRecords
from nodeops.clients.databases.cells import filled
from nodeops.errors import ConfigurationError, DatabaseError, RecordsChangedError
from nodeops.model.records import BindingRewrite
from tests.services.clouds import OTHER_CELL, RELEASES, SECRET, Cloud, cloud, uuid
from tests.services.postgresql import server as postgresql_server

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("services")]
_numbers = count(1)
PLACES = [*((release, "mariadb") for release in RELEASES), ("2024.1", "postgresql")]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=PLACES, ids=["-".join(place) for place in PLACES])
def there(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """A cloud of each release, and the newest that runs on PostgreSQL too."""
    release, engine = request.param
    url = request.getfixturevalue("mariadb_server" if engine == "mariadb" else "postgresql")
    with cloud(engine, url, release, f"cloud{next(_numbers)}") as found:
        yield found


@pytest.fixture
def here(mariadb_server: str) -> Iterator[Cloud]:
    """A cloud of the newest release."""
    with cloud("mariadb", mariadb_server, "2026.2", f"cloud{next(_numbers)}") as found:
        yield found


def rewrite(there: Cloud, server_id: str) -> None:
    """All three writes of one server."""
    there.records.rewrite_bindings(there.bindings_of(server_id))
    there.records.rewrite_attachment(there.attachment_of(server_id), "c01")
    there.records.rewrite_server(there.rewrite_of(server_id), "c01")


def test_the_schema_is_known(there: Cloud) -> None:
    schema = there.records.schema("c01")
    assert schema.known
    assert schema.has_compute_id is ("Zed" not in schema.releases)
    assert there.records.rights("c01") == ()


def test_a_server_is_rewritten_and_nothing_else(there: Cloud) -> None:
    server_id, other = there.add_server("s1"), there.add_server("s2")
    there.add_port("dhcp", "dhcp-agent", "c01", "network:dhcp")
    there.bind(uuid("port s1"), "c02", "INACTIVE")
    before = there.everything()
    rewrite(there, server_id)
    after = there.everything()
    record = there.server(server_id)
    assert (record.host, record.node, record.zone, record.power_state) == ("c02", "c02.example", "az2", 0)
    assert {each.host for each in record.bindings} == {"c02"}
    assert [each.levels for each in record.bindings] == [2]
    assert record.volumes[0].attachment_id == uuid("new")
    assert record.updated_at > "2026-11-20"
    assert [each.status for each in there.records.tombstones("c01")] == ["done"]
    assert there.rows("nova", "console_auth_tokens", instance_uuid=server_id) == []
    for table, rows in before.items():
        ours = {server_id, uuid("port s1")}
        untouched = [row for row in rows if not ours & {str(value) for value in row.values()}]
        assert [row for row in after[table] if row in untouched] == untouched, table
    assert there.server(other).host == "c01"


def test_an_undo_puts_back_byte_for_byte(there: Cloud) -> None:
    server_id = there.add_server("s1")
    there.bind(uuid("port s1"), "c02", "INACTIVE")
    before, images = there.everything(), there.records.images([server_id], "c01")[server_id]
    moved, bound = there.rewrite_of(server_id), there.bindings_of(server_id, unbind=True)
    attached = there.attachment_of(server_id)
    there.records.rewrite_bindings(bound)
    there.records.rewrite_attachment(attached, "c01")
    there.records.rewrite_server(moved, "c01")
    there.records.restore_server(images, moved, "c01")
    there.records.restore_attachment(images, attached, "c01")
    there.records.restore_bindings(images, bound)
    assert there.everything() == before
    assert [each.status for each in there.records.tombstones("c01")] == ["failed"]
    there.records.rewrite_server(moved, "c01")
    assert there.server(server_id).host == "c02"
    assert [each.status for each in there.records.tombstones("c01")] == ["done"]


def test_a_tombstone_that_is_completed_forbids_the_undo(there: Cloud) -> None:
    server_id = there.add_server("s1")
    images, moved = there.records.images([server_id], "c01")[server_id], there.rewrite_of(server_id)
    there.records.rewrite_server(moved, "c01")
    there.change("nova", "UPDATE migrations SET status = 'completed'")
    with pytest.raises(RecordsChangedError, match="removed its copy"):
        there.records.restore_server(images, moved, "c01")
    assert there.server(server_id).host == "c02"


@pytest.mark.parametrize("what", ["server", "bindings", "attachment"])
def test_cut_off_after_any_statement_it_is_whole_or_not_at_all(there: Cloud, what: str) -> None:
    server_id = there.add_server("s1")
    there.bind(uuid("port s1"), "c02", "INACTIVE")
    moved, bound = there.rewrite_of(server_id), there.bindings_of(server_id)
    attached = there.attachment_of(server_id)
    doings: dict[str, Callable[[], None]] = {
        "server": lambda: there.records.rewrite_server(moved, "c01"),
        "bindings": lambda: there.records.rewrite_bindings(bound),
        "attachment": lambda: there.records.rewrite_attachment(attached, "c01"),
    }
    before = there.everything()
    for number in range(1, 20):
        with Cut(there.records, number) as cut, suppress(KeyboardInterrupt):
            doings[what]()
        if not cut.fell:
            break
        assert there.everything() == before, f"statement {number}"
    assert number > 2
    after = there.everything()
    assert after != before
    doings[what]()
    assert there.everything() == after


class Cut:
    """Ends what is being done after the n-th statement of the records, as a kill would."""

    def __init__(self, records: DatabaseRecords, number: int) -> None:
        self.number = number
        self.fell = False
        self.engines: list[Engine] = [each for link in records._links.values() for each in link.engines]

    def __enter__(self) -> Self:
        for engine in self.engines:
            event.listen(engine, "after_cursor_execute", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self.engines:
            event.remove(engine, "after_cursor_execute", self._count)
            engine.dispose()

    def _count(self, *_: object) -> None:
        self.number -= 1
        if self.number == 0:
            self.fell = True
            raise KeyboardInterrupt


def test_a_server_that_was_moved_meanwhile_is_left_alone(here: Cloud) -> None:
    server_id = here.add_server("s1")
    moved = here.rewrite_of(server_id)
    here.change("nova", "UPDATE instances SET host = 'c03', node = 'c03.example'")
    before = here.everything()
    with pytest.raises(RecordsChangedError, match="host is c03"):
        here.records.rewrite_server(moved, "c01")
    assert here.everything() == before
    assert here.records.tombstones("c01") == ()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE instances SET vm_state = 'stopped'", "vm_state"),
        ("UPDATE instances SET task_state = 'rebooting'", "task_state"),
        ("UPDATE instances SET updated_at = '2026-11-21 00:00:00'", "updated_at"),
        ("UPDATE instances SET deleted = id", "deleted"),
        ("UPDATE instances SET host = 'C01'", "host is C01"),
    ],
)
def test_a_row_that_is_not_as_planned_is_left_alone(here: Cloud, statement: str, words: str) -> None:
    server_id = here.add_server("s1")
    moved = here.rewrite_of(server_id)
    here.change("nova", statement)
    before = here.everything()
    with pytest.raises(RecordsChangedError, match=words):
        here.records.rewrite_server(moved, "c01")
    assert here.everything() == before


def test_names_are_compared_exactly(here: Cloud) -> None:
    """The collation of Nova's tables takes c01, C01 and `c01 ` for one."""
    here.add_server("small")
    here.add_server("large", host="C01")
    assert [each.name for each in here.host_records().servers] == ["small"]


def test_a_port_of_somebody_else_is_left_alone(here: Cloud) -> None:
    server_id = here.add_server("s1")
    bound = here.bindings_of(server_id)
    here.change("neutron", "UPDATE ports SET device_owner = 'network:dhcp'")
    with pytest.raises(RecordsChangedError, match="network:dhcp"):
        here.records.rewrite_bindings(bound)
    here.change("neutron", "UPDATE ports SET device_owner = 'compute:az1'")
    here.change("neutron", "UPDATE ml2_port_bindings SET host = 'c03'")
    with pytest.raises(RecordsChangedError, match="is bound on c03"):
        here.records.rewrite_bindings(bound)


def test_a_port_that_is_there_already_or_deleted_does_not_hold_up_the_others(here: Cloud) -> None:
    server_id = here.add_server("s1")
    here.add_port("there", server_id, "c02")
    before, images = here.everything(), here.records.images([server_id], "c01")[server_id]
    ports = (uuid("port s1"), uuid("port there"), uuid("port deleted"))
    bound = BindingRewrite(server_id, ports, "c01", "c02")
    here.records.rewrite_bindings(bound)
    assert {each.host for each in here.server(server_id).bindings} == {"c02"}
    here.records.restore_bindings(images, bound)
    assert here.everything() == before


def test_a_port_that_is_active_on_both_hosts_is_left_alone(here: Cloud) -> None:
    server_id = here.add_server("s1")
    here.bind(uuid("port s1"), "c02")
    before = here.everything()
    with pytest.raises(RecordsChangedError, match="is bound on c01, c02 and not on c01"):
        here.records.rewrite_bindings(BindingRewrite(server_id, (uuid("port s1"),), "c01", "c02"))
    assert here.everything() == before


@pytest.mark.parametrize("changed", ["vm_state = 'error'", "power_state = 1", "availability_zone = 'az3'"])
def test_a_row_that_is_no_longer_ours_is_not_put_back(here: Cloud, changed: str) -> None:
    server_id = here.add_server("s1")
    moved, images = here.rewrite_of(server_id), here.records.images([server_id], "c01")[server_id]
    here.records.rewrite_server(moved, "c01")
    here.change("nova", f"UPDATE instances SET {changed}")  # noqa: S608 - the parameter above
    before = here.everything()
    with pytest.raises(RecordsChangedError, match=changed.partition(" ")[0]):
        here.records.restore_server(images, moved, "c01")
    assert here.everything() == before
    assert here.records.tombstones("c01")[0].status == "done"


def test_what_ties_a_server_to_its_host_is_seen(here: Cloud) -> None:
    server_id = here.add_server("s1")
    (plain,) = here.host_records().servers
    ties = [plain.numa, plain.pci, plain.resources, plain.shares, plain.migration_context]
    assert ties == [False] * len(ties)
    assert plain.volumes[0].driver == "iscsi"
    here.change(
        "nova",
        'UPDATE instance_extra SET numa_topology = \'{"nova_object.data": {"cells": [{}]}}\', '
        'pci_requests = \'[{"count": 1}]\', migration_context = \'{"nova_object.data": {"id": 1}}\', '
        'resources = \'{"nova_object.data": {"objects": [1]}}\'',
    )
    here.add(
        "nova", "migrations", instance_uuid=server_id, status="migrating", migration_type="resize", deleted=0
    )
    (tied,) = here.host_records().servers
    assert tied.numa
    assert tied.pci
    assert tied.resources
    assert tied.migration_context
    assert tied.open_migrations == ("resize migrating",)


def test_the_number_of_queries_does_not_grow_with_the_servers(here: Cloud) -> None:
    def queries() -> int:
        with Counted(here.records) as counted:
            here.host_records()
        return counted.number

    here.add_server("s0")
    queries()
    few = queries()
    for number in range(1, 30):
        here.add_server(f"s{number}")
    assert queries() == few


class Counted:
    def __init__(self, records: DatabaseRecords) -> None:
        self.number = 0
        self.engines = [each for link in records._links.values() for each in link.engines]

    def __enter__(self) -> Self:
        for engine in self.engines:
            event.listen(engine, "before_cursor_execute", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self.engines:
            event.remove(engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.number += 1


def test_a_deadlock_is_tried_again(here: Cloud) -> None:
    """A second session holds the tombstones' table and wants the server's row."""
    server_id = here.add_server("s1")
    here.add_server("s2")
    moved, images = here.rewrite_of(server_id), here.records.images([server_id], "c01")[server_id]
    here.records.rewrite_server(moved, "c01")
    other = create_engine(here.urls["nova"])
    with other.connect() as connection:
        begun = connection.begin()
        # Rows that many others depend on make it the heavier of the two: the lighter one is ended.
        connection.execute(text("UPDATE block_device_mapping SET device_name = 'x'"))
        connection.execute(text("UPDATE migrations SET memory_total = 1"))
        thread = threading.Thread(target=here.records.restore_server, args=(images, moved, "c01"))
        thread.start()
        _await_lock(here)
        connection.execute(text("UPDATE instances SET hostname = 'x' WHERE uuid = :id"), {"id": server_id})
        begun.commit()
        thread.join(30)
    other.dispose()
    assert here.server(server_id).host == "c01"


def test_a_lock_that_another_holds_is_waited_for_and_tried_again(here: Cloud) -> None:
    server_id = here.add_server("s1")
    moved, pauses = here.rewrite_of(server_id), list[float]()
    other = create_engine(here.urls["nova"])
    with other.connect() as connection:
        begun = connection.begin()
        connection.execute(text("UPDATE instances SET hostname = 'x' WHERE uuid = :id"), {"id": server_id})

        def let_go(seconds: float) -> None:
            pauses.append(seconds)
            begun.commit()

        link = here.records._nova("c01")
        link._sleep = let_go
        with link.engine.connect() as mine:
            mine.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
        here.records.rewrite_server(moved, "c01")
    other.dispose()
    assert len(pauses) == 1
    assert here.server(server_id).host == "c02"


def _await_lock(here: Cloud) -> None:
    """Until somebody waits for a lock."""
    waiting = text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    for _ in range(100):
        with here.engines["nova"].connect() as connection:
            if connection.execute(waiting).scalar_one():
                return
        threading.Event().wait(0.2)  # asked more often than each 0.1 s that table is never made anew
    raise TimeoutError


def test_an_account_without_rights_is_told_before_the_first_write(here: Cloud, mariadb_server: str) -> None:
    name = make_url(here.urls["nova"]).database
    admin = create_engine(mariadb_server)
    user = f"reader{next(_numbers)}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE USER {user} IDENTIFIED BY 'only-reads'"))
        connection.execute(text(f"GRANT SELECT ON {name}.* TO {user}"))
    admin.dispose()
    poor = make_url(here.urls["nova"]).set(username=user, password="only-reads")
    urls = {**here.urls, "nova": poor.render_as_string(hide_password=False)}
    records = DatabaseRecords(lambda database, _host: urls.get(database))
    missing = records.rights("c01")
    assert "update on instances in nova's cell database" in missing
    assert "insert on migrations in nova's cell database" in missing
    records.close()


def test_the_rights_that_the_page_names_are_enough(here: Cloud, mariadb_server: str) -> None:
    page = Path("docs/configuration.md").read_text(encoding="utf-8")
    grants = [line for line in page.splitlines() if line.startswith("GRANT ") and " cinder" not in line]
    names = {name: make_url(url).database for name, url in here.urls.items()}
    account = f"rights{next(_numbers)}"
    admin = create_engine(mariadb_server)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE USER {account} IDENTIFIED BY 'right-Pa55'"))
        for grant in grants:
            words = grant.replace(" TO nodeops;", f" TO {account}")
            for page_name, name in (
                ("nova_api.", "nova_api"),
                ("nova_cell1.", "nova"),
                ("neutron.", "neutron"),
            ):
                words = words.replace(f" {page_name}", f" {names[name]}.")
            connection.execute(text(words))
    admin.dispose()
    urls = {
        name: make_url(url).set(username=account, password="right-Pa55").render_as_string(hide_password=False)
        for name, url in here.urls.items()
    }
    server_id = here.add_server("s1")
    moved, bound, attached = (
        here.rewrite_of(server_id),
        here.bindings_of(server_id),
        here.attachment_of(server_id),
    )
    before = here.everything()
    records = DatabaseRecords(lambda name, _host: urls.get(name))
    assert records.rights("c01") == ()
    images = records.images([server_id], "c01")[server_id]
    records.rewrite_bindings(bound)
    records.rewrite_attachment(attached, "c01")
    records.rewrite_server(moved, "c01")
    assert here.everything() != before
    records.restore_server(images, moved, "c01")
    records.restore_attachment(images, attached, "c01")
    records.restore_bindings(images, bound)
    assert here.everything() == before
    records.close()


def test_a_wrong_password_is_told_without_it(here: Cloud) -> None:
    url = make_url(here.urls["nova"]).set(password="wrong-secret").render_as_string(hide_password=False)
    records = DatabaseRecords(lambda database, _host: {**here.urls, "nova": url}.get(database))
    with pytest.raises(DatabaseError) as caught:
        records.schema("c01")
    assert "Access denied" in str(caught.value)
    assert "wrong-secret" not in f"{caught.value}{caught.value.hint}{records}"
    records.close()


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    url = f"mysql+pymysql://nobody@localhost/nova?unix_socket={tmp_path}/none"
    records = DatabaseRecords(lambda _database, _host: url)
    with pytest.raises(DatabaseError, match="nova's API database"):
        records.schema("c01")


def test_an_unknown_revision_is_said_to_be_one(here: Cloud) -> None:
    here.change("nova", "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert not here.records.schema("c01").known


def test_a_host_of_another_cell(here: Cloud) -> None:
    here.add_host("c09", OTHER_CELL)
    records = here.records.host_records("c01", "c09")
    assert records.target is not None
    assert records.target.cell == OTHER_CELL != records.source.cell


def test_a_host_that_the_configured_database_does_not_know_is_looked_for_in_its_cell(here: Cloud) -> None:
    here.add_host("c09", OTHER_CELL)
    nova = make_url(here.urls["nova"]).database
    here.change("nova", f"CREATE DATABASE {nova}_2")
    for name in ("services", "compute_nodes", "alembic_version"):
        here.change("nova", f"CREATE TABLE {nova}_2.{name} LIKE {name}")
    for name in ("services", "compute_nodes"):
        there = f"{name} WHERE host = 'c09'"
        here.change("nova", f"INSERT INTO {nova}_2.{name} SELECT * FROM {there}")  # noqa: S608 - names of ours
        here.change("nova", f"DELETE FROM {there}")  # noqa: S608 - names of ours
    template = "{scheme}://{username}:{password}@{hostname}:{port}/" + f"{nova}_2"
    here.change(
        "nova_api",
        "UPDATE cell_mappings SET database_connection = :url WHERE uuid = :cell",
        url=template,
        cell=OTHER_CELL,
    )
    target = here.host_records("c01", "c09").target
    assert target is not None
    assert (target.cell, target.nodes, target.node) == (OTHER_CELL, 1, "c09.example")
    here.change("nova", f"DROP DATABASE {nova}_2")


def test_a_cell_is_found_by_its_mapping(here: Cloud) -> None:
    url = here.urls["nova"]
    here.change("nova_api", "UPDATE cell_mappings SET database_connection = :url", url=url)
    urls = {name: each for name, each in here.urls.items() if name != "nova"}
    records = DatabaseRecords(lambda database, _host: urls.get(database))
    assert records.schema("c01").known
    here.change("nova_api", "UPDATE cell_mappings SET database_connection = '{scheme}://{hostname}/nova'")
    again = DatabaseRecords(lambda database, _host: urls.get(database))
    with pytest.raises(ConfigurationError, match="template"):
        again.schema("c01")
    for each in (records, again):
        each.close()


def test_a_template_is_filled_with_the_parts_of_the_address() -> None:
    template = "{scheme}://{username}:{password}@{hostname}:{port}/cell1?{query}"
    values = "mysql+pymysql://nova:pw@db:3306/nova_api?charset=utf8"
    assert filled(template, values, "1") == "mysql+pymysql://nova:pw@db:3306/cell1?charset=utf8"


def test_statements_are_shown_with_values_and_without_secrets(here: Cloud) -> None:
    server_id = here.add_server("s1")
    shown = [
        *here.records.statements(here.rewrite_of(server_id), "c01"),
        *here.records.statements(here.bindings_of(server_id), "c01"),
        *here.records.statements(here.attachment_of(server_id), "c01"),
    ]
    assert any("UPDATE instances SET" in each and "host='c02'" in each for each in shown)
    assert any("INSERT INTO migrations" in each for each in shown)
    assert SECRET not in " ".join(shown)
