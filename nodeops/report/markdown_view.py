"""A plan or a run as Markdown, to be pasted into a change request or a ticket."""

from collections.abc import Iterator, Sequence

from nodeops.outcome import Outcome, ServerResult
from nodeops.plan import Action, Finding, Plan, Refusal, ServerPlan, TargetLoad
from nodeops.report import figures
from nodeops.report.blackout_view import away, blackout_lines
from nodeops.report.plan_view import host_steps, summary, totals
from nodeops.report.rows import ROW_TITLES, row_changes


def plan_markdown(plan: Plan, statements: Sequence[str] = ()) -> str:
    """What will be done, in the order a reviewer asks: what, how long, what not, where to.

    `statements` is the SQL it stands for.
    """
    sql = ["### SQL", "", "```sql", *statements, "```", ""] if statements else []
    return "\n".join([*_plan_lines(plan), *sql]) + "\n"


def run_markdown(outcome: Outcome, ending: str) -> str:
    """What was done; `ending` is the sentence the terminal ends with."""
    return "\n".join(_run_lines(outcome, ending)) + "\n"


def _plan_lines(plan: Plan) -> Iterator[str]:
    yield f"## {plan.runbook} {plan.host}"
    yield ""
    yield f"- Cloud: {plan.cloud}"
    yield f"- Plan: `{plan.digest}`"
    yield f"- {summary(plan)}"
    yield f"- {totals(plan).plain}"
    yield ""
    headers = ("Server", "Status", "Action", "Target", "Risk", "Expected")
    yield from markdown_table(headers, [_server(server) for server in plan.servers])
    refused = [_refusal(server.name, refusal) for server in plan.refused for refusal in server.refusals]
    if refused:
        yield "### Refused"
        yield ""
        yield from markdown_table(("Server", "Class", "Reason", "Allowed by"), refused)
    if plan.targets:
        yield "### Hosts that receive"
        yield ""
        rows = [_target(target) for target in plan.targets]
        yield from markdown_table(("Host", "Zone", "Servers", "VCPU", "Memory"), rows)
    if steps := host_steps(plan):
        yield f"### On {plan.host}, in this order"
        yield ""
        yield from (f"{number}. {step.action}: {step.why}" for number, step in enumerate(steps, start=1))
        yield ""
    rows = [(each.server, *each.cells) for each in row_changes(plan)]
    if rows:
        yield "### Rows"
        yield ""
        yield from markdown_table(("Server", *ROW_TITLES), rows)
    yield from _findings(plan.findings)


def _run_lines(outcome: Outcome, ending: str) -> Iterator[str]:
    plan = outcome.plan
    yield f"## {plan.runbook} {plan.host}: run {outcome.run_id}"
    yield ""
    yield f"- {ending}"
    yield f"- Started {figures.moment(outcome.started)}, ended {figures.moment(outcome.ended)}"
    yield f"- Plan: `{plan.digest}`"
    yield ""
    headers = ("Server", "Verdict", "On", "Took", "Reason")
    yield from markdown_table(headers, [_result(result) for result in outcome.servers])
    if away := [f"- {words}" for words in blackout_lines(outcome.servers)]:
        yield from ("### Blackout", "", *away, "")
    yield from _findings([finding for result in outcome.servers for finding in result.findings])
    yield from _findings(outcome.findings)


def _result(result: ServerResult) -> Sequence[str]:
    verdict = str(result.verdict) if result.verdict.good else f"**{result.verdict}**"
    request = f"({result.request_id})" if result.request_id and result.reason else ""
    took = figures.duration(result.seconds) if result.seconds else ""
    if result.blackout is not None and result.blackout.seconds is not None:
        took += f", away {away(result.blackout)}"
    return (result.name, verdict, result.target or "", took, _reason(result, request))


def _reason(result: ServerResult, request: str) -> str:
    why = f"; why: {result.diagnosis}" if result.diagnosis else ""
    return f"{result.reason}{why} {request}".strip()


def _refusal(name: str, refusal: Refusal) -> Sequence[str]:
    override = f"`{refusal.override}`" if refusal.override else "nothing"
    return (name, refusal.refusal_class, refusal.reason, override)


def _server(server: ServerPlan) -> Sequence[str]:
    if server.refused:
        return (server.name, server.status, f"refused: {server.refusals[0].refusal_class}", "", "", "")
    if server.action is Action.NONE:
        return (server.name, server.status, "nothing to do", "", "", "")
    risk, expected = server.risk.name.lower(), figures.duration(server.expected_seconds)
    return (server.name, server.status, str(server.action), server.target or "", risk, expected)


def _target(target: TargetLoad) -> Sequence[str]:
    return (
        target.host,
        target.zone,
        f"+{target.servers_in}",
        _change(target, "VCPU", 1, ""),
        _change(target, "MEMORY_MB", figures.GIBI, " GiB"),
    )


def _change(target: TargetLoad, kind: str, divisor: int, unit: str) -> str:
    before, after = target.before.get(kind), target.after.get(kind)
    if before is None or after is None:
        return ""
    return f"{before[0] // divisor} → {after[0] // divisor} of {after[1] // divisor}{unit}"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield "### Findings"
        yield ""
        for finding in findings:
            yield f"- {finding.level}: {finding.words}" + (f". {finding.hint}" if finding.hint else "")
        yield ""


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, and an empty one; nothing when there are no rows."""
    if not rows:
        return
    yield f"| {' | '.join(headers)} |"
    yield f"|{'|'.join('---' for _ in headers)}|"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
    yield ""


def markdown_page(headers: Sequence[str], rows: Sequence[Sequence[str]], last: str) -> str:
    """A table, if there are rows, and a sentence under it."""
    table = "\n".join(markdown_table(headers, rows)) + "\n\n" if rows else ""
    return f"{table}{last}\n"


def _cell(text: str) -> str:
    """A server's name is anybody's text: it must not break the table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
