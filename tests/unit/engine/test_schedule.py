"""When a step may be begun, by how what it needs has ended."""

import pytest

from nodeops.engine.board import Board
from nodeops.engine.schedule import Readiness, readiness
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Step
from tests.unit.engine.plans import server_step

FIRST = server_step("start", "s01")
SECOND = server_step("stop", "s01", FIRST.id)


def after(state: StepState | None, step: Step) -> Readiness:
    """Whether the step may begin when the first one has ended so; None: it has not."""
    board = Board(steps={FIRST.id: FIRST, step.id: step})
    if state is not None:
        board.end(StepResult(FIRST.id, "s01", "start", state))
    return readiness(board, step)[0]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (None, Readiness.LATER),
        (StepState.DONE, Readiness.GO),
        (StepState.SKIPPED, Readiness.GO),
        (StepState.FAILED, Readiness.NEVER),
        (StepState.BLOCKED, Readiness.NEVER),
        (StepState.UNKNOWN, Readiness.NEVER),
    ],
)
def test_a_need_has_to_end_well(state: StepState | None, wanted: Readiness) -> None:
    assert after(state, SECOND) is wanted


@pytest.mark.parametrize("state", [StepState.DONE, StepState.FAILED, StepState.BLOCKED, StepState.UNKNOWN])
def test_a_step_may_go_on_despite_the_failure_of_one(state: StepState) -> None:
    step = server_step("stop", "s01", FIRST.id, despite=FIRST.id)
    assert after(state, step) is Readiness.GO
    assert after(None, step) is Readiness.LATER
    assert after(StepState.FAILED, server_step("stop", "s01", FIRST.id, despite="other")) is Readiness.NEVER
