"""`nodeops status`."""

import typer

from nodeops.cli import options as o
from nodeops.cli.output import Format

HELP = """Hosts with their state and room, or one host with its servers.

\b
Examples:
  nodeops status
  nodeops status c01
  nodeops status -o json
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
def status(
    ctx: typer.Context,
    host: o.HostOrAll = None,
    output: o.Output = Format.TABLE,
) -> None:
    """Read only."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.looking import show_host, show_hosts

    with Desk.of(ctx) as desk:
        if host is None:
            show_hosts(desk, output)
        else:
            show_host(desk, host, output)
