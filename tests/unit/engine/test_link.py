"""The cloud does not answer for a while, or for good; a signal comes; the journal or the lock is lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from nodeops.engine import schema
from nodeops.engine.signals import Stop
from nodeops.errors import ApiError, JournalLostError, LockLostError
from nodeops.events import Event, StepSent
from nodeops.outcome import StepState
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import Behaviour, FaultKind, small_cloud
from tests.unit.engine.plans import disable, drain, live
from tests.unit.engine.runs import Run


def test_a_link_that_comes_back(tmp_path: Path) -> None:
    world = small_cloud(servers=4)
    start = world.nova.clock.now()
    world.down = lambda now: 4 < now - start < 300
    run = Run(world, tmp_path)
    execution = run.go(drain(disable(), *(live(f"s0{n}") for n in (1, 2, 3, 4))))
    assert set(run.states(execution).values()) == {StepState.DONE}
    assert sorted(world.nova.arrived) == sorted(
        [("disable", "service-c01"), *(("live_migrate", f"s0{n}") for n in (1, 2, 3, 4))]
    )
    assert "the cloud does not answer, nothing is sent" in run.notes()
    assert "the cloud has not answered for 3 min" in run.notes()
    assert "the cloud answers again" in run.notes()
    asked = [call for call in world.calls if 4 < call.at - start < 300]
    assert len(asked) < 25, "it backs off"


def test_a_link_that_does_not_come_back(tmp_path: Path) -> None:
    world = small_cloud(servers=4)
    start = world.nova.clock.now()
    world.down = lambda now: now - start > 4
    run = Run(world, tmp_path)
    execution = run.go(drain(disable(), *(live(f"s0{n}", expected=3) for n in (1, 2, 3, 4))))
    assert "the cloud did not answer for 600 s" in execution.lost
    assert StepState.SENT in run.states(execution).values()
    assert execution.still_running
    assert 600 < world.nova.clock.now() - start < 700
    world.down = lambda _: False
    again = run.go(drain(disable(), *(live(server) for server, host in run.hosts().items() if host == "c01")))
    assert set(run.hosts().values()) == {"c02"}
    assert again.lost == ""
    assert len([each for each in world.nova.arrived if each[0] == "live_migrate"]) == 4


def test_nothing_is_sent_while_nothing_is_seen(tmp_path: Path) -> None:
    world = small_cloud(servers=3)
    start = world.nova.clock.now()
    world.down = lambda now: now - start > 1
    run = Run(world, tmp_path, MoveOptions(canary=False, parallel=1))
    run.go(drain(*(live(f"s0{n}") for n in (1, 2, 3))))
    assert [call for call in world.writes if call.at - start > 1] == []


def test_an_api_that_takes_no_requests_is_waited_for(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    busy_until = world.nova.clock.now() + 120
    real = world.nova.live_migrate

    def live_migrate(server_id: str, target: str | None, request_id: str) -> None:
        if world.nova.clock.now() < busy_until:
            raise ApiError("service unavailable", status=503)
        real(server_id, target, request_id)

    world.nova.live_migrate = live_migrate  # type: ignore[method-assign]  # a busy API
    run = Run(world, tmp_path, MoveOptions(canary=False, retries=0))
    execution = run.go(drain(live("s01")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.attempts) == (StepState.DONE, 1)
    assert len(world.named("live_migrate")) < 40


def test_one_server_that_cannot_be_asked_does_not_stop_the_others(tmp_path: Path) -> None:
    world = small_cloud(servers=3)

    def broken(name: str, arguments: tuple[object, ...]) -> None:
        if name == "server" and arguments == ("s01",):
            raise ApiError("s01: internal server error", status=500)

    world.before.append(broken)
    run = Run(world, tmp_path, MoveOptions(canary=False, parallel=1))
    execution = run.go(drain(live("s01", expected=9), live("s02"), live("s03")))
    assert run.result(execution, "live-migrate:s01").state is StepState.UNKNOWN
    assert "could not be looked at for" in run.result(execution, "live-migrate:s01").words
    assert (run.hosts()["s02"], run.hosts()["s03"]) == ("c02", "c02")


def stop_at_first_send(run: Run, number: int = signal.SIGTERM) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, StepSent) and not run.stop.asked:
            run.stop.ask(number)

    run.on_event = on_event


def test_a_signal_begins_nothing_new_and_says_what_still_runs(tmp_path: Path) -> None:
    world = small_cloud(servers=3)
    run = Run(world, tmp_path)
    stop_at_first_send(run)
    execution = run.go(drain(live("s01", expected=9), live("s02"), live("s03")))
    assert execution.interrupted_by == signal.SIGTERM
    assert list(execution.still_running) == ["s01"]
    assert "live-migrate to c02" in execution.still_running["s01"]
    assert [call.name for call in world.writes] == ["live_migrate"]
    assert run.states(execution) == {
        "live-migrate:s01": StepState.SENT,
        "live-migrate:s02": StepState.PENDING,
        "live-migrate:s03": StepState.PENDING,
    }
    run.stop = Stop()
    run.on_event = None
    run.go(drain(live("s01"), live("s02"), live("s03")))
    assert set(run.hosts().values()) == {"c02"}
    assert len(world.named("live_migrate")) == 3


def test_the_second_signal_ends_at_once() -> None:
    stop = Stop()
    stop.ask(signal.SIGINT)
    with pytest.raises(SystemExit) as caught:
        stop.ask(signal.SIGTERM)
    assert caught.value.code == 143


def test_signals_of_the_system_are_heard_and_wake_a_sleep() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Stop().listening() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        stop.wait(60)
        assert stop.number == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) is before


def changed_once_one_is_sent(tmp_path: Path, change: Callable[[Connection], object]) -> Run:
    """The journal is changed as soon as the first of three moves was sent."""
    run = Run(small_cloud(servers=3), tmp_path, MoveOptions(canary=False, parallel=1))

    def strike(event: Event) -> None:
        if isinstance(event, StepSent):
            with run.journal.engine.begin() as connection:
                change(connection)

    run.on_event = strike
    return run


def fill_the_disk(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    connection.exec_driver_sql("CREATE TABLE filler (text TEXT)")


def lose_the_table(connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE nodeops_events")


def take_over(connection: Connection) -> None:
    connection.execute(update(schema.runs).values(owner_token="somebody else"))


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (fill_the_disk, Exception, "full"),
        (lose_the_table, JournalLostError, None),
        (take_over, LockLostError, None),
    ],
    ids=["full-disk", "journal-that-cannot-be-written", "paused-and-run-lost"],
)
def test_nothing_more_is_sent_without_a_journal_of_ones_own(
    tmp_path: Path, change: Callable[[Connection], None], kind: type[Exception], words: str | None
) -> None:
    run = changed_once_one_is_sent(tmp_path, change)
    with pytest.raises(kind, match=words):
        run.go(drain(*(live(f"s0{n}") for n in (1, 2, 3))))
    assert len(run.world.writes) == 1


def test_an_abort_that_is_lost_is_not_believed(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.NEVER
    run = Run(world, tmp_path)

    def lose_aborts(name: str, arguments: tuple[object, ...]) -> None:
        if name == "abort_migration":
            world.faults[len(world.calls)] = FaultKind.DROP_BEFORE

    world.before.append(lose_aborts)
    execution = run.go(drain(live("s01", budget=60)))
    result = run.result(execution, "live-migrate:s01")
    assert result.state is StepState.UNKNOWN
    assert "could not be aborted" in result.words
    assert "s01" in execution.still_running
