"""The exit codes as a table, and the ending of a run."""

from collections.abc import Iterator
from itertools import chain

from nodeops.errors import (
    PLAN_HAS_CHANGES,
    SIGNAL_BASE,
    FailedError,
    InterruptedRunError,
    NodeopsError,
    NotVerifiedError,
    OutcomeUnknownError,
    PartlyDoneError,
)
from nodeops.outcome import Outcome, ServerResult
from nodeops.plan import Level, Plan, Verdict
from nodeops.report.figures import count

ENDINGS = (
    ("0", "", "Done and proved, or nothing to do."),
    (
        "1",
        "`bug`",
        "A bug in nodeops; the message names a file with the details.",
    ),
    (
        str(PLAN_HAS_CHANGES),
        "",
        "A plan that has changes, with `--exit-code`; nothing was changed.",
    ),
    (
        f"{SIGNAL_BASE}+N",
        "`interrupted`",
        "Ended by signal N: 130 Ctrl-C, 143 SIGTERM; the message says what runs on.",
    ),
)
"""Ends that no error class stands for: exit code, code, meaning."""


def error_classes() -> list[type[NodeopsError]]:
    """Every way to end with an error and an exit code of its own, in the order of the codes."""
    kinds = [kind for kind in _below(NodeopsError) if kind is not InterruptedRunError]
    return sorted(kinds, key=lambda kind: (kind.exit_code, kind.code))


def _below(kind: type[NodeopsError]) -> Iterator[type[NodeopsError]]:
    return chain.from_iterable((each, *_below(each)) for each in kind.__subclasses__())


def exit_code(error: NodeopsError) -> int:
    """The error's own, or 128 and the signal's number."""
    if isinstance(error, InterruptedRunError):
        return SIGNAL_BASE + error.signal_number
    return error.exit_code


def ending(outcome: Outcome) -> NodeopsError | None:
    """What a run comes down to; None when everything was moved and proved.

    In this order: interrupted, something unknown, something not moved, something wrong with what was moved.
    """
    host = outcome.plan.host
    verdicts = [result.verdict for result in outcome.servers]
    moved = sum(verdict.good for verdict in verdicts)
    again = f"nodeops resume {outcome.run_id} goes on with it."
    if outcome.interrupted_by is not None:
        running = count(len(outcome.still_running), "migration")
        words = f"{running} still running in nova" if outcome.still_running else "nothing is running in nova"
        return InterruptedRunError(
            f"{host}: interrupted, {moved} of {count(len(verdicts), 'server')} moved; {words}",
            signal_number=outcome.interrupted_by,
            hint=again,
        )
    if Verdict.UNKNOWN in verdicts:
        unknown = count(verdicts.count(Verdict.UNKNOWN), "server")
        return OutcomeUnknownError(f"{host}: how it ended could not be seen for {unknown}", hint=again)
    return _not_moved(outcome, moved) or _not_verified(outcome, again)


def _not_moved(outcome: Outcome, moved: int) -> NodeopsError | None:
    planned = {server.id: server for server in outcome.plan.servers}
    idle = {id_ for id_, server in planned.items() if server.action == "none" and not server.refused}
    left = [r for r in outcome.servers if not _off(r) and r.id not in idle]
    if not left:
        return None
    refused = all(r.id in planned and planned[r.id].refused for r in left)
    same = command_of(outcome.plan)
    hint = f"{same} with what the refusals name allows them." if refused else f"{same} tries what is left."
    words = f"{outcome.plan.host}: {count(len(left), 'server')} not moved, {moved} moved"
    return PartlyDoneError(words, hint=hint) if moved else FailedError(words, hint=hint)


def command_of(plan: Plan) -> str:
    """What was typed for a plan of this runbook, without its other options."""
    if plan.runbook == "failover-database":
        to = plan.options.get("to")
        target = to[0] if isinstance(to, list) and to else "TARGET"
        return f"nodeops failover {plan.host} --method database --to {target}"
    if plan.runbook == "undo":
        return f"nodeops undo {plan.options.get('run')}"
    return f"nodeops {plan.runbook} {plan.host}"


def _off(result: ServerResult) -> bool:
    """Moved, or gone from every host: deleted or offloaded by somebody else meanwhile."""
    return result.verdict.good or (result.verdict is Verdict.LEFT and result.target is None)


def _not_verified(outcome: Outcome, again: str) -> NodeopsError | None:
    findings = [*(f for result in outcome.servers for f in result.findings), *outcome.findings]
    wrong = [finding for finding in findings if finding.level is Level.ERROR]
    if not wrong:
        return None
    things = count(len(wrong), "thing")
    return NotVerifiedError(
        f"{outcome.plan.host}: the check afterwards found {things} wrong: {wrong[0].words}",
        hint=wrong[0].hint or again,
    )
