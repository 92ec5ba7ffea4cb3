"""What the journal knows, shown."""

from collections.abc import Iterator, Sequence
from typing import Any

from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import ending
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.cli.task import own_command, task_of
from nodeops.engine.journal import Journal, RunInfo, RunState
from nodeops.errors import UnknownRunError, UsageError
from nodeops.outcome import Outcome
from nodeops.report.console import line
from nodeops.report.figures import duration, moment
from nodeops.report.json_view import run_document
from nodeops.report.markdown_view import markdown_table, run_markdown
from nodeops.report.outcome_view import OutcomeView
from nodeops.report.status_view import RunLine, run_line_document, runs_table, steps_table
from nodeops.runbooks.options import cloud_key

LAST = "last"


def find_run(journal: Journal, name: str) -> RunInfo:
    """By id, the beginning of one, or `last`; raises `UnknownRunError`."""
    if name != LAST:
        return journal.run(name)
    newest = journal.runs(limit=1)
    if not newest:
        raise UnknownRunError("the journal holds no run", hint="nodeops drain HOST makes the first.")
    return newest[0]


def refuse_other_cloud(desk: Desk, run: RunInfo) -> None:
    """Raises `UsageError` for a run of a cloud that is not this one."""
    key = cloud_key(desk.world().identity())
    if run.cloud != key:
        raise UsageError(
            f"run {run.id} is of {run.cloud}, this is {key}", hint="Choose its cloud with --os-cloud."
        )


def list_runs(desk: Desk, host: str | None, number: int, output: Format) -> None:
    lines = [_line(run) for run in desk.journal().runs(host=host, limit=number)]

    def parts(_width: int) -> Iterator[Any]:
        if lines:
            yield runs_table(lines)
        else:
            desk.err().print("no runs")

    runs = Shown(
        lambda: {"runs": [run_line_document(line) for line in lines]}, lambda: _runs_markdown(lines), parts
    )
    show(desk, output, runs)


def _runs_markdown(lines: Sequence[RunLine]) -> str:
    rows = [
        (run.id, run.runbook, run.host, run.state, moment(run.started), _took(run), run.user, _code(run))
        for run in lines
    ]
    headers = ("Run", "Runbook", "Host", "State", "Started", "Took", "By", "Exit")
    return "\n".join(markdown_table(headers, rows))


def _took(run: RunLine) -> str:
    return duration(run.ended - run.started) if run.ended else ""


def _code(run: RunLine) -> str:
    return "" if run.exit_code is None else str(run.exit_code)


def _line(run: RunInfo) -> RunLine:
    working = run.owner.words if run.owner and run.owner_alive else ""
    state = "died" if run.state == "running" and not run.owner_alive else str(run.state)
    return RunLine(
        id=run.id,
        runbook=run.runbook,
        host=run.host,
        cloud=run.cloud,
        state=state,
        started=run.started,
        ended=run.ended,
        user=f"{run.user}@{run.machine}",
        command=run.command,
        exit_code=run.exit_code,
        owner=working,
    )


def show_run(desk: Desk, name: str, output: Format) -> None:
    """A run that came to its end with its verdicts, one that did not with its steps."""
    journal = desk.journal()
    run = find_run(journal, name)
    outcome = Outcome(
        run_id=run.id,
        plan=run.plan,
        servers=journal.results(run.id),
        findings=journal.findings(run.id),
        started=run.started,
        ended=run.ended or 0.0,
    )
    shown = Shown(
        lambda: run_document(outcome, exit_code=run.exit_code or 0) | {"state": _line(run).state},
        lambda: run_markdown(outcome, _standing(run, outcome)),
        lambda _width: _run_parts(journal, run, outcome),
    )
    show(desk, output, shown)


def _run_parts(journal: Journal, run: RunInfo, outcome: Outcome) -> Iterator[Any]:
    if outcome.servers:
        yield OutcomeView(outcome, _standing(run, outcome), good=run.exit_code == 0)
        return
    yield line((f"{run.runbook} {run.host}", "head"), (f"   run {run.id}", "dim"))
    yield ""
    yield steps_table([row.result for row in journal.steps(run.id)], _names(run))
    yield ""
    yield line((_standing(run, outcome), "head"))


def _names(run: RunInfo) -> dict[str, str]:
    return {server.id: server.name for server in run.plan.servers}


def _standing(run: RunInfo, outcome: Outcome) -> str:
    """How it stands, in a sentence."""
    if run.unfinished and run.owner_alive and run.owner:
        return f"{run.owner.words} works on it since {moment(run.owner_since)}"
    if run.unfinished and own_command(run.runbook):
        return f"not finished: the same command goes on with it: {run.command}"
    if run.unfinished:
        return f"not finished: nodeops resume {run.id} goes on with it"
    if own_command(run.runbook):
        said = next((server.reason for server in outcome.servers if server.reason), "")
        return said or ("done" if not run.exit_code else f"ended with exit code {run.exit_code}")
    error = ending(outcome)
    if run.state == RunState.SUPERSEDED:
        return f"given up: another runbook began on {run.host}"
    return error.message if error else task_of(outcome.plan).success(outcome)
