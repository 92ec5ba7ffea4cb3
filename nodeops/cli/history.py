"""What the journal knows, shown."""

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format, document, text
from nodeops.engine.journal import Journal, RunInfo
from nodeops.errors import UnknownRunError
from nodeops.report.figures import duration, moment
from nodeops.report.markdown_view import markdown_table
from nodeops.report.status_view import RunLine, run_line_document, runs_table

LAST = "last"


def find_run(journal: Journal, name: str) -> RunInfo:
    """By id, the beginning of one, or `last`; raises `UnknownRunError`."""
    if name != LAST:
        return journal.run(name)
    newest = journal.runs(limit=1)
    if not newest:
        raise UnknownRunError("the journal holds no run", hint="nodeops drain HOST makes the first.")
    return newest[0]


def list_runs(desk: Desk, host: str | None, number: int, output: Format) -> None:
    lines = [_line(run) for run in desk.journal().runs(host=host, limit=number)]
    if output is Format.JSON:
        document({"runs": [run_line_document(line) for line in lines]})
    elif output is Format.MARKDOWN:
        rows = [
            (run.id, run.runbook, run.host, run.state, moment(run.started), _took(run), run.user, _code(run))
            for run in lines
        ]
        headers = ("Run", "Runbook", "Host", "State", "Started", "Took", "By", "Exit")
        text("\n".join(markdown_table(headers, rows)))
    elif lines:
        desk.out().print(runs_table(lines))
    else:
        desk.err().print("no runs")


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
