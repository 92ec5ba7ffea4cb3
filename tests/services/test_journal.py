"""The journal on MariaDB: its contract as on SQLite, and what only a server can do to it."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text, update
from sqlalchemy.engine import Engine

from nodeops.engine import schema
from nodeops.engine.journal import Journal, RunState
from nodeops.engine.record import RunRecord
from nodeops.errors import ConfigurationError, JournalLostError
from nodeops.outcome import StepState
from nodeops.plan import Plan
from tests.unit.engine import test_journal as contract
from tests.unit.engine.plans import CLOUD, disable, drain, live

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("services")]

SQLITE_ONLY = {"test_every_commit_is_on_the_disk"}
WHO, PLAN = contract.WHO, contract.PLAN


@pytest.fixture
def journal(mariadb: str) -> Iterator[Journal]:
    journal = Journal.open(mariadb)
    yield journal
    journal.close()


def of_the_contract() -> dict[str, Callable[..., None]]:
    """Every test of the SQLite journal that needs nothing but a journal."""
    found: dict[str, Callable[..., None]] = {}
    for name, function in vars(contract).items():
        if not name.startswith("test_") or name in SQLITE_ONLY:
            continue
        if set(inspect.signature(function).parameters) == {"journal"}:
            found[name] = function
    return found


globals().update(of_the_contract())


def test_the_contract_was_found() -> None:
    assert len(of_the_contract()) >= 12
    assert all(name in globals() for name in of_the_contract())


def connection_id(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())


def kill(url: str, number: int) -> None:
    server = create_engine(url)
    with server.connect() as connection:
        connection.execute(text(f"KILL {number}"))
    server.dispose()


def sent_states(record: RunRecord) -> list[StepState]:
    return [row.state for row in record.rows().values()]


def test_an_idle_connection_that_was_cut_is_replaced(journal: Journal, mariadb: str) -> None:
    record = journal.begin(PLAN, WHO)
    kill(mariadb, connection_id(journal.engine))
    record.sending(PLAN.steps[1], 1, 100.0)
    assert StepState.SENT in sent_states(record)
    record.leave(0, "")


@pytest.mark.parametrize("statement", ["UPDATE nodeops_steps", "INSERT INTO nodeops_events"])
def test_a_connection_cut_in_mid_transaction_leaves_nothing_half_written(
    journal: Journal, mariadb: str, statement: str
) -> None:
    record = journal.begin(PLAN, WHO)
    cut: list[int] = []

    def cutting(connection: Any, _cursor: Any, words: str, *_rest: Any) -> None:
        if words.startswith(statement) and not cut:
            cut.append(connection.connection.thread_id())
            kill(mariadb, cut[0])

    event.listen(journal.engine, "before_cursor_execute", cutting)
    with pytest.raises(JournalLostError, match="cannot be written"):
        record.sending(PLAN.steps[1], 1, 100.0)
    assert len(cut) == 1
    assert set(sent_states(record)) == {StepState.PENDING}
    assert journal.events(record.id) == ()
    record.sending(PLAN.steps[1], 1, 101.0)
    assert StepState.SENT in sent_states(record)
    record.leave(0, "")


def test_a_cut_before_commit_is_as_if_nothing_was_written(journal: Journal, mariadb: str) -> None:
    record = journal.begin(PLAN, WHO)
    cut: list[int] = []

    def cutting(connection: Any) -> None:
        if not cut:
            cut.append(connection.connection.thread_id())
            kill(mariadb, cut[0])

    event.listen(journal.engine, "commit", cutting)
    with pytest.raises(JournalLostError):
        record.sending(PLAN.steps[1], 1, 100.0)
    assert set(sent_states(record)) == {StepState.PENDING}
    record.leave(0, "")


def test_a_journal_that_is_locked_by_a_dead_transaction_is_free_again(journal: Journal, mariadb: str) -> None:
    """A client that vanished in mid-transaction: the server rolls it back and frees its row locks."""
    run = journal.begin(PLAN, WHO).id
    vanishing = create_engine(mariadb)
    with vanishing.connect() as connection:
        connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(exit_code=99))
        kill(mariadb, int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()))
        connection.invalidate()
    vanishing.dispose()
    assert journal.run(run).exit_code is None
    contract.dies(journal, run)
    journal.begin(PLAN, WHO).leave(0, "")


def test_a_newer_journal_is_refused(mariadb: str) -> None:
    journal = Journal.open(mariadb)
    with journal.engine.begin() as connection:
        connection.execute(update(schema.meta).values(value=str(schema.JOURNAL_VERSION + 1)))
    journal.close()
    with pytest.raises(ConfigurationError, match=f"has version {schema.JOURNAL_VERSION + 1}") as caught:
        Journal.open(mariadb)
    assert str(make_url(mariadb).password) not in caught.value.message.replace("test_", "")


def test_no_password_is_needed_in_the_url(mariadb: str, tmp_path: Path) -> None:
    """As the inventory's documentation says: `?read_default_file=`."""
    url = make_url(mariadb)
    options = tmp_path / "mysql.cnf"
    options.write_text(f"[client]\npassword = {url.password}\n")
    without = url._replace(password=None).update_query_dict({"read_default_file": str(options)})
    journal = Journal.open(without.render_as_string())
    journal.begin(PLAN, WHO).leave(0, "")
    assert len(journal.runs()) == 1
    journal.close()


def test_a_wrong_password_and_a_missing_database_are_configuration_errors(mariadb: str) -> None:
    url = make_url(mariadb)
    for wrong in (url.set(password="s3cret-s3cret"), url.set(database="nowhere_at_all")):
        with pytest.raises(ConfigurationError, match="cannot be used") as caught:
            Journal.open(wrong.render_as_string(hide_password=False))
        assert "s3cret" not in caught.value.message + caught.value.hint


def names(word: str) -> Plan:
    return drain(disable(word), live("s1"), host=word)


def test_names_are_kept_as_they_are_whatever_the_databases_character_set(mariadb: str) -> None:
    url = make_url(mariadb)
    server = create_engine(url)
    with server.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {url.database} CHARACTER SET latin1"))
    server.dispose()
    journal = Journal.open(mariadb)
    plan = names("wirt-größe-🦊")
    record = journal.begin(plan, WHO)
    assert journal.run(record.id).plan == plan
    assert journal.run(record.id).host == plan.host
    record.leave(0, "")
    journal.close()


def test_hosts_that_differ_in_case_are_different_hosts(journal: Journal) -> None:
    lower, upper = journal.begin(names("c01"), WHO), journal.begin(names("C01"), WHO)
    assert [run.id for run in journal.runs(cloud=CLOUD, host="c01")] == [lower.id]
    assert [run.id for run in journal.runs(cloud=CLOUD, host="C01")] == [upper.id]
    assert {run.state for run in journal.runs()} == {RunState.RUNNING}
    for record in (lower, upper):
        record.leave(0, "")
