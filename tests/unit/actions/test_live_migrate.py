"""What one look at a live migration says, state by state."""

from dataclasses import replace

import pytest

from nodeops.actions.action import Interruptible, Sent, State
from nodeops.actions.live_migrate import LiveMigrate
from nodeops.actions.registry import ACTIONS
from nodeops.errors import ApiError
from nodeops.model.facts import Explanation
from nodeops.plan import Verdict
from tests.fake_world import Behaviour, FakeWorld, small_cloud
from tests.unit.engine.plans import live

ACTION = LiveMigrate()
STEP = live("s01", "c02")
EARLY = Sent(0.0, "req-1")
OVERDUE = Sent(0.0, "req-1", waited=99, overdue=True)


def sent(*, waited: float, ambiguous: bool = False) -> Sent:
    return Sent(0.0, "" if ambiguous else "req-1", ambiguous=ambiguous, waited=waited)


def moved(behaviour: Behaviour = Behaviour.NORMAL, seconds: float = 60.0) -> FakeWorld:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = behaviour
    ACTION.act(world, STEP)
    world.nova.clock.sleep(seconds)
    return world


def test_every_action_is_registered_under_its_name() -> None:
    assert set(ACTIONS) == {
        "disable-service", "enable-service", "live-migrate", "block-migrate", "cold-migrate",
        "confirm-resize", "wait-task", "wait-deleted", "resume", "suspend", "unrescue", "rescue", "pause",
        "unpause", "stop", "start", "reset-state", "shelve", "shelve-offload", "unshelve",
        "evacuate", "force-down", "lift-force-down",
        "settle-active", "settle-error", "delete-again",
        "save-images", "rewrite-allocation", "rewrite-records", "rewrite-bindings", "bind-ports",
        "renew-attachments", "reboot-hard", "restore-attachments", "restore-bindings", "tell-neutron",
        "restore-records", "restore-allocation",
        "drop-allocation", "mend-allocation", "delete-binding", "rebind-port", "delete-attachment",
        "detach-volume", "attach-volume",
    }  # fmt: skip
    assert all(action.name == name for name, action in ACTIONS.items())
    assert {name for name, action in ACTIONS.items() if isinstance(action, Interruptible)} == {
        "live-migrate",
        "block-migrate",
    }


def test_block_migration_asks_for_the_copy() -> None:
    world = small_cloud(servers=1)
    ACTIONS["block-migrate"].act(world, STEP)
    assert world.writes[0].arguments == ("s01", "c02", True)


def test_ready_until_sent_then_moving_then_done() -> None:
    world = small_cloud(servers=1)
    assert ACTION.look(world, STEP, None).state is State.READY
    ACTION.act(world, STEP)
    assert ACTION.look(world, STEP, EARLY).state is State.MOVING
    world.nova.clock.sleep(60)
    look = ACTION.look(world, STEP, EARLY)
    assert (look.state, look.words) == (State.DONE, "is on c02")


def test_the_planned_state_decides() -> None:
    world = small_cloud(servers=1)
    world.nova.change("s01", vm_state="paused")
    assert ACTION.look(world, STEP, None).state is State.BLOCKED
    paused = replace(STEP, params={"vm_state": "paused"})
    assert ACTION.look(world, paused, None).state is State.READY


def test_rolled_back() -> None:
    look = ACTION.look(moved(Behaviour.FAIL), STEP, Sent(0.0, "req-1"))
    assert (look.state, look.verdict, look.retry) == (State.FAILED, Verdict.ROLLED_BACK, True)
    assert not look.refused_target


def test_no_valid_host_is_the_targets_refusal() -> None:
    world = small_cloud(servers=1)
    world.nova.refusals.add(("c02", "s01"))
    request_id = ACTION.act(world, STEP)
    world.nova.clock.sleep(5)
    look = ACTION.look(world, STEP, Sent(0.0, request_id))
    assert (look.state, look.refused_target) == (State.FAILED, True)
    assert "No valid host" in look.words


def test_split_needs_the_record_and_the_row_to_disagree() -> None:
    world = moved(Behaviour.SPLIT)
    assert ACTION.look(world, STEP, EARLY).verdict is None
    look = ACTION.look(world, STEP, OVERDUE)
    assert (look.state, look.verdict) == (State.MOVING, Verdict.SPLIT)
    world.nova.change("s01", task_state=None)
    look = ACTION.look(world, STEP, EARLY)
    assert (look.state, look.verdict) == (State.MOVING, Verdict.SPLIT)


def test_a_task_that_stays_after_the_migration_failed() -> None:
    world = moved(Behaviour.SPLIT)
    world.nova.set_migration(1, status="error")
    look = ACTION.look(world, STEP, OVERDUE)
    assert (look.state, look.verdict) == (State.MOVING, Verdict.UNKNOWN)


def test_a_roll_back_that_is_not_over_yet_is_still_moving() -> None:
    world = moved(Behaviour.NEVER)
    world.nova.change("s01", task_state=None)
    assert ACTION.look(world, STEP, EARLY).state is State.MOVING


@pytest.mark.parametrize(
    ("behaviour", "where"),
    [(Behaviour.ERROR_HERE, "is in ERROR on c01"), (Behaviour.ERROR_THERE, "is on c02, and in ERROR")],
)
def test_error_says_where_and_whether_the_guest_runs(behaviour: Behaviour, where: str) -> None:
    look = ACTION.look(moved(behaviour), STEP, EARLY)
    assert (look.state, look.retry) == (State.FAILED, False)
    assert look.words.startswith(f"{where}, its guest still runs")


def test_without_an_answer_only_time_and_looks_settle_it() -> None:
    world = small_cloud(servers=1)
    assert ACTION.look(world, STEP, sent(waited=1, ambiguous=True)).state is State.MOVING
    assert ACTION.look(world, STEP, sent(waited=16, ambiguous=True)).state is State.READY
    ACTION.act(world, STEP)
    assert ACTION.look(world, STEP, sent(waited=16, ambiguous=True)).state is State.MOVING
    world.nova.clock.sleep(60)
    assert ACTION.look(world, STEP, sent(waited=60, ambiguous=True)).state is State.DONE


def test_without_an_answer_an_attempt_that_failed_may_be_repeated() -> None:
    look = ACTION.look(moved(Behaviour.FAIL), STEP, sent(waited=60, ambiguous=True))
    assert (look.state, look.retry) == (State.FAILED, True)


@pytest.mark.parametrize(
    ("status", "message", "state", "refused_target", "retry"),
    [
        (400, "Compute host c02 could not be found.", State.FAILED, True, True),
        (400, "No valid host was found.", State.FAILED, True, True),
        (400, "Invalid input received", State.FAILED, False, False),
        (403, "Policy doesn't allow it", State.FAILED, False, False),
        (404, "Instance could not be found", State.BLOCKED, False, True),
        (409, "while it is in task_state image_uploading", State.FAILED, False, True),
    ],
)
def test_an_immediate_refusal(
    status: int, message: str, state: State, *, refused_target: bool, retry: bool
) -> None:
    look = ACTION.refused(STEP, ApiError(message, status=status))
    assert (look.state, look.refused_target, look.retry) == (state, refused_target, retry)


def test_abort_and_force_complete_only_what_runs() -> None:
    world = small_cloud(servers=1)
    assert ACTION.abort(world, STEP) == ""
    assert ACTION.force_complete(world, STEP) == ""
    world = moved(Behaviour.NEVER)
    assert ACTION.abort(world, STEP).startswith("req-")
    assert ACTION.look(world, STEP, EARLY).words.startswith("the migration was aborted")


def test_the_schedulers_choice_is_as_good_as_ours() -> None:
    world = moved()
    world.nova.change("s01", host="c03")
    assert "is on c03, though c02 was asked for" in ACTION.look(world, STEP, EARLY).words
    anywhere = replace(STEP, target=None)
    assert ACTION.look(world, anywhere, EARLY).words == "is on c03"


def test_the_conductors_refusal_is_told_from_a_failed_copy() -> None:
    world = moved(Behaviour.FAIL)
    world.nova.explanations["req-1"] = Explanation("boom", "req-1", "conductor_live_migrate_instance")
    assert ACTION.look(world, STEP, EARLY).refused_target
