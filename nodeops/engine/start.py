"""Beginning a step: a last look, the gates, the journal, and then the request."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from http import HTTPStatus
from typing import TypeAlias

from nodeops.actions.action import Action, AtOnce, Look, LooksAtMany, Remembers, Sent, State
from nodeops.engine.board import Moving
from nodeops.engine.context import CANNOT_ASK, Context
from nodeops.errors import ApiError, AuthenticationError, SshError
from nodeops.events import StepSent
from nodeops.outcome import StepState
from nodeops.plan import Step, StepId

GATE_SECONDS = 600.0
"""How long a closed gate, or an API that takes no request, is waited for."""
NOT_TAKEN_SECONDS = 5.0
"""Until a request that was not taken up is tried again."""

_NOT_TAKEN = frozenset({None, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers that say the request was never looked at; None is a connection that was never made."""


NoAnswer: TypeAlias = ApiError | AuthenticationError
"""What a call came to instead of an answer."""


def begin(context: Context, steps: Sequence[Step]) -> None:
    """Send the steps, or settle them without: done already, somebody else's, to be tried later.

    More than one only of those that take effect at once: a kill between two of them leaves all of them `sent`
    in the journal, and looks settle which were made.
    """
    looked = _looks(context, [(step, None) for step in steps])
    ready = [
        found
        for step, look in zip(steps, looked, strict=True)
        if (found := _ready(context, step, look)) is not None
    ]
    if not ready or context.blind:
        return
    together = context.record.together if len(ready) > 1 else nullcontext
    with together():
        attempts = [_journal(context, step) for step in ready]
    answers: list[str | NoAnswer] = []
    for moving in attempts:
        answers.append(_ask(context, moving.step))
        if _is_trouble(answers[-1]):
            break
    with together():
        taken = [
            moving
            for moving, answer in zip(attempts, answers, strict=False)
            if _taken(context, moving, answer)
        ]
        _settle(context, taken)
        for moving in attempts[len(answers) :]:
            context.not_taken(moving.step, "not sent: the one before it had no answer", NOT_TAKEN_SECONDS)


def _looks(context: Context, looks: Sequence[tuple[Step, Sent | None]]) -> list[Look | NoAnswer]:
    """What is found of each step, or why nothing is."""
    found: dict[StepId, Look | NoAnswer] = {}
    for name in dict.fromkeys(step.action for step, _ in looks):
        those = [(step, sent) for step, sent in looks if step.action == name]
        action = context.action(those[0][0])
        many: Sequence[Look | NoAnswer]
        if isinstance(action, LooksAtMany) and len(those) > 1:
            try:
                many = action.look_at_many(context.snapshot, those)
            except CANNOT_ASK as error:
                many = [error] * len(those)
        else:
            many = [_look(context, action, step, sent) for step, sent in those]
        found.update((step.id, look) for (step, _), look in zip(those, many, strict=True))
    return [found[step.id] for step, _ in looks]


def _look(context: Context, action: Action, step: Step, sent: Sent | None) -> Look | NoAnswer:
    try:
        return action.look(context.snapshot, step, sent)
    except CANNOT_ASK as error:
        return error


def _ready(context: Context, step: Step, look: Look | NoAnswer) -> Step | None:
    """The step with what must be known of the world before it; None when it is not to be sent now."""
    if not _is_ready(context, step, look):
        return None
    action = context.action(step)
    if not isinstance(action, Remembers):
        return step
    try:
        return action.remember(step)
    except CANNOT_ASK as error:
        _wait(context, step, f"cannot be looked at: {error}", GATE_SECONDS)
        return None


def _is_ready(context: Context, step: Step, look: Look | NoAnswer) -> bool:
    """Whether what was found and the gates let it be sent; what they say otherwise is seen to."""
    if not isinstance(look, Look):
        context.failed_to_look(look)
        _wait(context, step, f"cannot be looked at: {look}", GATE_SECONDS)
        return False
    context.answered()
    if look.state is State.READY:
        return _gates_open(context, step)
    if look.state is State.DONE:
        context.end_unsent(step, StepState.SKIPPED, look.words)
    elif look.state is State.MOVING:
        _wait(context, step, look.words, step.budget_seconds)
    elif look.state is State.FAILED:
        context.end_unsent(step, StepState.FAILED, look.words)
    else:
        context.end_unsent(step, StepState.BLOCKED, look.words)
    return False


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


def _journal(context: Context, planned: Step) -> Moving:
    step = _with_reason(context, planned)
    attempt = context.board.attempts.get(step.id, 0) + 1
    moving = Moving(step, context.now(), attempt, ambiguous=True)
    context.record.sending(step, attempt, moving.sent_at)
    context.board.attempts[step.id] = attempt
    context.board.not_before.pop(step.id, None)
    return moving


def _ask(context: Context, step: Step) -> str | NoAnswer:
    """The request id, or the error instead of an answer."""
    try:
        return context.action(step).act(context.world, step)
    except CANNOT_ASK as error:
        return error


def _is_trouble(answer: str | NoAnswer) -> bool:
    """Whether it says something of the way there, rather than of the step."""
    if isinstance(answer, ApiError):
        return _may_have_happened(answer) or answer.status in _NOT_TAKEN
    return isinstance(answer, AuthenticationError)


def _taken(context: Context, moving: Moving, answer: str | NoAnswer) -> bool:
    """Whether the request was taken; an answer that did not come is settled by looking only."""
    step = moving.step
    if not isinstance(answer, str):
        _refused(context, step, answer, moving)
        return False
    moving.ambiguous, moving.request_id = False, answer
    context.no_wait(step)
    context.board.request_ids[step.id] = answer
    context.board.moving[step.id] = moving
    context.snapshot.forget_host(step.subject_id)
    context.listener(StepSent(step, answer, moving.attempt, context.now()))
    return True


def _settle(context: Context, taken: Sequence[Moving]) -> None:
    """Write down what was taken; what took effect at once has come to its end."""
    at_once = [each for each in taken if isinstance(context.action(each.step), AtOnce)]
    looked = _looks(context, [(each.step, each.sent(context.now())) for each in at_once])
    done = {
        moving.step.id: look
        for moving, look in zip(at_once, looked, strict=True)
        if isinstance(look, Look) and look.state is State.DONE
    }
    for moving in taken:
        look = done.get(moving.step.id)
        if look is None:
            context.record.answered(moving.step, moving.request_id)
        else:
            context.end(moving, StepState.DONE, look.words)


def _refused(context: Context, step: Step, error: NoAnswer, moving: Moving) -> None:
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
        who = "the host" if isinstance(error, SshError) else "nova"
        _wait(context, step, f"{who} takes no request: {error}", GATE_SECONDS)
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
