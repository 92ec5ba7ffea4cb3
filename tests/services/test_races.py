"""Several at the same moment, on either database: one gets the host, the others are told so."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest

from nodeops.engine.journal import Journal
from nodeops.engine.record import RunRecord
from nodeops.errors import HostBusyError
from tests.unit.engine.test_journal import PLAN, WHO, dies

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("services")]

CONTENDERS, ROUNDS = 6, 5
Result = TypeVar("Result")


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    found: str = request.getfixturevalue("mariadb")
    return found


@pytest.fixture
def journals(url: str) -> Iterator[list[Journal]]:
    opened = [Journal.open(url) for _ in range(CONTENDERS)]
    yield opened
    for journal in opened:
        journal.close()


def at_once(work: list[Callable[[], Result]]) -> list[Result]:
    barrier = Barrier(len(work))

    def one(each: Callable[[], Result]) -> Result:
        barrier.wait()
        return each()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


def begins(journal: Journal) -> Callable[[], RunRecord | HostBusyError]:
    def work() -> RunRecord | HostBusyError:
        try:
            return journal.begin(PLAN, WHO)
        except HostBusyError as busy:
            return busy

    return work


def winner(results: list[RunRecord | HostBusyError]) -> RunRecord:
    records = [each for each in results if isinstance(each, RunRecord)]
    assert len(records) == 1, results
    assert all(records[0].id in each.message for each in results if isinstance(each, HostBusyError))
    return records[0]


def test_a_free_host_is_taken_by_one(journals: list[Journal]) -> None:
    for _ in range(ROUNDS):
        record = winner(at_once([begins(journal) for journal in journals]))
        record.prove_lock()
        record.leave(0, "")
        with journals[0].engine.begin() as connection:
            connection.exec_driver_sql("UPDATE nodeops_runs SET active_key = NULL")
    assert len(journals[0].runs()) == ROUNDS


def test_a_dead_mans_run_is_adopted_by_one(journals: list[Journal]) -> None:
    run = journals[0].begin(PLAN, WHO).id
    for number in range(1, ROUNDS + 1):
        dies(journals[0], run)
        record = winner(at_once([begins(journal) for journal in journals]))
        assert (record.id, record.resumed) == (run, True)
        assert journals[0].run(run).resumed == number
        record.prove_lock()
    record.leave(0, "")


def test_the_first_use_of_a_database_by_several(url: str) -> None:
    for journal in at_once([lambda: Journal.open(url)] * CONTENDERS):
        assert journal.runs() == ()
        journal.close()
