"""Looks at cold migrations, confirmations, shelving, waiting and changes of state."""

from dataclasses import replace

import pytest

from nodeops.actions.action import Sent, State
from nodeops.actions.registry import ACTIONS
from nodeops.plan import Step
from tests.fake_world import FakeWorld, small_cloud
from tests.unit.engine.plans import cold, server_step

MOVE, CONFIRM = cold("s01")
EARLY = Sent(0.0, "req-1", waited=1)
LATE = Sent(0.0, "req-1", waited=60)
NO_ANSWER = Sent(0.0, ambiguous=True, waited=1)
NO_ANSWER_LATE = Sent(0.0, ambiguous=True, waited=60)


def one(vm_state: str) -> FakeWorld:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state=vm_state)
    return world


def look(world: FakeWorld, step: Step, sent: Sent | None = None) -> State:
    return ACTIONS[step.action].look(world, step, sent).state


def words(world: FakeWorld, step: Step, sent: Sent | None = None) -> str:
    return ACTIONS[step.action].look(world, step, sent).words


def migrated() -> FakeWorld:
    world = one("stopped")
    ACTIONS["cold-migrate"].act(world, MOVE)
    world.nova.clock.sleep(30)
    return world


def test_cold_migration_from_ready_to_verify_resize() -> None:
    world = one("stopped")
    assert look(world, MOVE) is State.READY
    ACTIONS["cold-migrate"].act(world, MOVE)
    assert look(world, MOVE, EARLY) is State.MOVING
    assert "somebody else" in words(world, MOVE)
    world.nova.clock.sleep(30)
    assert words(world, MOVE, EARLY) == "is on c02, to be confirmed"


def test_a_server_that_was_started_meanwhile_is_left_alone() -> None:
    assert look(one("active"), MOVE) is State.BLOCKED
    assert look(one("active"), replace(MOVE, params={"vm_state": "active"})) is State.READY


def test_a_cold_migration_no_host_takes() -> None:
    world = one("stopped")
    world.nova.refusals.add(("c02", "*"))
    request_id = ACTIONS["cold-migrate"].act(world, MOVE)
    world.nova.clock.sleep(5)
    found = ACTIONS["cold-migrate"].look(world, MOVE, Sent(0.0, request_id))
    assert (found.state, found.refused_target) == (State.FAILED, True)


def test_a_cold_migration_that_broke_is_not_repeated() -> None:
    world = one("stopped")
    ACTIONS["cold-migrate"].act(world, MOVE)
    world.nova.change("s01", vm_state="error", task_state=None)
    found = ACTIONS["cold-migrate"].look(world, MOVE, EARLY)
    assert (found.state, found.retry) == (State.FAILED, False)


def test_a_cold_migration_without_an_answer() -> None:
    world = one("stopped")
    assert look(world, MOVE, NO_ANSWER) is State.MOVING
    assert look(world, MOVE, NO_ANSWER_LATE) is State.READY
    assert look(migrated(), MOVE, NO_ANSWER_LATE) is State.DONE


def test_confirmation() -> None:
    world = migrated()
    assert look(world, CONFIRM) is State.READY
    ACTIONS["confirm-resize"].act(world, CONFIRM)
    assert look(world, CONFIRM, EARLY) is State.MOVING
    world.nova.clock.sleep(10)
    assert words(world, CONFIRM, EARLY) == "is confirmed on c02"
    assert look(world, CONFIRM) is State.DONE


def test_a_confirmation_that_does_nothing_is_found_out() -> None:
    world = migrated()
    assert look(world, CONFIRM, LATE) is State.FAILED
    assert look(world, CONFIRM, NO_ANSWER) is State.MOVING
    assert look(world, CONFIRM, NO_ANSWER_LATE) is State.READY
    world.nova.set_migration(1, status="confirming")
    assert look(world, CONFIRM, LATE) is State.MOVING


def test_a_revert_is_the_owners_choice() -> None:
    world = migrated()
    world.nova.change("s01", task_state="resize_reverting")
    assert look(world, CONFIRM) is State.BLOCKED
    world.nova.change("s01", task_state=None, vm_state="stopped", host="c01")
    assert "its owner reverted the resize" in words(world, CONFIRM)


def test_a_confirmation_that_broke() -> None:
    world = migrated()
    world.nova.change("s01", vm_state="error")
    assert "is in ERROR on c02, its guest does not run" in words(world, CONFIRM, EARLY)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("stop", "active", "stopped"),
        ("start", "stopped", "active"),
        ("pause", "active", "paused"),
        ("unpause", "paused", "active"),
        ("suspend", "active", "suspended"),
        ("resume", "suspended", "active"),
        ("rescue", "active", "rescued"),
        ("unrescue", "rescued", "active"),
        ("shelve", "active", "shelved"),
        ("shelve-offload", "shelved", "shelved_offloaded"),
        ("unshelve", "shelved", "active"),
        ("reset-state", "error", "active"),
    ],
)
def test_from_one_state_to_another(action: str, before: str, after: str) -> None:
    world, step = one(before), server_step(action, "s01")
    assert look(world, step) is State.READY
    ACTIONS[action].act(world, step)
    if action != "reset-state":
        assert look(world, step, EARLY) is State.MOVING
    world.nova.clock.sleep(10)
    assert look(world, step, EARLY) is State.DONE
    assert look(world, step) is State.DONE
    assert world.nova.servers["s01"].vm_state == after
    wrong = one("building")
    assert look(wrong, step) in {State.BLOCKED, State.DONE}
    assert look(small_cloud(servers=0), step) is State.BLOCKED


@pytest.mark.parametrize("action", ["suspend", "shelve", "unshelve"])
def test_a_change_that_was_taken_and_not_made_failed(action: str) -> None:
    world = one("shelved" if action == "unshelve" else "active")
    step = server_step(action, "s01")
    assert look(world, step, EARLY) is State.FAILED
    assert look(world, step, NO_ANSWER) is State.MOVING
    assert look(world, step, NO_ANSWER_LATE) is State.READY


def test_a_server_on_another_host_than_expected_is_left_alone() -> None:
    assert look(one("active"), server_step("suspend", "s01", host="c02")) is State.BLOCKED
    assert look(one("error"), server_step("reset-state", "s01", host="c02")) is State.BLOCKED


def test_unshelving_goes_to_the_target_or_fails_by_it() -> None:
    world = one("shelved_offloaded")
    world.nova.change("s01", host=None)
    step = replace(server_step("unshelve", "s01"), target="c03")
    ACTIONS["unshelve"].act(world, step)
    world.nova.clock.sleep(10)
    assert words(world, step, EARLY) == "is ACTIVE on c03"
    elsewhere = replace(step, target="c02")
    assert look(world, elsewhere, EARLY) is State.BLOCKED
    world.nova.change("s01", vm_state="shelved_offloaded", host=None)
    found = ACTIONS["unshelve"].look(world, step, EARLY)
    assert (found.state, found.refused_target) == (State.FAILED, True)


def test_waiting_for_a_task() -> None:
    world, step = one("active"), server_step("wait-task", "s01")
    assert look(world, step) is State.DONE
    world.nova.change("s01", task_state="image_uploading")
    assert words(world, step) == "waits for its task image_uploading"
    world.nova.change("s01", task_state=None, vm_state="building")
    assert look(world, step) is State.MOVING
    world.nova.delete("s01")
    assert look(world, step) is State.DONE


def test_waiting_for_a_deletion() -> None:
    world, step = one("active"), server_step("wait-deleted", "s01")
    assert look(world, step) is State.BLOCKED
    world.nova.change("s01", task_state="deleting")
    assert look(world, step) is State.MOVING
    world.nova.delete("s01")
    assert look(world, step) is State.DONE
