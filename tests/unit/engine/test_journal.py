"""The journal keeps what it is told, for the one who holds the lock."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from nodeops.engine import schema
from nodeops.engine.history import Sample, fit
from nodeops.engine.journal import Journal, RunState, Who
from nodeops.engine.lock import LEASE_SECONDS
from nodeops.errors import (
    ConfigurationError,
    HostBusyError,
    JournalLostError,
    LockLostError,
    UnknownRunError,
)
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Finding, Level, Plan, Step, Verdict
from tests.unit.engine.plans import CLOUD, disable, drain, live

WHO = Who("ann", "desk", "admin", "nodeops drain c01")
PLAN = drain(disable(), live("s1"), live("s2", "c03"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(f"sqlite:///{tmp_path}/deep/journal.db")
    yield journal
    journal.close()


def done(step: Step, seconds: float = 4.0) -> StepResult:
    return StepResult(
        step.id, step.subject_id, step.action, StepState.DONE, "is there", "req-1", step.target, 1, seconds
    )


def outcome(run_id: str, plan: Plan, **verdicts: Verdict) -> Outcome:
    results = tuple(
        ServerResult(server.id, server.name, server.action, verdicts[server.id], server.target)
        for server in plan.servers
    )
    return Outcome(run_id, plan, results, (Finding(Level.WARNING, "left", "one is left"),))


def dies(journal: Journal, run_id: str) -> None:
    """As if the process that holds the run had been killed: no process has that start time."""
    with journal.engine.begin() as connection:
        connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(owner_start="1"))


def test_the_file_is_private(journal: Journal, tmp_path: Path) -> None:
    journal.begin(PLAN, WHO).leave(130, "Ctrl-C")
    path = tmp_path / "deep" / "journal.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in path.parent.iterdir())


def test_every_commit_is_on_the_disk(journal: Journal) -> None:
    with journal.engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_run_is_found_as_it_was_begun(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    info = journal.run(record.id)
    assert info.plan == PLAN
    assert (info.state, info.command, info.cloud_user) == (RunState.RUNNING, WHO.command, "admin")
    assert info.owner_alive
    assert record.reason.startswith(f"nodeops {record.id} by ")
    assert record.reason.endswith(": drain")
    record.leave(130, "Ctrl-C")


def test_run_ids_are_found_by_their_beginning(journal: Journal) -> None:
    first = journal.begin(PLAN, WHO)
    second = journal.begin(replace(PLAN, host="c02"), WHO)
    assert journal.run(first.id).id == first.id
    with pytest.raises(UnknownRunError, match="may be one of"):
        journal.run("d-")
    with pytest.raises(UnknownRunError, match="not in the journal"):
        journal.run("x-1")
    assert {run.id for run in journal.runs()} == {first.id, second.id}
    for record in (first, second):
        record.leave(0, "")


def test_the_second_operator_is_told_who_has_the_host(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    with pytest.raises(HostBusyError, match=rf"run {record.id} \(drain\) of .*pid {os.getpid()}\) since 20"):
        journal.begin(PLAN, WHO)
    journal.begin(replace(PLAN, host="c09"), WHO).leave(0, "")
    record.leave(0, "")


def test_a_dead_process_holds_no_host_and_its_run_is_adopted(journal: Journal) -> None:
    killed = journal.begin(PLAN, WHO)
    killed.sending(PLAN.steps[1], 1, 100.0)
    dies(journal, killed.id)
    unfinished = journal.unfinished(CLOUD, "c01")
    assert unfinished is not None
    assert not unfinished.owner_alive
    adopted = journal.begin(drain(disable(), live("s1", "c05")), WHO)
    assert (adopted.id, adopted.resumed) == (killed.id, True)
    row = adopted.rows()["live-migrate:s1"]
    assert (row.state, row.answered, row.sent_at) == (StepState.SENT, False, 100.0)
    assert row.step.target == "c02", "what was sent, not what is planned now"
    assert [server.id for server in adopted.whole_plan().servers] == ["s1", "s2"]
    adopted.leave(0, "")


def test_whoever_lost_the_lock_writes_nothing_more(journal: Journal) -> None:
    paused = journal.begin(PLAN, WHO)
    dies(journal, paused.id)
    taker = journal.begin(PLAN, WHO)
    with pytest.raises(LockLostError):
        paused.sending(PLAN.steps[1], 1, 100.0)
    assert taker.rows()["live-migrate:s1"].state is StepState.PENDING
    taker.leave(0, "")


def test_another_machine_loses_its_lock_after_the_lease(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    elsewhere = update(schema.runs).where(schema.runs.c.id == record.id)
    with journal.engine.begin() as connection:
        connection.execute(elsewhere.values(owner_place="another machine", owner_machine="desk2"))
    with pytest.raises(HostBusyError, match="@desk2"):
        journal.begin(PLAN, WHO)
    with journal.engine.begin() as connection:
        late = schema.database_now(connection) - LEASE_SECONDS - 1
        connection.execute(elsewhere.values(heartbeat=late))
    taken = journal.begin(PLAN, WHO)
    assert taken.resumed
    with pytest.raises(LockLostError):
        record.prove_lock()
    taken.leave(0, "")


def test_another_runbook_puts_an_unfinished_run_aside(journal: Journal) -> None:
    journal.begin(PLAN, WHO).leave(130, "Ctrl-C")
    back = journal.begin(replace(PLAN, runbook="undrain"), WHO)
    assert not back.resumed
    assert {run.state for run in journal.runs()} == {RunState.RUNNING, RunState.SUPERSEDED}
    back.leave(0, "")


def test_a_finished_run_is_not_adopted(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    record.finish(outcome(record.id, PLAN, s1=Verdict.MOVED, s2=Verdict.LEFT), 11)
    info = journal.run(record.id)
    assert (info.state, info.exit_code, info.unfinished) == (RunState.FINISHED, 11, False)
    assert [result.verdict for result in journal.results(record.id)] == [Verdict.MOVED, Verdict.LEFT]
    assert journal.findings(record.id)[0].code == "left"
    again = journal.begin(PLAN, WHO)
    assert again.id != record.id
    again.leave(0, "")


def test_steps_and_events_are_kept(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    step = PLAN.steps[1]
    record.sending(step, 1, 100.0)
    record.answered(step, "req-1")
    record.not_sent(replace(step, target="c04"), 1, "no valid host")
    record.sending(replace(step, target="c04"), 2, 110.0)
    record.ended(replace(step, target="c04"), done(replace(step, target="c04")))
    results = {result.step_id: result for result in record.step_results()}
    assert results[step.id].state is StepState.DONE
    assert results[step.id].target == "c04"
    kinds = [event.kind for event in journal.events(record.id)]
    assert kinds == ["sending", "sent", "retry", "sending", "done"]
    record.leave(0, "")


def test_what_a_drain_moved_is_known_for_the_way_back(journal: Journal) -> None:
    first = journal.begin(PLAN, WHO)
    first.finish(outcome(first.id, PLAN, s1=Verdict.MOVED, s2=Verdict.LEFT), 11)
    rest = drain(live("s2", "c03"))
    second = journal.begin(rest, WHO)
    second.finish(outcome(second.id, rest, s2=Verdict.MOVED), 0)
    moved = {each.server_id: each for each in journal.moved_away(CLOUD, "c01")}
    assert {key: each.target for key, each in moved.items()} == {"s1": "c02", "s2": "c03"}
    assert moved["s1"].state == {"vm_state": "active"}
    assert moved["s1"].source == "c01"
    back_plan = drain(live("s1", "c01", source="c02"), runbook="undrain")
    back = journal.begin(back_plan, WHO)
    back.finish(outcome(back.id, back_plan, s1=Verdict.MOVED), 0)
    assert [each.server_id for each in journal.moved_away(CLOUD, "c01")] == ["s2"]
    assert journal.moved_away(CLOUD, "c02") == ()


def test_what_a_failover_moved_is_known_too(journal: Journal) -> None:
    lost = drain(live("s1", "c02"), live("s2", "c03"), runbook="failover")
    record = journal.begin(lost, WHO)
    record.finish(outcome(record.id, lost, s1=Verdict.MOVED, s2=Verdict.MOVED), 0)
    readmitted = drain(runbook="readmit")
    again = journal.begin(readmitted, WHO)
    again.finish(outcome(again.id, readmitted), 0)
    assert {each.server_id for each in journal.moved_away(CLOUD, "c01")} == {"s1", "s2"}
    given = drain(live("s1", "c01", source="c02"), runbook="readmit")
    back = journal.begin(given, WHO)
    back.finish(outcome(back.id, given, s1=Verdict.MOVED), 0)
    assert [each.server_id for each in journal.moved_away(CLOUD, "c01")] == ["s2"]


def failed_over(vm_state: str) -> Plan:
    plan = drain(live("s1"), runbook="failover")
    return replace(plan, servers=(replace(plan.servers[0], state={"vm_state": vm_state}),))


def test_the_state_before_a_failover_is_the_first_one_planned(journal: Journal) -> None:
    for plan in (failed_over("stopped"), failed_over("active")):
        record = journal.begin(plan, WHO)
        record.finish(outcome(record.id, plan, s1=Verdict.LEFT), 10)
    assert journal.states_before(CLOUD, "c01") == {"s1": {"vm_state": "stopped"}}
    assert journal.states_before(CLOUD, "c02") == {}
    served = journal.begin(drain(runbook="readmit"), WHO)
    served.finish(outcome(served.id, drain(runbook="readmit")), 0)
    assert journal.states_before(CLOUD, "c01") == {}


def test_moves_of_a_run_that_never_came_to_verify_count(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    step = PLAN.steps[1]
    record.sending(step, 1, 100.0)
    record.ended(step, done(step))
    record.leave(130, "Ctrl-C")
    assert [(each.server_id, each.target) for each in journal.moved_away(CLOUD, "c01")] == [("s1", "c02")]


def test_durations_are_learnt_from_past_moves(journal: Journal) -> None:
    plan = drain(*(live(f"s{number}") for number in range(6)))
    record = journal.begin(plan, WHO)
    for step in plan.steps[:4]:
        record.ended(step, done(step, 4.0))
    assert journal.learnt(CLOUD) is None
    for step in plan.steps[4:]:
        record.ended(step, done(step, 4.0))
    learnt = journal.learnt(CLOUD)
    assert learnt is not None
    assert (learnt.samples, learnt.rate_mib) == (6, 256.0)
    assert journal.learnt("another cloud") is None
    record.leave(0, "")


@pytest.mark.parametrize(
    ("samples", "overhead", "rate"),
    [
        ([(1000, 5), (2000, 7), (4000, 11), (8000, 19), (500, 4)], 3.0, 500.0),
        ([(1000, 5), (2000, 7), (4000, 11), (8000, 19), (500, 4), (1000, 500)], 3.0, 500.0),
        ([(1000, 10), (1000, 10), (1000, 10), (1000, 10), (1000, 10)], 0.0, 100.0),
        ([(1000, 9), (2000, 8), (3000, 7), (4000, 6), (5000, 5)], 0.0, 3000 / 7),
    ],
)
def test_least_squares_with_guards(samples: list[tuple[float, float]], overhead: float, rate: float) -> None:
    learnt = fit([Sample(mib, seconds) for mib, seconds in samples])
    assert learnt is not None
    assert learnt.overhead_seconds == pytest.approx(overhead, abs=1e-6)
    assert learnt.rate_mib == pytest.approx(rate)


def test_too_few_samples_teach_nothing() -> None:
    assert fit([Sample(1000, 5)] * 4) is None
    assert fit([Sample(0, 5)] * 9) is None


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    journal = Journal.open(url)
    with journal.engine.begin() as connection:
        connection.execute(update(schema.meta).values(value=str(schema.JOURNAL_VERSION + 1)))
    journal.close()
    with pytest.raises(ConfigurationError, match=f"has version {schema.JOURNAL_VERSION + 1}"):
        Journal.open(url)


def test_an_older_journal_is_migrated(journal: Journal) -> None:
    steps = {1: ["CREATE TABLE added (a INTEGER)"], 2: ["INSERT INTO added VALUES (7)"]}
    with journal.engine.begin() as connection:
        schema.migrate(connection, 1, 3, steps)
        assert connection.exec_driver_sql("SELECT a FROM added").scalar_one() == 7
        assert connection.exec_driver_sql("SELECT value FROM nodeops_meta").scalar_one() == "3"


def test_a_path_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Journal.open(f"sqlite:///{tmp_path}/file/journal.db")


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"this is not a database, it only looks like a file" * 100)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Journal.open(f"sqlite:///{tmp_path}/journal.db")


@pytest.mark.parametrize("url", ["oracle://x", "nonsense", "mysql+nodriver://x/y"])
def test_a_bad_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Journal.open(url)


def test_a_password_in_the_url_is_never_said() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Journal.open("mysql+pymysql://ann:s3cret@127.0.0.1:1/nodeops")
    assert "s3cret" not in caught.value.message
    assert "127.0.0.1" in caught.value.message


def test_a_journal_that_fails_while_running_stops_everything(journal: Journal) -> None:
    record = journal.begin(PLAN, WHO)
    with journal.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE nodeops_steps")
    with pytest.raises(JournalLostError, match="cannot be written"):
        record.sending(PLAN.steps[1], 1, time.time())
    with journal.engine.begin() as connection:
        schema.metadata.create_all(connection)
    record.leave(0, "")


def test_a_window_that_brought_a_server_home_has_nothing_of_it_to_give_back(journal: Journal) -> None:
    plan = replace(PLAN, runbook="maintain")
    record = journal.begin(plan, WHO)
    seen = outcome(record.id, plan, s1=Verdict.MOVED, s2=Verdict.MOVED)
    home = replace(seen.servers[0], target="c01")
    record.finish(replace(seen, servers=(home, *seen.servers[1:])), 0)
    assert [each.server_id for each in journal.moved_away(CLOUD, "c01")] == ["s2"]


def test_a_service_is_seen_to_beside_an_unfinished_window(journal: Journal) -> None:
    window = replace(PLAN, runbook="maintain")
    journal.begin(window, WHO).leave(10, "the gate")
    journal.begin(replace(PLAN, runbook="service"), WHO).leave(130, "Ctrl-C")
    unfinished = journal.unfinished(CLOUD, "c01")
    assert unfinished is not None
    assert unfinished.runbook == "maintain"
    assert journal.begin(window, WHO).resumed
    assert journal.begin(replace(PLAN, runbook="service"), WHO).resumed
