"""`nodeops inquest`."""

import typer

from nodeops.cli import options as o
from nodeops.cli.output import Format
from nodeops.errors import UsageError

HELP = """Find out whether a host is dead, by independent signs.

Asks, all at the same time, in some seconds: nova-compute and the network
agent by their heartbeats, ping, ssh, libvirt over ssh, the power by the
inventory's fence command, ports and volumes, and a command of your own. Each
sign says what it proves and what not. Changes nothing.

ALIVE if anything proves life, DEAD only if something proves death: power that
is off, seen twice, or your command's word. Silence proves nothing: a host
that is cut off is silent, and its servers run. That, and signs that
contradict each other, is CANNOT TELL. That Nova was told "forced down" is no
sign and no fence: guests do not read it.

--fence powers the host off, after you typed its name, looks twice whether it
is off, and holds the inquest again. It is a run like others: see nodeops runs.

Exits 0 for DEAD, 34 for ALIVE, 35 for CANNOT TELL.

\b
Examples:
  nodeops inquest c01                  is it dead?
  nodeops inquest c01 -o json
  nodeops inquest c01 --fence          power it off and prove it
  nodeops inquest c01 --fence --dry-run
"""

inquest_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@inquest_app.command(help=HELP, context_settings=o.EXTRA)
def inquest(
    ctx: typer.Context,
    host: o.HostArgument,
    fence: o.Fence = False,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    confirm: o.Confirm = "",
    output: o.Output = Format.TABLE,
) -> None:
    """Ask, conclude, show; with --fence first a run."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.inquiring import inquire, show_inquest

    name = o.one_host(ctx, host)
    if not fence and (dry_run or yes or confirm):
        raise UsageError(
            "--dry-run, --yes and --confirm need --fence", hint="Without --fence nothing is changed."
        )
    with Desk.of(ctx) as desk:
        if fence:
            from nodeops.cli.conduct import carry_out
            from nodeops.cli.fence_task import Fencing, settled

            task = Fencing(name, confirmed=confirm)
            if dry_run:
                raise typer.Exit(carry_out(desk, task, o.Manner(dry_run=True, output=output)))
            with desk.aside():
                carry_out(desk, task, o.Manner(yes=yes))
            show_inquest(desk, settled(desk, name), output)
        else:
            show_inquest(desk, inquire(desk, name), output)
