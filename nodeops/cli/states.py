"""`nodeops states`."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.errors import UsageError

HELP = """Servers whose states contradict each other, with cause and mend.

Compares vm_state (what Nova promises), task_state (what is under way) and
power_state (what the hypervisor reports) of every server of a host, or of the
cloud, with each other and with running migrations and actions. During a task
a mismatch means nothing; a task that nothing works on any more is one.
docs/mismatches.md lists them all. Of one host that the inventory has, its
libvirt is asked too, over SSH: it is believed, and tells guests Nova has not.

--fix makes the changes that the API allows: it shows each of them, asks once,
makes them, and looks again. By default Nova's record follows the guest, which
touches no running guest; with --nova-is-right the guest follows the record.

Exits 0 when all agree and 30 when findings are left.

\b
Examples:
  nodeops states c01
  nodeops states -o json                     the whole cloud
  nodeops states c01 --fix --dry-run         what would be mended, and how
  nodeops states c01 --fix
  nodeops states c01 --fix --nova-is-right   start what should run, stop what should not
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
@bundled
def states(
    ctx: typer.Context,
    host: o.HostOrAll = None,
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="TIME", help="From when on a task is asked what is behind it."),
    ] = "10m",
    fix: Annotated[bool, typer.Option("--fix", help="Mend what the API can mend.")] = False,
    nova_is_right: Annotated[
        bool, typer.Option("--nova-is-right", help="With --fix: the guest follows Nova's record.")
    ] = False,
    *,
    consent: o.Consent,
) -> None:
    """Read only, but with --fix."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.runbooks.mend_states import StatesOptions

    if fix and host is None:
        raise UsageError("--fix needs a host", hint="nodeops states lists the hosts with findings.")
    if not fix and (consent.dry_run or nova_is_right):
        raise UsageError("--dry-run and --nova-is-right need --fix", hint="Without --fix nothing is changed.")
    options = StatesOptions(nova_is_right, units.duration(older_than, option="--older-than"))
    if fix and host is not None:
        o.conduct(ctx, "states", consent.manner, host=host, options=options)
    from nodeops.cli.looking_states import show_states

    with Desk.of(ctx) as desk:
        show_states(desk, host, options, consent.output)
