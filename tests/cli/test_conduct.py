"""Commands from beginning to end on the world in memory."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.cli.conduct import apply_file, carry_out, resume_run
from nodeops.cli.history import list_runs, show_run
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.tasks import Drain, Undrain
from nodeops.engine.journal import Who
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    DeclinedError,
    HostBusyError,
    InterruptedRunError,
    NeedsMoreRiskError,
    PartlyDoneError,
    StalePlanError,
    UnknownHostError,
    UsageError,
)
from nodeops.runbooks.options import MoveOptions
from tests.cli.fake_desk import FakeDesk, forget_owner, told, verdicts
from tests.fake_world import Crash, FakeWorld, FaultKind

DRY = Manner(dry_run=True, output=Format.JSON)
GO = Manner(yes=True, output=Format.JSON)
DRAIN = Drain("c01")


def hosts_of(world: FakeWorld) -> set[str | None]:
    return {server.host for server in world.nova.servers.values()}


def test_a_dry_run_writes_nothing_and_tells_everything(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, DRAIN, DRY) == 0
    document = told(capsys)
    assert verdicts(document) == {"s01": "MOVED", "s02": "MOVED", "s03": "MOVED"}
    assert document["run"] is None
    assert document["fits"] is True
    assert world.writes == []
    assert desk.journal().runs() == ()


def test_exit_code_100_means_there_is_something_to_change(desk: FakeDesk) -> None:
    assert carry_out(desk, DRAIN, replace(DRY, exit_code=True)) == PLAN_HAS_CHANGES


def test_a_run_moves_everything_and_says_what_the_dry_run_said(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, DRAIN, DRY)
    expected = told(capsys)
    assert carry_out(desk, DRAIN, GO) == 0
    document = told(capsys)
    assert verdicts(document) == verdicts(expected)
    assert document["digest"] == expected["digest"]
    assert document["run"]
    assert "c01" not in hosts_of(world)
    assert world.nova.hosts["c01"].enabled is False
    assert document["run"] in world.nova.hosts["c01"].disabled_reason


def test_a_second_run_finds_nothing_to_do(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, DRAIN, GO)
    before = len(world.writes)
    assert carry_out(desk, DRAIN, Manner(yes=True)) == 0
    assert len(world.writes) == before
    assert "c01: nothing to do" in capsys.readouterr().err


def test_without_a_terminal_and_without_yes_nothing_is_changed(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(DeclinedError, match="no terminal"):
        carry_out(desk, DRAIN, Manner())
    assert world.writes == []


def test_a_refusal_changes_nothing_and_every_server_is_shown(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.change("s02", locked=True)
    with pytest.raises(NeedsMoreRiskError, match="1 server of 3 refused: name-of-s02") as raised:
        carry_out(desk, DRAIN, Manner(yes=True))
    assert "--allow locked" in raised.value.hint
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("name-of-s01", "name-of-s02", "name-of-s03"))
    assert world.writes == []


def test_what_is_refused_can_be_left_behind(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.change("s02", locked=True)
    task = replace(DRAIN, options=MoveOptions(leave_refused=True))
    with pytest.raises(PartlyDoneError):
        carry_out(desk, task, GO)
    document = told(capsys)
    assert document["exit_code"] == 11
    assert document["error"]["code"] == "partly-done"
    assert verdicts(document) == {"s01": "MOVED", "s02": "LEFT", "s03": "MOVED"}


def test_unknown_hosts_are_told_with_near_names(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(UnknownHostError) as raised:
        carry_out(desk, replace(DRAIN, host="c1"), GO)
    assert "c01" in raised.value.hint
    with pytest.raises(UnknownHostError, match="c9"):
        carry_out(desk, replace(DRAIN, options=MoveOptions(to=("c9",))), GO)
    assert world.writes == []


@pytest.mark.parametrize("fault", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER])
def test_the_same_command_after_a_crash_goes_on_with_the_run(
    desk: FakeDesk, world: FakeWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: FaultKind
) -> None:
    def crash_at_the_second_move(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "live_migrate" and len(world.named("live_migrate")) == 1:
            world.faults[len(world.calls) + 1] = fault

    world.before.append(crash_at_the_second_move)
    with pytest.raises(Crash):
        carry_out(desk, DRAIN, GO)
    world.before.clear()
    (begun,) = desk.journal().runs()
    forget_owner(desk)
    world.nova.clock.sleep(60)
    with FakeDesk(world, tmp_path) as again:
        capsys.readouterr()
        assert carry_out(again, DRAIN, GO) == 0
    shown = capsys.readouterr()
    assert f"continuing run {begun.id}" in shown.err
    document = json.loads(shown.out)
    assert document["run"] == begun.id
    assert verdicts(document) == {"s01": "MOVED", "s02": "MOVED", "s03": "MOVED"}


def test_a_signal_ends_the_run_with_words_and_resume_finishes_it(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_ctrl_c(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "live_migrate":
            world.before.clear()
            os.kill(os.getpid(), signal.SIGINT)

    world.before.append(press_ctrl_c)
    with pytest.raises(InterruptedRunError) as raised:
        carry_out(desk, DRAIN, GO)
    (run,) = desk.journal().runs()
    assert f"nodeops resume {run.id}" in raised.value.hint
    document = told(capsys)
    assert document["exit_code"] == 130
    assert document["interrupted_by"] == signal.SIGINT
    assert document["still_running"]
    world.nova.clock.sleep(60)
    assert resume_run(desk, run.id, GO) == 0
    assert "c01" not in hosts_of(world)
    capsys.readouterr()
    with pytest.raises(UsageError, match="nothing to go on with"):
        resume_run(desk, "last", GO)


def test_the_second_operator_is_told_who_is_at_it(desk: FakeDesk, world: FakeWorld) -> None:
    carry_out(desk, DRAIN, replace(DRY, out=None))
    plan = DRAIN.plan(DRAIN.gather(desk, None))
    record = desk.journal().begin(plan, Who.here("admin", "nodeops drain c01"))
    try:
        with pytest.raises(HostBusyError, match=f"held by run {record.id}"):
            carry_out(desk, DRAIN, GO)
    finally:
        record.leave(1, "test")
    assert world.writes == []


def test_an_approved_plan_is_applied_or_its_difference_is_shown(
    desk: FakeDesk, world: FakeWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.json"
    assert carry_out(desk, DRAIN, replace(DRY, out=path)) == 0
    digest = told(capsys)["digest"]
    world.nova.add_server("s04", "c01", ram_mb=1024)
    with pytest.raises(StalePlanError):
        apply_file(desk, path, GO)
    assert "name-of-s04: came to c01" in capsys.readouterr().err
    assert world.writes == []
    world.nova.delete("s04")
    assert apply_file(desk, path, GO) == 0
    assert told(capsys)["digest"] == digest
    assert "c01" not in hosts_of(world)


def test_undrain_gives_back_what_the_drain_moved(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, DRAIN, GO)
    world.nova.clock.sleep(10)
    capsys.readouterr()
    assert carry_out(desk, Undrain("c01", give_back=True), GO) == 0
    assert verdicts(told(capsys)) == {"s01": "MOVED", "s02": "MOVED", "s03": "MOVED"}
    assert hosts_of(world) == {"c01"}
    assert world.nova.hosts["c01"].enabled is True


def test_runs_are_listed_and_shown(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(desk, DRAIN, GO)
    run = told(capsys)["run"]
    list_runs(desk, None, 20, Format.JSON)
    (line,) = told(capsys)["runs"]
    assert (line["run"], line["exit_code"], line["state"]) == (run, 0, "finished")
    show_run(desk, "last", Format.JSON)
    assert verdicts(told(capsys)) == {"s01": "MOVED", "s02": "MOVED", "s03": "MOVED"}
    show_run(desk, run, Format.TABLE)
    assert "c01 is empty" in capsys.readouterr().out


def test_apply_after_a_crash_goes_on_with_what_is_left_of_the_approved_plan(
    desk: FakeDesk, world: FakeWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.json"
    carry_out(desk, DRAIN, replace(DRY, out=path))

    def crash_at_the_second_move(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "live_migrate" and len(world.named("live_migrate")) == 1:
            world.faults[len(world.calls) + 1] = FaultKind.CRASH_AFTER

    world.before.append(crash_at_the_second_move)
    with pytest.raises(Crash):
        apply_file(desk, path, GO)
    world.before.clear()
    forget_owner(desk)
    world.nova.clock.sleep(60)
    with FakeDesk(world, tmp_path) as again:
        assert apply_file(again, path, GO) == 0
    assert "c01" not in hosts_of(world)


def test_an_unfinished_run_of_the_other_runbook_is_given_up_and_said_so(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = DRAIN.plan(DRAIN.gather(desk, None))
    record = desk.journal().begin(plan, Who.here("admin", "nodeops drain c01"))
    record.leave(130, "interrupted")
    carry_out(desk, Undrain("c01"), DRY)
    assert f"run {record.id} (drain) was not finished" in capsys.readouterr().err
