"""`nodeops runs`, `show` and `resume`: what the journal knows."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_run
from nodeops.cli.output import Format

RUNS = """List what was run: when, by whom, on which host, how it ended.

\b
Examples:
  nodeops runs
  nodeops runs --host c01 -n 5
"""

SHOW = """Show one run: every server with its verdict, every reason.

RUN is an id of nodeops runs, the beginning of one, or "last".

\b
Examples:
  nodeops show last
  nodeops show d-20260714-033320-7fa -o json
"""

RESUME = """Go on with a run that was interrupted, from any state.

The cloud is looked at again and the rest is planned anew: what is done is not
done twice, what was sent and not seen to end is looked for first. The same
command that began the run does the same.

\b
Example:
  nodeops resume d-20260714-033320-7fa
"""

runs_app = typer.Typer(rich_markup_mode=None, add_completion=False)
show_app = typer.Typer(rich_markup_mode=None, add_completion=False)
resume_app = typer.Typer(rich_markup_mode=None, add_completion=False)

RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", show_default=False, autocompletion=complete_run, help="Its id, or last."),
]


@runs_app.command(help=RUNS)
def runs(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Only those of this host.")] = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, metavar="N", help="The last N.")] = 20,
    output: o.Output = Format.TABLE,
) -> None:
    """The newest first."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.history import list_runs

    with Desk.of(ctx) as desk:
        list_runs(desk, host, number, output)


@show_app.command(help=SHOW)
def show(ctx: typer.Context, run: RunArgument, output: o.Output = Format.TABLE) -> None:
    """Every server, every reason."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.history import show_run

    with Desk.of(ctx) as desk:
        show_run(desk, run, output)


@resume_app.command(help=RESUME)
@bundled
def resume(
    ctx: typer.Context,
    run: RunArgument,
    consent: o.ConsentToPlan,
) -> None:
    """Gather, plan, match with the journal, show, ask, run, verify, report."""
    from nodeops.cli.conduct import resume_run
    from nodeops.cli.desk import Desk

    with Desk.of(ctx) as desk:
        raise typer.Exit(resume_run(desk, run, consent.manner))
