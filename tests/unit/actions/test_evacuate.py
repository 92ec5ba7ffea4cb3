"""What a look at an evacuation finds, state by state as Nova goes through them."""

from dataclasses import replace

import pytest

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.registry import ACTIONS
from nodeops.errors import ApiError
from nodeops.model.facts import Explanation, Migration
from nodeops.plan import Risk, Step, Verdict
from tests.fake_world import FakeWorld, small_cloud

ACTION = ACTIONS["evacuate"]
STEP = Step(
    id="evacuate:s01",
    action="evacuate",
    subject_id="s01",
    subject_name="name-of-s01",
    why="it ran",
    risk=Risk.REBOOT,
    source="c01",
    target="c02",
)
SENT = Sent(0.0, "req-1", waited=5)
NO_ANSWER = Sent(0.0, ambiguous=True, waited=1)
NO_ANSWER_LATE = Sent(0.0, ambiguous=True, waited=60)
OVERDUE = Sent(0.0, "req-1", waited=500, overdue=True)


def world(status: str | None = None, *, target: str | None = "c02", **server: object) -> FakeWorld:
    """`s01` on the dead host c01, with an evacuation in that status, if any."""
    found = small_cloud(servers=1)
    found.nova.hosts["c01"] = replace(found.nova.hosts["c01"], up=False, forced_down=True)
    if status is not None:
        found.nova.migrations.append(Migration(1, "m1", "s01", "evacuation", status, "c01", target))
    found.nova.change("s01", **server)
    return found


def look(found: FakeWorld, sent: Sent | None = None) -> Look:
    return ACTION.look(found, STEP, sent)


@pytest.mark.parametrize("vm_state", ["active", "stopped", "error"])
@pytest.mark.parametrize("task", [None, "image_uploading", "powering-off", "migrating"])
def test_nova_takes_it_whatever_task_was_cut_off(vm_state: str, task: str | None) -> None:
    assert look(world(vm_state=vm_state, task_state=task)).state is State.READY


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued", "shelved", "resized"])
def test_a_state_nova_refuses_is_left_alone(vm_state: str) -> None:
    assert look(world(vm_state=vm_state)).state is State.BLOCKED


def test_deleted_or_being_deleted() -> None:
    found = world()
    found.nova.delete("s01")
    assert look(found, SENT).state is State.BLOCKED
    assert look(world(task_state="deleting"), SENT).state is State.BLOCKED


@pytest.mark.parametrize("sent", [None, SENT, NO_ANSWER])
def test_on_another_host_it_is_done_whoever_did_it(sent: Sent | None) -> None:
    done = look(world("done", host="c02"), sent)
    assert (done.state, done.words) == (State.DONE, "is on c02")
    assert "though c02 was planned" in look(world("done", host="c03"), sent).words


def test_on_no_host_it_is_left_alone() -> None:
    assert look(world(host=None, vm_state="shelved_offloaded"), SENT).state is State.BLOCKED


def test_arrived_and_still_in_a_task_or_in_the_records() -> None:
    assert look(world("done", host="c02", task_state="powering-off"), SENT).state is State.MOVING
    assert look(world("pre-migrating", host="c02"), SENT).state is State.MOVING


def test_in_error_on_its_target() -> None:
    failed = look(world("done", host="c02", vm_state="error"), SENT)
    assert failed.state is State.FAILED
    assert not failed.retry


@pytest.mark.parametrize("task", ["rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"])
def test_under_way(task: str) -> None:
    assert look(world("pre-migrating", task_state=task), SENT).state is State.MOVING
    assert look(world("pre-migrating", task_state=task), OVERDUE).state is State.MOVING
    assert (
        look(world("pre-migrating", task_state=task)).words == "somebody else is evacuating or rebuilding it"
    )


def test_its_target_died_meanwhile() -> None:
    found = world("pre-migrating", task_state="rebuild_spawning")
    found.nova.hosts["c02"] = replace(found.nova.hosts["c02"], up=False)
    assert look(found).state is State.READY
    failed = look(found, OVERDUE)
    assert failed.state is State.FAILED
    assert failed.refused_target
    assert look(found, SENT).state is State.MOVING  # not looked at closely before its time


def test_its_task_is_cleared_before_its_row_moves() -> None:
    assert look(world("pre-migrating"), SENT).words == "the evacuation is pre-migrating"
    assert look(world("accepted"), SENT).state is State.MOVING


@pytest.mark.parametrize("status", ["error", "failed"])
def test_a_refused_target_is_replaced(status: str) -> None:
    found = world(status, vm_state="error")
    found.nova.explanations["req-1"] = Explanation("No valid host was found.", "req-1")
    failed = look(found, SENT)
    assert failed.state is State.FAILED
    assert failed.refused_target
    assert "No valid host was found." in failed.words


def test_a_guest_that_runs_there_already_is_not_sent_elsewhere() -> None:
    found = world("failed", vm_state="error")
    found.nova.explanations["req-1"] = Explanation("Instance instance-1 already exists.", "req-1")
    failed = look(found, SENT)
    assert failed.state is State.FAILED
    assert not failed.retry
    assert not failed.refused_target


def test_records_that_contradict_each_other() -> None:
    found = look(world("done"), SENT)
    assert found.state is State.MOVING
    assert found.verdict is Verdict.SPLIT


def test_no_answer_came() -> None:
    assert look(world(), NO_ANSWER).state is State.MOVING
    assert look(world(), NO_ANSWER_LATE).state is State.READY
    assert look(world("accepted", task_state="rebuilding"), NO_ANSWER_LATE).state is State.MOVING
    assert look(world("completed"), NO_ANSWER_LATE).state is State.READY  # of an earlier death of the host
    assert look(world(), SENT).state is State.FAILED


@pytest.mark.parametrize(
    ("status", "words", "refused", "retry"),
    [
        (400, "Compute service of c01 is still in use.", False, False),
        (404, "Compute host c02 not found.", True, True),
        (409, "Cannot 'evacuate' instance s01 while it is in vm_state paused", False, True),
        (409, "Operation not supported with shares attached", False, False),
        (409, "Cannot 'evacuate' instance s01 while it is in launched_at None", False, False),
        (403, "Policy doesn't allow it", False, False),
    ],
)
def test_refused_at_once(status: int, words: str, *, refused: bool, retry: bool) -> None:
    found = ACTION.refused(STEP, ApiError(words, status=status))
    assert found.state is State.FAILED
    assert (found.refused_target, found.retry) == (refused, retry)


def test_refused_because_it_is_gone() -> None:
    gone = ACTION.refused(STEP, ApiError("Instance s01 could not be found.", status=404))
    assert gone.state is State.BLOCKED
