"""Whether a plan may be run at all, in the operator's words."""

from dataclasses import replace

from nodeops.engine.journal import RunInfo
from nodeops.errors import HostBusyError, NeedsMoreRiskError, NodeopsError, RefusedError
from nodeops.plan import Finding, Level, Plan
from nodeops.report.figures import count, duration, moment

NAMES = 4


def objection(plan: Plan, *, leave_refused: bool) -> NodeopsError | None:
    """Why the plan must not be run: a finding forbids it, or refused servers are not left behind."""
    forbidding = [finding for finding in plan.findings if finding.level is Level.ERROR]
    if forbidding:
        return RefusedError(forbidding[0].words, hint=forbidding[0].hint)
    if not plan.refused or (leave_refused and plan.steps):
        return None
    names = ", ".join(server.name for server in plan.refused[:NAMES])
    more = f" and {len(plan.refused) - NAMES} more" if len(plan.refused) > NAMES else ""
    refused = count(len(plan.refused), "server")
    words = f"{plan.host}: {refused} of {len(plan.servers)} refused: {names}{more}"
    refusals = [refusal for server in plan.refused for refusal in server.refusals]
    overrides = sorted({refusal.override for refusal in refusals if refusal.override})
    others = "nothing else is left to do" if leave_refused else "or move the others with --leave-refused"
    if all(refusal.override for refusal in refusals):
        return NeedsMoreRiskError(words, hint=f"Allow them with {' '.join(overrides)}; {others}.")
    return RefusedError(words, hint=f"Look at the reasons above; {others}.")


def held(subject: str, run: RunInfo) -> HostBusyError:
    """Another run works on it now."""
    who = run.owner.words if run.owner else run.user
    return HostBusyError(
        f"{subject} is held by run {run.id} ({run.runbook}) of {who} since {moment(run.owner_since)}",
        hint=f"Wait for it; nodeops show {run.id} tells what it does.",
    )


def is_rest_of(plan: Plan, approved: Plan) -> bool:
    """Whether it holds nothing that was not approved: what a killed run of that plan has left."""
    steps = {step.id: (step.action, step.target, step.risk) for step in approved.steps}
    servers = {server.id for server in approved.servers}
    return all(
        steps.get(step.id) == (step.action, step.target, step.risk) for step in plan.steps
    ) and servers.issuperset(server.id for server in plan.servers)


def with_window(plan: Plan, window: float | None) -> Plan:
    """The plan with a finding that says whether it fits into so many seconds."""
    if window is None:
        return plan
    spare = window - plan.expected_seconds
    if spare >= 0:
        finding = Finding(
            Level.INFO, "window-fits", f"fits into {duration(window)} with {duration(spare)} to spare"
        )
    else:
        finding = Finding(
            Level.WARNING,
            "window-too-short",
            f"takes {duration(-spare)} longer than {duration(window)}",
            "Raise --parallel, or drain a part of it in each window: what was moved stays moved.",
        )
    return replace(plan, findings=(*plan.findings, finding))
