"""`nodeops audit`."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_host
from nodeops.errors import UsageError
from nodeops.model.leftovers import EVERYWHERE

HELP = """Left-overs of moves, on a host or in the whole cloud.

Compares what Nova, Placement, Neutron and Cinder each say of where servers
are: allocations on the wrong host or of no server, port bindings that are left
over or elsewhere, volume attachments that are doubled, dangling or of another
host, servers whose node disagrees, migrations that never ended, evacuations
that were not cleaned up, tasks that nothing works on. What is under way is no
left-over. With the addresses of the databases it sees more, and it says what
it could not see without. docs/audit.md lists every kind, with cause and repair.

--fix removes those that the API can remove: it shows each change, asks once,
looks once more before each of them, makes it, and then audits again.

Exits 0 when nothing was found, 30 when findings are left, and 20 when
something could not be looked at.

\b
Examples:
  nodeops audit                       the whole cloud, by lists
  nodeops audit c01 -o json
  nodeops audit c01 --fix --dry-run   what would be mended, and how
  nodeops audit --fix
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
@bundled
def audit(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Argument(metavar="[HOST]", autocompletion=complete_host, help="Only this one.")
    ] = EVERYWHERE,
    fix: Annotated[bool, typer.Option("--fix", help="Remove what the API can remove.")] = False,
    *,
    consent: o.Consent,
) -> None:
    """Read only, but with --fix."""
    if consent.dry_run and not fix:
        raise UsageError("--dry-run needs --fix", hint="Without --fix nothing is changed.")
    if fix:
        o.conduct(ctx, "audit", consent.manner, host=host)
    from nodeops.cli.desk import Desk
    from nodeops.cli.looking_audit import show_audit

    with Desk.of(ctx) as desk:
        show_audit(desk, host, consent.output)
