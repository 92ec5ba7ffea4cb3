"""`nodeops drain` and `nodeops undrain`."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled

DRAIN = """Move every server off a host, and prove it.

The host is disabled first, so that nothing new lands on it. Every server is
looked at before any is touched: the table shows what will be done about each,
or why not and what would allow it. While a server is refused nothing is
changed, unless you allow it, or leave it behind with --leave-refused.

The command waits until every move has ended and was checked: the server on
its new host in the state it had; its ports, allocation and volumes there and
not here. Do not switch the host off before nodeops says that it is empty.
When you are done with it: nodeops undrain HOST.

Ctrl-C starts nothing new and says what Nova still does. The same command
again, or nodeops resume RUN, goes on from there.

\b
Examples:
  nodeops drain c01 --dry-run                what would happen
  nodeops drain c01 --dry-run --window 90m   does it fit the window?
  nodeops drain c01                          show, ask, do, prove
  nodeops drain c01 --to c05 --to c06        only these hosts may receive
  nodeops drain c01 --allow local-disk       copy local disks too
  nodeops drain c01 --probe ping             and how long was each guest away?
  nodeops drain c01 --risk reboot --yes      allow reboots, do not ask
"""

UNDRAIN = """Put a drained host back into service.

The host is enabled again if nodeops disabled it; what someone else disabled
stays so, unless you say --force; so does a host whose maintenance window is
open. With --give-back the servers that the last drain moved away come back, in
the state they had, with the same checks as in a drain; those that were moved,
stopped or deleted since are left alone.

The command waits until every move has ended and was checked. Running it again
is safe: it finds what is still to be done, or nothing.

\b
Examples:
  nodeops undrain c01                        enable it
  nodeops undrain c01 --give-back            and bring its servers home
  nodeops undrain c01 --give-back --dry-run  what that would be
"""

drain_app = typer.Typer(rich_markup_mode=None, add_completion=False)
undrain_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@drain_app.command(help=DRAIN, context_settings=o.EXTRA)
@bundled
def drain(
    ctx: typer.Context,
    host: o.HostArgument,
    targets: o.Targets,
    allowed: o.Allowed,
    pace: o.Pace,
    asking: o.Asking,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    name = o.one_host(ctx, host)
    options = o.move_options(name, allowed, pace, targets)
    o.conduct(ctx, "drain", asking.manner, host=name, options=options)


@undrain_app.command(help=UNDRAIN, context_settings=o.EXTRA)
@bundled
def undrain(
    ctx: typer.Context,
    host: o.HostArgument,
    allowed: o.Allowed,
    pace: o.Pace,
    asking: o.Asking,
    give_back: o.GiveBack = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Enable the host although someone else disabled it, or its maintenance window is open.",
        ),
    ] = False,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    name = o.one_host(ctx, host)
    options = o.move_options(name, allowed, pace)
    o.conduct(ctx, "undrain", asking.manner, host=name, options=options, give_back=give_back, force=force)
