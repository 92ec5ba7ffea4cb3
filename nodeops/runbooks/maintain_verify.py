"""What came of a maintenance window, from how its steps ended and what is seen now. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from nodeops.model.facts import Host
from nodeops.model.machine import Service
from nodeops.model.maintaining import BACK
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Finding, Level, Plan

FAILED = "window-failed"
BAD = frozenset({StepState.FAILED, StepState.UNKNOWN, StepState.BLOCKED, StepState.SENT})
GOOD = frozenset({StepState.DONE, StepState.SKIPPED})
BEFORE_FINISH = frozenset(
    {
        "disable-service",
        "stop-compute",
        "keep-stopped",
        "work",
        "pause-for-work",
        "wait-host",
        "reboot-host",
        "power-cycle-host",
    }
)
"""Steps that somebody saw to otherwise, where only what comes after the work was asked for."""
TOLD = frozenset({"work", "reboot-host", "power-cycle-host", "wait-ready", "stop-compute"})
"""Steps of which the report says how they ended."""
NEXT = {
    "hook": "Mend the command.",
    "stop-compute": "nodeops host {host} status and logs show why it does not end.",
    "keep-stopped": "nodeops host {host} status shows it.",
    "work": "Mend it on {host}.",
    "pause-for-work": "Nobody said that the work is done.",
    "wait-host": "Look at its console.",
    "reboot-host": "Look at its console.",
    "power-cycle-host": "Look at its console, and at its power.",
    "start-compute": "nodeops host {host} logs shows why it does not run.",
    "wait-ready": "nodeops ready {host} shows each question and its way out.",
    "enable-service": "nodeops ready {host} shows how it is.",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """A window's servers, as two plans of the kinds that are verified elsewhere."""

    away: Plan
    """Those that only leave, as a drain."""
    home: Plan
    """Those that came back, or were on their way, as an undrain."""


def parts_of(plan: Plan, results: Sequence[StepResult] = ()) -> Parts:
    """Who was on the way home is judged by that; all others by having left."""
    begun = {
        each.subject_id
        for each in results
        if each.step_id.startswith(BACK) and each.state not in {StepState.PENDING, StepState.BLOCKED}
    }
    away = tuple(each for each in plan.servers if each.id not in begun)
    home = tuple(each for each in plan.servers if each.id in begun)
    out = tuple(step for step in plan.steps if not step.id.startswith(BACK) and step.subject_id not in begun)
    back = tuple(step for step in plan.steps if step.id.startswith(BACK) and step.subject_id in begun)
    return Parts(
        replace(plan, runbook="drain", servers=away, steps=out),
        replace(plan, runbook="undrain", servers=home, steps=back),
    )


def judge_window(
    plan: Plan, results: Sequence[StepResult], host: Host | None, service: Service | None
) -> tuple[Finding, ...]:
    """How the host's own steps ended, and how it stands when one of them did not end well."""
    given_up = BEFORE_FINISH if plan.options.get("finish") else frozenset()
    own = [each for each in results if each.subject_id == plan.host and each.action not in given_up]
    failed = _failed(own)
    found = list(_told(plan.host, own))
    if failed is None:
        return tuple(found)
    return (*found, _finding(plan.host, failed), *_standing(plan.host, host, service))


def window_failure(findings: Iterable[Finding]) -> Finding | None:
    return next((each for each in findings if each.code == FAILED), None)


def _failed(own: Sequence[StepResult]) -> StepResult | None:
    """The step that everything after it waits for; None also when it was the drain that failed."""
    for state in (StepState.FAILED, StepState.UNKNOWN, StepState.SENT):
        found = [each for each in own if each.state is state]
        if found:
            return found[0]
    return next(
        (each for each in own if each.state is StepState.BLOCKED and not each.words.startswith("needs ")),
        None,
    )


def _finding(host: str, failed: StepResult) -> Finding:
    words = f"{host}: {failed.action}: {failed.words or failed.state}"
    return Finding(Level.ERROR, FAILED, words, NEXT.get(failed.action, "").format(host=host), host)


def _told(host: str, own: Sequence[StepResult]) -> Iterator[Finding]:
    for each in own:
        if each.action in TOLD and each.state in GOOD and each.words:
            yield Finding(
                Level.INFO, f"did-{each.action}", f"{host}: {each.action}: {each.words}", subject=host
            )


def _standing(host: str, seen: Host | None, service: Service | None) -> Iterator[Finding]:
    """In what state the host was left."""
    if seen is not None:
        reason = f" ({seen.disabled_reason})" if seen.disabled_reason else ""
        state = "enabled" if seen.enabled else f"disabled{reason}"
        words = f"{host} stays {state}" if not seen.enabled else f"{host} is enabled"
        yield Finding(Level.WARNING, "host-left", words, subject=host)
    if service is not None:
        hint = f"nodeops host {host} start unmasks and starts it." if service.masked else ""
        yield Finding(Level.WARNING, "service-left", f"{host}: {service.words}", hint, host)
