"""How a run ended, on the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodeops.outcome import Outcome, ServerResult
from nodeops.plan import Plan, Verdict
from nodeops.report import figures
from nodeops.report.blackout_view import away, blackout_lines
from nodeops.report.console import NARROW, indented, line
from nodeops.report.plan_view import finding_lines, plain_table

VERDICT = {
    Verdict.MOVED: ("✓", "good"),
    Verdict.DONE: ("✓", "good"),
    Verdict.LEFT: ("·", "warn"),
    Verdict.ROLLED_BACK: ("↺", "warn"),
    Verdict.SPLIT: ("✗", "bad"),
    Verdict.UNKNOWN: ("?", "bad"),
}


class OutcomeView:
    """Every server's verdict, the reasons, what was found on the host, and the sentence it comes down to.

    `ending` may be empty when that sentence is told elsewhere.
    """

    def __init__(self, outcome: Outcome, ending: str, *, good: bool) -> None:
        self.outcome = outcome
        self.ending = ending
        self.good = good

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        outcome = self.outcome
        took = figures.duration(outcome.ended - outcome.started) if outcome.ended else ""
        yield line(
            (f"{outcome.plan.runbook} {outcome.plan.host}", "head"),
            (f"   run {outcome.run_id}   {took}", "dim"),
        )
        yield Text()
        if outcome.servers:
            yield result_table(outcome.servers, wide=options.max_width >= NARROW)
            yield Text()
        yield from _reasons(outcome)
        if away := list(blackout_lines(outcome.servers)):
            yield Group(*(Text(words) for words in away))
            yield Text()
        findings = [*(f for result in outcome.servers for f in result.findings), *outcome.findings]
        if findings:
            yield Group(*(finding_lines(finding) for finding in findings))
            yield Text()
        yield line((summary(outcome), "head"))
        if self.ending:
            yield line((self.ending, "good" if self.good else "bad"))


def result_table(results: Sequence[ServerResult], *, wide: bool) -> Table:
    headers = ["server", "verdict", "on", "action", "took>", "tries>"]
    if wide:
        headers[1:1] = ["id"]
    measured = any(result.blackout for result in results)
    if measured:
        headers.insert(-1, "away>")
    table = plain_table(*headers)
    for result in results:
        mark, style = VERDICT[result.verdict]
        cells = [
            Text(result.name),
            line((f"{mark} {result.verdict.lower()}", style)),
            Text(result.target or "-", "host" if result.target else "dim"),
            Text("-" if result.action == "none" else result.action, "dim"),
            Text(
                figures.duration(result.seconds) if result.seconds else "-", "" if result.seconds else "dim"
            ),
            Text(str(result.attempts) if result.attempts > 1 else "", "warn"),
        ]
        if wide:
            cells[1:1] = [Text(result.id, "dim")]
        if measured:
            cells.insert(-1, Text(away(result.blackout)))
        table.add_row(*cells)
    return table


def _reasons(outcome: Outcome) -> Iterator[RenderableType]:
    """Why, for everything that was not moved, in Nova's own words."""
    told = [result for result in outcome.servers if result.reason and not result.verdict.good]
    if told or outcome.still_running:
        yield line(("Not moved" if _moves(outcome.plan) else "Not done", "head"))
    for result in told:
        yield indented(line(f"{result.name}: ", (result.reason, "dim")))
        if result.diagnosis:
            yield indented(line(("why: ", "warn"), result.diagnosis), 4)
        if result.request_id:
            yield indented(line((result.request_id, "dim")), 4)
    names = {result.id: result.name for result in outcome.servers}
    for id_, words in outcome.still_running.items():
        running = line((names.get(id_, id_), ""), (" still runs in nova: ", "warn"), words)
        yield indented(running)
    if told or outcome.still_running:
        yield Text()


def summary(outcome: Outcome) -> str:
    """The last line but one, such as `Run: 18 moved, 2 left, 1 rolled back`."""
    verdicts = [result.verdict for result in outcome.servers]
    parts = [f"{verdicts.count(verdict)} {verdict.lower()}" for verdict in Verdict if verdict in verdicts]
    return f"Run: {', '.join(parts) or 'no server to move'}"


def _moves(plan: Plan) -> bool:
    """Whether its work is to move servers."""
    return all(server.expected_verdict is not Verdict.DONE for server in plan.servers)
