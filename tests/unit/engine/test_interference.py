"""Somebody else does something meanwhile: it is noticed, said and left alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nodeops.outcome import StepState
from nodeops.plan import Verdict
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import Behaviour, FakeNova, FakeWorld, small_cloud
from tests.unit.engine.plans import cold, disable, drain, live, suspended
from tests.unit.engine.runs import Run


def before_sending(change: Callable[[FakeNova], None], tmp_path: Path) -> Run:
    """s01 goes first and takes a while; meanwhile something happens to s02."""
    world = small_cloud(servers=2)
    world.nova.at(2, lambda: change(world.nova))
    return Run(world, tmp_path, MoveOptions(parallel=1, canary=False))


def just_before(world: FakeWorld, request: str, change: Callable[[], object]) -> None:
    """Something happens between the look and the first request of this name."""
    still = [change]

    def interfere(name: str, arguments: tuple[object, ...]) -> None:
        if name == request and still:
            still.pop()()

    world.before.append(interfere)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda nova: nova.delete("s02"), "does not exist any more: deleted meanwhile"),
        (lambda nova: nova.task("stop", "s02"), "is SHUTOFF now and was active when planned; left alone"),
        (lambda nova: nova.task("pause", "s02"), "is PAUSED now and was active when planned; left alone"),
        (
            lambda nova: nova.change("s02", host="c03"),
            "is on c03 already: somebody else moved it; left alone",
        ),
        (lambda nova: nova.change("s02", vm_state="error"), "is ERROR now and was active when planned"),
        (lambda nova: nova.change("s02", task_state="deleting"), "is being deleted; left alone"),
        (lambda nova: nova.change("s02", host=None, vm_state="shelved_offloaded"), "is on no host any more"),
    ],
)
def test_before_it_is_sent(tmp_path: Path, change: Callable[[FakeNova], None], words: str) -> None:
    run = before_sending(change, tmp_path)
    execution = run.go(drain(live("s01", expected=9), live("s02")))
    result = run.result(execution, "live-migrate:s02")
    assert result.state is StepState.BLOCKED
    assert words in result.words
    assert [call.arguments[0] for call in run.world.writes] == ["s01"]
    assert run.hosts()["s01"] == "c02"


def test_a_reboot_is_waited_for(tmp_path: Path) -> None:
    def reboot(nova: FakeNova) -> None:
        nova.change("s02", task_state="rebooting")
        nova.at(20, lambda: nova.change("s02", task_state=None))

    run = before_sending(reboot, tmp_path)
    run.go(drain(live("s01", expected=9), live("s02")))
    assert run.hosts() == {"s01": "c02", "s02": "c02"}
    assert "name-of-s02: is busy: rebooting" in run.notes()


def test_somebody_else_migrates_it(tmp_path: Path) -> None:
    run = before_sending(lambda nova: nova.live_migrate("s02", "c03", "req-theirs"), tmp_path)
    execution = run.go(drain(live("s01", expected=9), live("s02")))
    result = run.result(execution, "live-migrate:s02")
    assert (result.state, run.hosts()["s02"]) == (StepState.BLOCKED, "c03")
    assert "somebody else moved it" in result.words


def test_deleted_while_it_moves(tmp_path: Path) -> None:
    world = small_cloud(servers=2)
    world.nova.at(1, lambda: world.nova.delete("s01"))
    run = Run(world, tmp_path)
    execution = run.go(drain(live("s01"), live("s02")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.words) == (
        StepState.BLOCKED,
        "does not exist any more: deleted meanwhile",
    )
    assert run.hosts() == {"s02": "c02"}


def test_aborted_by_somebody_else(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.NEVER
    world.nova.at(10, lambda: world.nova.abort("s01", 1))
    run = Run(world, tmp_path)
    execution = run.go(drain(live("s01")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.verdict, result.attempts) == (StepState.FAILED, Verdict.ROLLED_BACK, 1)
    assert "was aborted" in result.words


def test_moved_back_by_somebody_else_right_away(tmp_path: Path) -> None:
    world = small_cloud(servers=1)

    def back() -> None:
        world.nova.new_migration("s01", "live-migration", "completed", "c01")
        world.nova.change("s01", host="c01")

    world.nova.at(2.8, back)
    run = Run(world, tmp_path)
    execution = run.go(drain(live("s01", expected=30)))
    result = run.result(execution, "live-migrate:s01")
    assert result.state is StepState.BLOCKED
    assert "is back on c01: somebody else moved it" in result.words
    assert len(world.writes) == 1


def test_a_cold_migration_reverted_by_its_owner(tmp_path: Path) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="stopped")

    def revert() -> None:
        world.nova.change("s01", host="c01", vm_state="stopped")
        world.nova.set_migration(1, status="reverted")

    just_before(world, "confirm_resize", revert)
    run = Run(world, tmp_path)
    execution = run.go(drain(*cold("s01")))
    result = run.result(execution, "confirm-resize:s01")
    assert result.state is StepState.BLOCKED
    assert "its owner reverted the resize" in result.words


def test_the_owner_resumes_what_was_to_be_suspended(tmp_path: Path) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="suspended")
    just_before(world, "suspend", lambda: world.nova.change("s01", vm_state="paused"))
    run = Run(world, tmp_path)
    execution = run.go(drain(*suspended("s01")))
    result = run.result(execution, "suspend:s01")
    assert result.state is StepState.BLOCKED
    assert "is PAUSED: suspend cannot be done; left alone" in result.words


def test_the_host_is_enabled_behind_our_back(tmp_path: Path) -> None:
    world = small_cloud(servers=1)
    just_before(world, "live_migrate", lambda: world.nova.set_service("service-c01", enabled=True, reason=""))
    run = Run(world, tmp_path)
    execution = run.go(drain(disable(), live("s01")))
    assert set(run.states(execution).values()) == {StepState.DONE}


def test_a_conflict_is_looked_into(tmp_path: Path) -> None:
    """Between the look and the request somebody starts a task: 409, then it is waited for."""
    world = small_cloud(servers=1)

    def take() -> None:
        world.nova.change("s01", task_state="image_uploading")
        world.nova.at(15, lambda: world.nova.change("s01", task_state=None))

    just_before(world, "live_migrate", take)
    run = Run(world, tmp_path)
    execution = run.go(drain(live("s01")))
    assert run.result(execution, "live-migrate:s01").state is StepState.DONE
    assert len(world.named("live_migrate")) == 2
