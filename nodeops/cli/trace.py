"""`nodeops trace`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from nodeops.cli.complete import complete_host, complete_run, complete_server

HELP = """The story of one request over all services and hosts, and why it failed.

REQUEST is Nova's or another service's request id (req-...). SERVER, by id or
name, stands for its last request that failed, else its last one. RUN, by id
or `last`, stands for the requests of the servers that run did not move.

Reads what Nova's API keeps of the request, and the logs of the hosts that
had a part and of all hosts of the inventory that are no compute hosts: over
SSH, searched there, only what belongs comes back. The inventory tells where
services log (nodeops_logs); without one only the API is asked. Clocks of
hosts that are off are set right. Tracebacks are folded. Changes nothing.

The end names the line that explains the failure, what it is known to mean,
where that is from, and the next command.

Exits 0 when the story could be told, whatever is in it.

\b
Examples:
  nodeops trace web01                     its last failure
  nodeops trace req-2f922cba-7d09-4327-8067-e4b8fd5a99ba
  nodeops trace last                      the last run
  nodeops trace web01 --since 2h --full   every line, nothing folded
  nodeops trace last -o json
"""


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


app = typer.Typer(rich_markup_mode=None, add_completion=False)


def complete_subject(ctx: Any, incomplete: str) -> list[str]:
    """Runs of the journal, and servers."""
    return [*(run for run, _ in complete_run(ctx, incomplete)), *complete_server(ctx, incomplete)]


@app.command(help=HELP)
def trace(
    ctx: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST|SERVER|RUN",
            show_default=False,
            autocompletion=complete_subject,
            help="A request id, a server, or a run.",
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Read nothing older than this: 90m, 2h, 3d."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="HOST",
            autocompletion=complete_host,
            help="Read the logs of this host only; repeatable.",
        ),
    ] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long one host may search.")
    ] = "10m",
    full: Annotated[bool, typer.Option("--full", help="Whole lines and whole tracebacks.")] = False,
    output: Annotated[
        Form, typer.Option("-o", "--output", metavar="FORMAT", help="text or json.")
    ] = Form.TEXT,
) -> None:
    """Read only."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.cli.looking_trace import Wish, show_trace

    wish = Wish(
        subject=subject,
        since=None if since is None else units.duration(since, option="--since"),
        only=tuple(host or ()),
        seconds=units.duration(timeout, option="--timeout"),
        full=full,
        json=output is Form.JSON,
    )
    with Desk.of(ctx) as desk:
        show_trace(desk, wish)
