"""`nodeops undo`."""

import typer

from nodeops.cli import options as o
from nodeops.cli.output import Format
from nodeops.cli.runs import RunArgument

UNDO = """Put back what a failover by the database has changed.

RUN is an id of nodeops runs, the beginning of one, or "last": a failover with
--method database, finished or not. What it changed is put back from its undo
file, the last change first, each only where the value is still as the run left
it. Servers that cannot be put back any more are refused, with the reason:
their guest has run on the target, or the old host has come back and removed
its copy. Nothing is switched on: the host is as dead afterwards as before.

Every row is shown with before and after. You type the host's name; without a
terminal say --confirm HOST@DIGEST of that very plan. --yes is not enough.

\b
Examples:
  nodeops undo f-20260714-033320-7fa --dry-run   what would be put back
  nodeops undo f-20260714-033320-7fa             show, ask, do, check
  nodeops undo last --leave-refused              what can still be put back
"""

undo_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@undo_app.command(help=UNDO)
def undo(
    ctx: typer.Context,
    run: RunArgument,
    leave_refused: o.LeaveRefused = False,
    confirm: o.Confirm = "",
    dry_run: o.DryRun = False,
    output: o.Output = Format.TABLE,
    exit_code: o.ExitCode = False,
) -> None:
    """Gather, plan, show, ask, put back, verify, report."""
    from dataclasses import replace

    from nodeops.cli.conduct import carry_out
    from nodeops.cli.desk import Desk
    from nodeops.cli.undo_task import Undo, rewriting_run

    with Desk.of(ctx) as desk:
        found = rewriting_run(desk, run)
        task = Undo(found.host, found.id, confirmed=confirm)
        task = replace(task, options=replace(task.options, leave_refused=leave_refused))
        manner = o.Manner(dry_run, False, output, exit_code)
        raise typer.Exit(carry_out(desk, task, manner))
