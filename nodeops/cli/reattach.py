"""`nodeops reattach`."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_host

HELP = """Attach the volumes of servers anew, after a recovery.

Looks at every volume of a server, or of all servers of a host, in Nova and in
Cinder: it is attached, dangling (Cinder has an attachment that Nova does not
name), or stale (attached to another host, half attached, or unknown to
Cinder). Attachments that nobody names are deleted. A stale data volume of a
server that is ACTIVE or SHUTOFF is detached and attached again at the same
device, with its tag; a running guest has to unmount it before. A root volume
is never detached: it gets a new attachment in place when the databases are
configured, else you are told the nova-manage command.

It waits until the server is without a task and runs again, and looks at every
volume once more. Running the command again is safe: it goes on where it was.

\b
Examples:
  nodeops reattach db1 --dry-run
  nodeops reattach c02                  every server of a host
  nodeops reattach c02 --leave-refused  and leave root volumes to a person
"""

reattach_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@reattach_app.command(help=HELP)
@bundled
def reattach(
    ctx: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="HOST|SERVER",
            show_default=False,
            autocompletion=complete_host,
            help="A compute host, or a server's id or name.",
        ),
    ],
    leave_refused: Annotated[
        bool, typer.Option("--leave-refused", help="Go on although some servers are refused.")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", metavar="N", min=1, help="Most servers at a time.")
    ] = 4,
    *,
    consent: o.Consent,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    from nodeops.cli.conduct import carry_out
    from nodeops.cli.desk import Desk
    from nodeops.cli.reattach_task import Reattach

    with Desk.of(ctx) as desk:
        task = Reattach.find(desk, subject, leave_refused=leave_refused, parallel=parallel)
        raise typer.Exit(carry_out(desk, task, consent.manner))
