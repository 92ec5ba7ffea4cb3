"""`nodeops doctor`."""

import typer

from nodeops.cli import options as o
from nodeops.cli.output import Format

HELP = """What is configured, reachable and permitted; every failure with its way out.

Asks each service once and changes nothing. Exits 0 when a drain would find
all it needs.

\b
Example:
  nodeops doctor
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
def doctor(ctx: typer.Context, output: o.Output = Format.TABLE) -> None:
    """Read only."""
    from nodeops.cli.checks import run_checks
    from nodeops.cli.desk import Desk

    with Desk.of(ctx) as desk:
        raise typer.Exit(run_checks(desk, output))
