"""`nodeops watch`."""

from enum import StrEnum
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.complete import complete_host

HELP = """Follow servers through their states, a line for every change.

Shows status, vm_state, task_state, power_state and host, how far a move is,
and an image that is being made; at the end the time spent in each state. It
asks Nova once a tick, however many servers there are. Changes nothing.

Without --until it goes on until Ctrl-C, or until none of the servers is left.

\b
Conditions: status, vm_state, task, power, host with = or !=, or gone.
Several --until must all hold, for all servers; a=b,c is either.

\b
Exit codes:
  0    the conditions hold
  31   --timeout is over first
  32   a server is gone (404) that was to reach them, or all are
  33   a server went into ERROR first
  130  Ctrl-C

\b
Examples:
  nodeops watch web01                             until it is gone
  nodeops watch web01 --every                     a line for each look
  nodeops watch web01 --until task=none           its image is made
  nodeops watch --host c01 --until host!=c01 --timeout 30m
  nodeops watch web01 web02 --until status=ACTIVE -o json
"""


class Lines(StrEnum):
    TEXT = "text"
    JSON = "json"


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
def watch(
    ctx: typer.Context,
    servers: o.Servers = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            autocompletion=complete_host,
            help="All servers of this host, and those that come to it.",
        ),
    ] = None,
    until: Annotated[
        list[str] | None,
        typer.Option("--until", metavar="CONDITION", help="End when this holds; repeatable: all must hold."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Give up after this: 90s, 15m.")
    ] = None,
    interval: Annotated[str, typer.Option("--interval", metavar="TIME", help="Between two looks.")] = "1s",
    every: Annotated[bool, typer.Option("--every", help="Show each look, not only changes.")] = False,
    output: Annotated[
        Lines, typer.Option("-o", "--output", metavar="FORMAT", help="text, or json: one object a line.")
    ] = Lines.TEXT,
) -> None:
    """Read only."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.cli.watching import Wish, watch_servers
    from nodeops.model.tracking import condition

    wish = Wish(
        words=o.servers_or_host(ctx, servers, host),
        host=host,
        until=tuple(map(condition, until or ())),
        timeout=None if timeout is None else units.duration(timeout, option="--timeout"),
        interval=units.duration(interval, option="--interval"),
        every=every,
        json=output is Lines.JSON,
    )
    with Desk.of(ctx) as desk:
        watch_servers(desk, wish)
