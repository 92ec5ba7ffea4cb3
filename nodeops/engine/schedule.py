"""Which step may be begun next."""

from collections.abc import Collection
from enum import Enum

from nodeops.engine.board import GOOD, QUEUED_ACTIONS, Board
from nodeops.engine.canary import Canary
from nodeops.engine.context import Context
from nodeops.engine.pace import COLD_AT_ONCE
from nodeops.outcome import StepState
from nodeops.plan import Step, StepId


class Readiness(Enum):
    GO = "go"
    LATER = "later"
    NEVER = "never"


def readiness(board: Board, step: Step) -> tuple[Readiness, str]:
    """Whether what a step needs has been made, and why it never can be.

    A step that takes another one back (`restores`) is made once that one was made and all that it needs has
    come to a known end, good or bad.
    """
    if any(board.open(need) for need in step.needs):
        return Readiness.LATER, ""
    restored = step.params.get("restores")
    if restored is not None:
        return _restoring(board, step, str(restored))
    for need in step.needs:
        state = board.state_of(need)
        if state is not None and state not in GOOD:
            return Readiness.NEVER, f"needs {need}, which {_ended(state)}"
    return Readiness.GO, ""


def next_step(context: Context, canary: Canary, tried: Collection[StepId]) -> Step | None:
    """The next step to begin, None when there is none now.

    Changes in place come first, then moves by their rank, then the longest.
    """
    board, now = context.board, context.now()
    begun, in_motion = board.begun(), board.in_motion()
    startable = [
        step
        for step in board.pending()
        if step.id not in tried
        and board.not_before.get(step.id, 0.0) <= now
        and step.subject_id not in in_motion
        and may_begin(context, canary, step, begun)
        and readiness(board, step)[0] is Readiness.GO
        and _has_room(context, step)
    ]
    return min(startable, key=_order, default=None)


def may_begin(context: Context, canary: Canary, step: Step, begun: Collection[str]) -> bool:
    """Whether it is let: what has `begun` with a server is ended, whatever happened elsewhere."""
    if step.subject_id in begun:
        return True
    return not context.halted and canary.allows(step, context.board)


def _order(step: Step) -> tuple[bool, int, float]:
    """What the operator put first (`rank` in the step's params) goes first, then the longest."""
    rank = step.params.get("rank", 0)
    return step.source is not None, rank if isinstance(rank, int) else 0, -step.expected_seconds


def _restoring(board: Board, step: Step, restored: StepId) -> tuple[Readiness, str]:
    if board.state_of(restored) not in GOOD:
        return Readiness.NEVER, f"{restored} was not made: nothing to take back"
    unknown = [need for need in step.needs if board.state_of(need) is StepState.UNKNOWN]
    if unknown:
        return Readiness.NEVER, f"how {unknown[0]} ended is not known"
    return Readiness.GO, ""


def _has_room(context: Context, step: Step) -> bool:
    return _leaves(context, step) and _enters(context, step)


def _enters(context: Context, step: Step) -> bool:
    return step.target is None or context.board.into(step.target) < context.limits.inbound


def _leaves(context: Context, step: Step) -> bool:
    if step.source is None:
        return True
    board, parallel = context.board, context.limits.parallel
    if parallel is not None:
        return len(board.out_of(step.source)) < parallel
    queued = step.action in QUEUED_ACTIONS
    limit = context.pace.limit(step.source, step.expected_seconds) if queued else COLD_AT_ONCE
    return len(board.out_of(step.source, queued=queued)) < limit


def _ended(state: StepState) -> str:
    return {
        StepState.FAILED: "failed",
        StepState.BLOCKED: "could not be made",
        StepState.UNKNOWN: "ended nobody knows how",
    }.get(state, f"is {state.value}")
