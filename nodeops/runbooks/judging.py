"""What the checks after a run have in common: the steps of each server, and its result."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from nodeops.model.facts import Server
from nodeops.outcome import ServerResult, StepResult, StepState
from nodeops.plan import Finding, ServerPlan, Step, Verdict

TOUCHED = frozenset({StepState.SENT, StepState.DONE, StepState.FAILED, StepState.UNKNOWN})
"""Of a step that was asked for: something may have happened."""
WRONG = frozenset({StepState.FAILED, StepState.UNKNOWN, StepState.BLOCKED})

Item = TypeVar("Item", Step, StepResult)


def by_subject(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.subject_id, []).append(item)
    return found


def was_touched(results: Sequence[StepResult]) -> bool:
    return any(each.state in TOUCHED for each in results)


def told(results: Sequence[StepResult], otherwise: str) -> str:
    """What the run was told about the step that went wrong, in Nova's words."""
    return next((each.words for each in results if each.state in WRONG and each.words), otherwise)


def why_left(planned: ServerPlan) -> str:
    """Of a server that the plan leaves alone."""
    return planned.refusals[0].reason if planned.refused else planned.why


def result_of(
    planned: ServerPlan,
    seen: Server | None,
    results: Sequence[StepResult],
    judged: tuple[Verdict, str],
    findings: tuple[Finding, ...] = (),
) -> ServerResult:
    """Of a server as it was `seen` afterwards, with what its steps took; `judged` is verdict and reason."""
    verdict, reason = judged
    return ServerResult(
        id=planned.id,
        name=planned.name,
        action=str(planned.action),
        verdict=verdict,
        target=seen.host if seen else None,
        reason=reason,
        request_id=next((each.request_id for each in reversed(results) if each.request_id), ""),
        seconds=round(sum(each.seconds for each in results), 3),
        attempts=max((each.attempts for each in results), default=0),
        findings=findings,
    )
