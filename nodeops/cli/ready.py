"""`nodeops ready`."""

from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.output import Format
from nodeops.errors import UsageError

HELP = """Ask whether a host may serve: the readiness gate.

Looks at the host over SSH and at what the cloud says of it: booted since
when, failed units, clock, libvirt and CPU model, the instances path (mounted,
writable, with space), the root disk, nova-compute and its connections to the
message bus, Nova's heartbeat of it (newer than the boot), Neutron's agent,
and its resources in Placement. What there was before the last maintenance is
compared. Each question says what was found, what is wanted, and the way out.

What could not be seen has not passed. Nothing is changed, but for a small
file written in the instances path and removed at once.

Exits 0 when it is ready, 30 when it is not, and 31 when --wait ran out.

\b
Examples:
  nodeops ready c01
  nodeops ready c01 --wait 5m                until it is ready
  nodeops ready c01 --accept failed-units    as nodeops maintain would
  nodeops ready c01 -o json
"""

Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="CHECK",
        help="Let this question of the readiness gate not be passed; repeatable, or with commas.",
    ),
]

AcceptNew = Annotated[
    bool,
    typer.Option("--accept-new", help="Take and keep the SSH key of a host that was never seen before."),
]

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def accepted(words: list[str] | None) -> frozenset[str]:
    """`--accept a,b --accept c`. Raises `UsageError` for what nothing lets pass."""
    from nodeops.runbooks.readiness import ACCEPTABLE

    named = {part.strip() for word in words or () for part in word.split(",") if part.strip()}
    for name in sorted(named - ACCEPTABLE.keys()):
        raise UsageError(
            f"--accept {name}: no question of this name may be let pass",
            hint=f"There are {', '.join(sorted(ACCEPTABLE))}.",
        )
    return frozenset(named)


@app.command(help=HELP, context_settings=o.EXTRA)
def ready(
    ctx: typer.Context,
    host: o.HostArgument,
    accept: Accept = None,
    wait: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ask again until it is ready, so long at most.")
    ] = None,
    accept_new: AcceptNew = False,
    output: o.Output = Format.TABLE,
) -> None:
    """Read only."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.cli.readying import show_readiness

    name = o.one_host(ctx, host)
    seconds = 0.0 if wait is None else units.duration(wait, option="--wait")
    with Desk.of(ctx) as desk:
        desk.accept_new = accept_new
        show_readiness(desk, name, output, accept=accepted(accept), seconds=seconds)
