"""`nodeops plan drain` and `nodeops apply`: what is approved is what is run."""

from pathlib import Path
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.output import Format

PLAN = """Write what a drain would do to a file, to be approved.

The file holds every step. nodeops apply FILE runs just that, or refuses with
the difference when the world has moved since. Nothing is changed by planning.

\b
Examples:
  nodeops plan drain c01 -o c01.json
  nodeops plan drain c01 -o c01.json --format markdown >> change-request.md
"""

APPLY = """Run an approved plan file, and only that.

The host is looked at again. When what is to be done is still what was
approved, it is done, as by nodeops drain; when it is not, the difference is
shown and nothing is changed.

\b
Example:
  nodeops plan drain c01 -o c01.json
  nodeops apply c01.json
"""

plan_app = typer.Typer(rich_markup_mode=None, add_completion=False, help="Write a plan to a file.")
apply_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@plan_app.callback()
def plan() -> None:
    """Write a plan to a file, to be approved and applied."""


@plan_app.command(name="drain", help=PLAN, context_settings=o.EXTRA)
@bundled
def plan_drain(
    ctx: typer.Context,
    host: o.HostArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")],
    targets: o.Targets,
    allowed: o.Allowed,
    pace: o.Pace,
    window: o.Window = None,
    output: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="What to show: table, json or markdown.")
    ] = Format.TABLE,
    exit_code: o.ExitCode = False,
) -> None:
    """Gather, plan, show, write."""
    name = o.one_host(ctx, host)
    options = o.move_options(name, allowed, pace, targets)
    manner = o.Manner(True, True, output, exit_code, o.window_seconds(window), out)
    o.conduct(ctx, "drain", manner, host=name, options=options)


@apply_app.command(help=APPLY)
@bundled
def apply(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="Written by nodeops plan.")
    ],
    consent: o.ConsentToPlan,
) -> None:
    """Read, gather, compare, show, ask, run, verify, report."""
    from nodeops.cli.conduct import apply_file
    from nodeops.cli.desk import Desk

    with Desk.of(ctx) as desk:
        raise typer.Exit(apply_file(desk, file, consent.manner))
