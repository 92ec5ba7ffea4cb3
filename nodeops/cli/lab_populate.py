"""`nodeops lab populate`."""

import sys
import time
from typing import Annotated, Any

import typer

from nodeops.cli import lab_options as lab
from nodeops.cli.output import Format, document
from nodeops.cli.units import duration
from nodeops.errors import PartlyDoneError
from nodeops.lab.populate import Made, Outcome
from nodeops.report.figures import duration as in_words

HELP = """Make servers in every state that matters on one host.

ACTIVE of several sizes, PAUSED, SHUTOFF, SUSPENDED, RESCUE, SHELVED, ERROR,
VERIFY_RESIZE (one that came, one that went), locked, booted from a volume,
with a data volume, in groups with all four policies, pinned to its zone, with
a snapshot being uploaded, and one that fits on no other host. A real host gets
fewer, of 128 MiB, that boot: one of each state, two in a group of each kind.

Run again it completes what is missing: servers that are as they should be are
left alone, those that were moved or changed are made anew.

\b
Examples:
  nodeops lab populate              the first host
  nodeops lab populate c03          another one
  nodeops lab populate --snapshot-time 1h   the upload goes on for an hour
"""
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
def populate(
    host: Annotated[
        str | None,
        typer.Argument(metavar="HOST", show_default=False, help="The host [default: the first]."),
    ] = None,
    snapshot_time: Annotated[
        str, typer.Option(metavar="TIME", help="How long the snapshot's upload takes.")
    ] = "10m",
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default=False,
            help="Give up after this [default: 4m, on real hosts 10m].",
        ),
    ] = None,
    output: lab.Output = Format.TABLE,
    name: lab.Name = lab.DEFAULT_NAME,
    lab_dir: lab.Directory = None,
) -> None:
    """Populate, show what there is, and fail when something is not as wanted."""
    from nodeops.lab.populate import Options
    from nodeops.lab.populate import populate as make
    from nodeops.lab.populate_cloud import LabCloud

    options = Options(
        snapshot_seconds=duration(snapshot_time, option="--snapshot-time"),
        budget=duration(budget, option="--budget") if budget else None,
    )
    where = lab.layout(name, lab_dir)
    began = time.monotonic()
    made = make(LabCloud(where), where.root, host, options, _say)
    seconds = time.monotonic() - began
    if output is Format.JSON:
        document({"seconds": round(seconds, 1), "servers": [_value(server) for server in made]})
    else:
        _table(made)
    failed = [server.wanted.name for server in made if server.outcome is Outcome.FAILED]
    changed = sum(server.outcome is not Outcome.KEPT for server in made)
    _say(f"{len(made)} servers, {changed} of them changed, in {in_words(seconds)}")
    if failed:
        raise PartlyDoneError(
            f"not as wanted: {', '.join(failed)}",
            hint="The table has the reasons; the same command again completes what is missing.",
        )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _value(made: Made) -> dict[str, Any]:
    seen = made.seen
    return {
        "name": made.wanted.name,
        "id": seen.server_id if seen else None,
        "host": seen.host if seen else None,
        "status": seen.status if seen else None,
        "task": seen.task if seen else None,
        "ram_mb": made.wanted.ram_mb,
        "outcome": made.outcome.value,
        "reason": made.reason,
        "note": made.wanted.note,
    }


def _table(servers: list[Made]) -> None:
    from rich.table import Table

    from nodeops.report.console import console

    table = Table(box=None, header_style="table.header", pad_edge=False)
    for heading in ("SERVER", "HOST", "STATUS", "MiB", "WHAT IT IS", "DONE"):
        table.add_column(heading, justify="right" if heading == "MiB" else "left", overflow="fold")
    for made in servers:
        value = _value(made)
        status = f"{value['status'] or '-'}{' ' + value['task'] if value['task'] else ''}"
        told = f"{value['outcome']}: {value['reason']}" if value["reason"] else value["outcome"]
        table.add_row(value["name"], value["host"] or "-", status, str(value["ram_mb"]), value["note"], told)
    console().print(table)
