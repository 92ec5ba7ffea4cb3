"""Looking at what was sent until it has come to its end, or will not."""

from nodeops.actions.action import Interruptible, Look, State
from nodeops.engine.board import QUEUED_ACTIONS, Moving
from nodeops.engine.context import CANNOT_ASK, Context
from nodeops.engine.stuck import after_stuck, is_stuck, settle_stuck
from nodeops.outcome import StepState
from nodeops.plan import Verdict

CONTRADICTION_SECONDS = 30.0
"""How long Nova's records may contradict each other before that is the verdict."""
BLIND_SECONDS = 900.0
"""How long one step may not be seen, while others are, before how it ended is called unknown."""


def look_at_all(context: Context) -> None:
    """One look at everything in flight."""
    _see_who_is_at_work(context)
    for moving in list(context.board.moving.values()):
        if context.blind:
            _mark_blind(context, moving)
        else:
            _look_at(context, moving)


def _see_who_is_at_work(context: Context) -> None:
    """Of the moves that a source queues, the first ones sent are at work; their time runs from then."""
    board, now = context.board, context.now()
    for source in board.sources():
        line = board.out_of(source, queued=True)
        for moving in line[: context.pace.at_once(source)]:
            if moving.began is None:
                moving.began = max(moving.sent_at, board.last_end.get(source, 0.0))
    for moving in board.moving.values():
        if moving.began is None and moving.step.action not in QUEUED_ACTIONS:
            moving.began = min(now, moving.sent_at)


def _look_at(context: Context, moving: Moving) -> None:
    step = moving.step
    try:
        look = context.action(step).look(context.snapshot, step, moving.sent(context.now()))
    except CANNOT_ASK as error:
        _blind(context, moving, error)
        return
    context.answered()
    moving.blind_since = None
    moving.words = look.words
    if look.state is State.DONE:
        context.end(moving, StepState.DONE, after_stuck(moving, look.words))
    elif look.state is State.BLOCKED:
        context.end(moving, StepState.BLOCKED, look.words)
    elif look.state is State.MOVING:
        _still_moving(context, moving, look)
    elif moving.stuck_words:
        context.end(moving, StepState.FAILED, after_stuck(moving, look.words), verdict=look.verdict)
    else:
        context.attempt_failed(moving, look)


def _blind(context: Context, moving: Moving, error: Exception) -> None:
    context.failed_to_look(error)
    if context.blind:
        context.probe()
    blind_for = context.now() - _mark_blind(context, moving)
    if blind_for >= BLIND_SECONDS:
        words = f"could not be looked at for {blind_for:.0f} s: {error}"
        context.end(moving, StepState.UNKNOWN, words, verdict=Verdict.UNKNOWN)


def _mark_blind(context: Context, moving: Moving) -> float:
    """Since when it cannot be looked at."""
    if moving.blind_since is None:
        moving.blind_since = context.now()
    return moving.blind_since


def _still_moving(context: Context, moving: Moving, look: Look) -> None:
    if look.verdict is None:
        moving.contradiction_since = None
    elif _contradicts_for_good(context, moving):
        state = StepState.UNKNOWN if look.verdict is Verdict.UNKNOWN else StepState.FAILED
        context.end(moving, state, look.words, verdict=look.verdict)
        return
    if is_stuck(context, moving):
        settle_stuck(context, moving, interruptible=_interruptible(context, moving))


def _contradicts_for_good(context: Context, moving: Moving) -> bool:
    now = context.now()
    if moving.contradiction_since is None:
        moving.contradiction_since = now
    return now - moving.contradiction_since >= CONTRADICTION_SECONDS


def _interruptible(context: Context, moving: Moving) -> Interruptible | None:
    action = context.action(moving.step)
    return action if isinstance(action, Interruptible) else None
