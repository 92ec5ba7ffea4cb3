"""What stands between a step and its request: gates that fail closed, refusals, an API that says no."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nodeops.errors import ApiError, AuthenticationError
from nodeops.gather.rewrite import gather_rewrite
from nodeops.model.world import View
from nodeops.outcome import StepState
from nodeops.plan import Step
from nodeops.runbooks.rewrite import plan_rewrite
from tests.fake_databases import FakeRecords
from tests.fake_world import FakeNova, FakeWorld, small_cloud
from tests.faults.rewrite_scenario import DEAD, OPTIONS, SHARED, dead_host
from tests.unit.engine.plans import cold, drain, live
from tests.unit.engine.runs import Run

GATED = replace(live("s01"), gates=("backup-window",))


@dataclass(frozen=True)
class Window:
    """A gate that is closed until some time, or cannot be asked."""

    nova: FakeNova
    opens: float
    broken: bool = False
    name: str = "backup-window"
    about_target: bool = False

    def veto(self, view: View, step: Step) -> str | None:  # noqa: ARG002 - as the protocol has it
        if self.nova.clock.now() >= self.opens:
            return None
        if self.broken:
            raise ApiError("the backup server does not answer")
        return "a backup runs"


def run_with(tmp_path: Path, opens_after: float, *, broken: bool = False) -> Run:
    world = small_cloud(servers=2)
    gate = Window(world.nova, world.nova.clock.now() + opens_after, broken)
    return Run(world, tmp_path, gates={gate.name: gate})


@pytest.mark.parametrize("broken", [False, True])
def test_a_closed_gate_is_waited_for_and_holds_nobody_else(tmp_path: Path, *, broken: bool) -> None:
    run = run_with(tmp_path, 60, broken=broken)
    execution = run.go(drain(GATED, replace(live("s02"), gates=())))
    assert set(run.states(execution).values()) == {StepState.DONE}
    assert run.sent() == ["live-migrate:s02", "live-migrate:s01"]
    assert "gate backup-window" in run.notes()


@pytest.mark.parametrize(("broken", "words"), [(False, "a backup runs"), (True, "cannot be asked")])
def test_a_gate_that_stays_closed_has_said_no(tmp_path: Path, *, broken: bool, words: str) -> None:
    run = run_with(tmp_path, 5000, broken=broken)
    execution = run.go(drain(GATED))
    result = run.result(execution, GATED.id)
    assert result.state is StepState.BLOCKED
    assert words in result.words
    assert run.world.writes == []


def test_a_gate_nobody_knows_is_closed(tmp_path: Path) -> None:
    run = Run(small_cloud(servers=1), tmp_path, gates={})
    execution = run.go(drain(GATED))
    assert run.result(execution, GATED.id).words == "gate backup-window is not known"
    assert run.world.writes == []


def raising(world: FakeWorld, error: Exception, until: float) -> Callable[[str, tuple[object, ...]], None]:
    """Each request to migrate is answered so for a while."""

    def interfere(name: str, arguments: tuple[object, ...]) -> None:
        if name == "live_migrate" and world.nova.clock.now() < until:
            raise error

    return interfere


def test_credentials_that_fail_for_a_while_cost_no_attempt(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    world.before.append(raising(world, AuthenticationError("token expired"), world.nova.clock.now() + 40))
    run = Run(world, tmp_path)
    result = run.result(run.go(drain(live("s01"))), "live-migrate:s01")
    assert (result.state, result.attempts) == (StepState.DONE, 1)


def test_a_policy_that_forbids_is_not_asked_again(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    world.before.append(raising(world, ApiError("policy forbids it", status=403, request_id="req-no"), 1e12))
    run = Run(world, tmp_path)
    result = run.result(run.go(drain(live("s01"))), "live-migrate:s01")
    assert (result.state, result.attempts, result.request_id) == (StepState.FAILED, 1, "req-no")
    assert len(world.named("live_migrate")) == 1


def test_nothing_is_sent_while_many_cannot_be_looked_at(tmp_path: Path) -> None:
    nova = dead_host("runs", "off")
    world = FakeWorld(nova, databases=FakeRecords(nova))
    planned = plan_rewrite(gather_rewrite(world, "c01", "c02", DEAD, SHARED), OPTIONS)
    steps = [replace(each, needs=()) for each in planned.steps if each.action == "rewrite-records"]
    answers_at, asked = nova.clock.now() + 40, len(world.calls)

    def silent(name: str, arguments: tuple[object, ...]) -> None:
        if name == "server_records" and nova.clock.now() < answers_at:
            raise ApiError("the database does not answer")

    world.before.append(silent)
    run = Run(world, tmp_path)
    execution = run.go(drain(*steps))
    assert {run.result(execution, each.id).state for each in steps} == {StepState.DONE}
    written = [each.at for each in world.calls[asked:] if each.name == "rewrite_server"]
    assert len(written) == len(steps) > 1
    assert min(written) >= answers_at
    assert "cannot be looked at: the database does not answer" in run.notes()


def test_a_server_error_may_have_had_its_effect(tmp_path: Path) -> None:
    world = small_cloud(servers=1)

    def effect_then_500(name: str, arguments: tuple[object, ...]) -> None:
        if name == "live_migrate":
            world.nova.live_migrate("s01", "c02", "req-hidden")
            raise ApiError("internal server error", status=500)

    world.before.append(effect_then_500)
    run = Run(world, tmp_path)
    result = run.result(run.go(drain(live("s01"))), "live-migrate:s01")
    assert (result.state, run.hosts()["s01"]) == (StepState.DONE, "c02")
    assert world.nova.arrived == [("live_migrate", "s01")]


def test_a_server_gone_at_the_last_moment(tmp_path: Path) -> None:
    world = small_cloud(servers=1)

    def gone(name: str, arguments: tuple[object, ...]) -> None:
        if name == "live_migrate":
            world.nova.delete("s01")

    world.before.append(gone)
    run = Run(world, tmp_path)
    result = run.result(run.go(drain(live("s01"))), "live-migrate:s01")
    assert (result.state, result.words) == (
        StepState.BLOCKED,
        "does not exist any more: deleted meanwhile",
    )


def test_what_is_broken_before_it_is_begun_has_failed(tmp_path: Path) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c02", vm_state="error")
    run = Run(world, tmp_path)
    confirm = replace(cold("s01")[1], needs=())
    result = run.result(run.go(drain(confirm)), confirm.id)
    assert result.state is StepState.FAILED
    assert world.writes == []
