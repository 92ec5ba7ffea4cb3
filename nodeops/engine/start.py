"""Beginning a step: a last look, the gates, the journal, and then the request."""

from dataclasses import replace
from http import HTTPStatus

from nodeops.actions.action import Look, State
from nodeops.engine.board import Moving
from nodeops.engine.context import CANNOT_ASK, Context
from nodeops.errors import ApiError, AuthenticationError
from nodeops.events import StepSent
from nodeops.outcome import StepState
from nodeops.plan import Step

GATE_SECONDS = 600.0
"""How long a closed gate, or an API that takes no request, is waited for."""
NOT_TAKEN_SECONDS = 5.0
"""Until a request that was not taken up is tried again."""

_NOT_TAKEN = frozenset({None, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers that say the request was never looked at; None is a connection that was never made."""


def begin(context: Context, step: Step) -> None:
    """Send the step, or settle it without: done already, somebody else's, to be tried later."""
    try:
        look = context.action(step).look(context.snapshot, step, None)
    except CANNOT_ASK as error:
        context.failed_to_look(error)
        _wait(context, step, f"cannot be looked at: {error}", GATE_SECONDS)
        return
    context.answered()
    if look.state is State.READY:
        if _gates_open(context, step):
            _send(context, step)
    elif look.state is State.DONE:
        context.end_unsent(step, StepState.SKIPPED, look.words)
    elif look.state is State.MOVING:
        _wait(context, step, look.words, step.budget_seconds)
    elif look.state is State.FAILED:
        context.end_unsent(step, StepState.FAILED, look.words)
    else:
        context.end_unsent(step, StepState.BLOCKED, look.words)


def _wait(context: Context, step: Step, words: str, longest: float) -> None:
    """What stands in the way ends by itself, or the step is given up after its budget."""
    since = context.board.waiting.setdefault(step.id, context.now())
    context.board.waits_for[step.id] = words
    waited = context.now() - since
    if waited == 0:
        context.note(f"{step.subject_name}: {words}")
    elif waited >= longest:
        context.end_unsent(step, StepState.BLOCKED, f"{words}, for {waited:.0f} s")


def _gates_open(context: Context, step: Step) -> bool:
    for name in step.gates:
        gate = context.gates.get(name)
        if gate is None:
            context.end_unsent(step, StepState.BLOCKED, f"gate {name} is not known")
            return False
        try:
            veto = gate.veto(context.snapshot, step)
        except CANNOT_ASK as error:
            _wait(context, step, f"gate {name} cannot be asked: {error}", GATE_SECONDS)
            return False
        if veto is None:
            continue
        if gate.about_target:
            context.failed(step, Look(State.FAILED, veto, refused_target=True))
        else:
            _wait(context, step, f"gate {name}: {veto}", GATE_SECONDS)
        return False
    return True


def _send(context: Context, step: Step) -> None:
    """Journal, then act. An answer that did not come is settled by looking only."""
    step = _with_reason(context, step)
    attempt = context.board.attempts.get(step.id, 0) + 1
    at = context.now()
    context.record.sending(step, attempt, at)
    context.board.attempts[step.id] = attempt
    context.board.not_before.pop(step.id, None)
    try:
        request_id = context.action(step).act(context.world, step)
    except CANNOT_ASK as error:
        _refused(context, step, error, Moving(step, at, attempt, ambiguous=True))
        return
    context.record.answered(step, request_id)
    context.no_wait(step)
    context.board.request_ids[step.id] = request_id
    context.board.moving[step.id] = Moving(step, at, attempt, request_id)
    context.snapshot.forget_host(step.subject_id)
    context.listener(StepSent(step, request_id, attempt, context.now()))


def _refused(context: Context, step: Step, error: ApiError | AuthenticationError, moving: Moving) -> None:
    if isinstance(error, ApiError) and _may_have_happened(error):
        moving.request_id = error.request_id or ""
        context.no_wait(step)
        context.board.moving[step.id] = moving
        context.unanswered = True
        context.note(f"{step.subject_name}: no answer to {step.action} ({error}): looking", warning=True)
        return
    if isinstance(error, AuthenticationError) or error.status in _NOT_TAKEN:
        context.not_taken(step, str(error), NOT_TAKEN_SECONDS)
        context.unanswered = True
        _wait(context, step, f"nova takes no request: {error}", GATE_SECONDS)
        return
    context.board.waiting.pop(step.id, None)
    context.board.request_ids[step.id] = error.request_id or ""
    look = context.action(step).refused(step, error)
    if look.state is State.BLOCKED:
        context.end_unsent(step, StepState.BLOCKED, look.words)
    else:
        context.failed(step, look)


def _may_have_happened(error: ApiError) -> bool:
    """A server error says nothing of the effect; 503 is said before the request is taken up."""
    status = error.status or 0
    return error.ambiguous or (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE
    )


def _with_reason(context: Context, step: Step) -> Step:
    """A disabled host says who did it, and in which run."""
    if step.action != "disable-service":
        return step
    return replace(step, params={**step.params, "reason": context.record.reason})
