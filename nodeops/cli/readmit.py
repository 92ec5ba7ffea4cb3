"""`nodeops readmit`."""

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled

READMIT = """Put a host that was dead back into service.

A host that comes back after a failover may still have the guests that run
elsewhere now. It stays disabled and forced down until it has passed these
questions: has its nova-compute started, has it removed its old copies, do
their guests run there, would something start them, does placement still count
them there, are its network agents alive? For each the table says what was
found, what is wanted, and the next command; while one is missing nothing is
changed (exit code 5).

Then the host is no longer forced down, and enabled if nodeops disabled it;
what someone else disabled stays so, unless you say --force. With --give-back
the servers that the failover moved away come back, with the same checks as in
a drain; those that were moved, stopped or deleted since are left alone.

Start the host's nova-compute before: forced down does not keep it from that.
Running the command again is safe.

\b
Examples:
  nodeops readmit c01 --dry-run              what is missing?
  nodeops readmit c01                        ask, lift, enable
  nodeops readmit c01 --give-back            and bring its servers home
"""

readmit_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@readmit_app.command(help=READMIT, context_settings=o.EXTRA)
@bundled
def readmit(
    ctx: typer.Context,
    host: o.HostArgument,
    allowed: o.Allowed,
    pace: o.Pace,
    asking: o.Asking,
    give_back: o.GiveBack = False,
    force: o.Force = False,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    name = o.one_host(ctx, host)
    options = o.move_options(name, allowed, pace)
    o.conduct(ctx, "readmit", asking.manner, host=name, options=options, give_back=give_back, force=force)
