"""Which step may be begun next."""

from collections.abc import Iterable
from enum import Enum

from nodeops.actions.action import AtOnce
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
    come to a known end, good or bad. Of one need a step may say that it goes on `despite` its failure.
    """
    if any(board.open(need) for need in step.needs):
        return Readiness.LATER, ""
    restored = step.params.get("restores")
    if restored is not None:
        return _restoring(board, step, str(restored))
    despite = step.params.get("despite")
    for need in step.needs:
        state = board.state_of(need)
        if state is not None and state not in GOOD and need != despite:
            return Readiness.NEVER, f"needs {need}, which {_ended(state)}"
    return Readiness.GO, ""


TOGETHER = 50
"""Most steps that are journaled together; with a slow database they still take no more than seconds."""


class Queue:
    """The steps that may be begun in this tick, one after the other.

    Changes in place come first, then moves by their rank, then the longest. What ends at once is followed by
    the next step of the same subject, so that as few subjects as can be are half done at any time.
    """

    def __init__(self, context: Context, canary: Canary) -> None:
        self._context = context
        self._canary = canary
        self._tried: set[StepId] = set()
        self._line: list[Step] = []
        self._stale = True

    def next(self) -> list[Step]:
        """The next step, or several of different subjects that take effect at once; empty: none now."""
        first = self._pop()
        if first is None:
            return []
        found, subjects = [first], {first.subject_id}
        while self._at_once(first) and len(found) < TOGETHER:
            step = self._pop()
            if step is None:
                break
            if not self._at_once(step) or step.subject_id in subjects:
                self._put_back(step)
                break
            found.append(step)
            subjects.add(step.subject_id)
        return found

    def _pop(self) -> Step | None:
        while True:
            while self._line:
                step = self._line.pop()
                if step.id not in self._tried and self._startable(step):
                    self._tried.add(step.id)
                    return step
            if not self._stale:
                return None
            self._stale = False
            pending = [step for step in self._context.board.pending() if step.id not in self._tried]
            self._line = sorted(pending, key=_order, reverse=True)

    def _put_back(self, step: Step) -> None:
        self._tried.discard(step.id)
        self._line.append(step)

    def _at_once(self, step: Step) -> bool:
        return isinstance(self._context.action(step), AtOnce)

    def follow(self, steps: Iterable[Step]) -> None:
        """Something was begun, which may let others begin; these have ended: their subjects go on first."""
        self._stale = True
        board = self._context.board
        for step in steps:
            after = [board.steps[key] for key in board.needing(step.id)]
            self._line.extend(each for each in after if each.subject_id == step.subject_id)

    def _startable(self, step: Step) -> bool:
        board = self._context.board
        return (
            board.is_pending(step.id)
            and board.not_before.get(step.id, 0.0) <= self._context.now()
            and not board.busy(step.subject_id)
            and may_begin(self._context, self._canary, step)
            and readiness(board, step)[0] is Readiness.GO
            and _has_room(self._context, step)
        )


def may_begin(context: Context, canary: Canary, step: Step) -> bool:
    """Whether it is let: what has begun with a server is ended, whatever happened elsewhere."""
    if context.board.has_begun(step.subject_id):
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
