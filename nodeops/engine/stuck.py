"""What is over its budget: aborted, forced to its end or left, and then waited for once more, with an end."""

from enum import StrEnum

from nodeops.actions.action import Interruptible
from nodeops.engine.board import QUEUED_ACTIONS, Moving
from nodeops.engine.context import CANNOT_ASK, Context
from nodeops.outcome import StepState

SHORTEST_GRACE = 30.0
LONGEST_GRACE = 300.0
_NOT_BEGUN = frozenset({"accepted", "queued"})


class Policy(StrEnum):
    """The values of `nodeops.runbooks.options.OnStuck`."""

    ABORT = "abort"
    FORCE_COMPLETE = "force-complete"
    LEAVE = "leave"


def is_stuck(context: Context, moving: Moving) -> bool:
    """Whether it is over its budget, and Nova has begun with it at all."""
    if moving.stuck_words:
        return True
    now = context.now()
    if moving.began is None or now - moving.began < moving.step.budget_seconds:
        return False
    if moving.step.action in QUEUED_ACTIONS and _is_queued(context, moving):
        moving.began = now
        return _waited_for_everything(context, moving)
    return True


def settle_stuck(context: Context, moving: Moving, *, interruptible: Interruptible | None) -> None:
    """Do what the operator chose, once; the end of the grace after it is the end of the step."""
    if not moving.stuck_words:
        _interrupt(context, moving, interruptible)
    if moving.give_up_at is None or context.now() >= moving.give_up_at:
        context.end(moving, StepState.UNKNOWN, moving.stuck_words)


def after_stuck(moving: Moving, words: str) -> str:
    """How it ended after all, with what was done about it."""
    return f"{moving.stuck_words}: {words}" if moving.stuck_words else words


def _interrupt(context: Context, moving: Moving, interruptible: Interruptible | None) -> None:
    step = moving.step
    over = f"did not end within {step.budget_seconds:.0f} s"
    policy = Policy(context.limits.on_stuck)
    if interruptible is None or policy is Policy.LEAVE:
        on_host = step.subject_id == context.record.plan.host
        moving.stuck_words = f"{over}, left to {'the host' if on_host else 'nova'}"
        return
    context.record.note(policy, over, step.id)
    try:
        if policy is Policy.ABORT:
            asked, done = interruptible.abort(context.world, step), "aborted"
        else:
            asked, done = interruptible.force_complete(context.world, step), "forced to complete"
        done = done if asked else "and nova has nothing running to interrupt"
    except CANNOT_ASK as error:
        asked, done = "", f"could not be {'aborted' if policy is Policy.ABORT else 'forced'} ({error})"
    moving.stuck_words = f"{over}, {done}"
    moving.give_up_at = context.now() + min(LONGEST_GRACE, max(SHORTEST_GRACE, step.budget_seconds))
    context.note(f"{step.subject_name}: {moving.stuck_words} {asked}".rstrip(), warning=True)


def _is_queued(context: Context, moving: Moving) -> bool:
    step = moving.step
    try:
        migrations = context.snapshot.migrations_from(step.source or "", server_id=step.subject_id)
    except CANNOT_ASK:
        return False
    return bool(migrations) and migrations[0].status in _NOT_BEGUN


def _waited_for_everything(context: Context, moving: Moving) -> bool:
    """Longer than everything ahead of it may take: the queue itself does not move."""
    ahead = context.board.out_of(moving.step.source)
    longest = sum(each.step.budget_seconds + LONGEST_GRACE for each in ahead) + moving.step.budget_seconds
    return context.now() - moving.sent_at > longest
