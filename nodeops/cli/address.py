"""`nodeops address …`."""

from typing import Annotated, Any

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.output import Format

HELP = """Keep, move and win back addresses.

An address lives in a port. A port that Nova made is deleted with its server,
and when it is detached; one that was made beforehand outlives it.
"""

SHOW = """Ports, by an address, by a floating address or by a server.

\b
Examples:
  nodeops address show 10.0.0.5
  nodeops address show web01
"""

KEEP = """Let a server's ports and addresses outlive its deletion.

The port is taken from the server in Neutron's records only: the guest keeps
its network until it is deleted, and Nova, which deletes the ports it finds of
a server, does not find this one. Delete the server soon after: meanwhile Nova
would not move the port with it. --undo gives the ports back.

\b
Examples:
  nodeops address keep web01
  nodeops address keep web01 --address 10.0.0.5
  nodeops address keep web01 --undo
"""

MOVE = """Move an address to a server, from another one or from none.

The port is detached and attached; when the second half fails it goes back to
where it was. A port that Nova made is deleted by detaching: an equal one is
made at once, with the same addresses, MAC, security groups and allowed address
pairs. DNS name and floating addresses are put back. Killed in the middle, the
same command again goes on.

\b
Examples:
  nodeops address move 10.0.0.5 web02 --dry-run
  nodeops address move 10.0.0.5 web02
"""

RESERVE = """Make a port that holds an address until a server needs it.

\b
Examples:
  nodeops address reserve private --name web01.example.com
  nodeops address reserve private --address 10.0.0.5
"""

RESCUE = """Win back the address of a server that was deleted.

Neutron is asked for the very address. Where its policy forbids that, ports are
made until one has it, up to --tries; all others are deleted, also on Ctrl-C,
and what a killed run has left is deleted by the next one.

\b
Examples:
  nodeops address rescue private 10.0.0.5
  nodeops address rescue private 10.0.0.5 --name web01.example.com
"""

CHECK = """Does something answer at an address?

One TCP connection, closed at once.

Exits 0 when the port is open, 30 when the address refuses or cannot be
reached, 31 when nothing answers in time.

\b
Examples:
  nodeops address check 10.0.0.5
  nodeops address check 10.0.0.5 --port 443 --timeout 5s
"""

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", show_default=False, help="An IP address, or a port's id.")
]
NetworkArgument = Annotated[
    str, typer.Argument(metavar="NETWORK", show_default=False, help="By id, or by exact name.")
]
Fqdn = Annotated[
    str | None, typer.Option("--name", metavar="FQDN", help="The port's name; its first label the DNS name.")
]
One = Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="This one.")]

app = typer.Typer(rich_markup_mode=None, add_completion=False, help=HELP, no_args_is_help=True)


@app.command(help=SHOW)
def show(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="ADDRESS|SERVER", show_default=False, help="What is asked about.")
    ],
    output: o.Output = Format.TABLE,
) -> None:
    """Read only."""
    from nodeops.cli.address_errands import show as run

    _errand(ctx, lambda errand, _stop: run(errand, what), o.Manner(output=output))


@app.command(help=KEEP)
@bundled
def keep(
    ctx: typer.Context,
    server: o.ServerArgument,
    address: One = None,
    undo: Annotated[bool, typer.Option("--undo", help="Give the ports back to the server.")] = False,
    *,
    consent: o.Consent,
) -> None:
    """Look, show, ask, release, look."""
    from nodeops.cli.address_errands import keep as run

    _errand(ctx, lambda errand, _stop: run(errand, server, address, undo=undo), consent.manner)


@app.command(help=MOVE)
@bundled
def move(
    ctx: typer.Context,
    address: AddressArgument,
    server: o.ServerArgument,
    *,
    consent: o.Consent,
) -> None:
    """Look, show, ask, detach, attach, restore, look."""
    from nodeops.cli.address_move import move as run

    _errand(ctx, lambda errand, _stop: run(errand, address, server), consent.manner)


@app.command(help=RESERVE)
@bundled
def reserve(
    ctx: typer.Context,
    network: NetworkArgument,
    address: One = None,
    name: Fqdn = None,
    *,
    consent: o.Consent,
) -> None:
    """Look, show, ask, make."""
    from nodeops.cli.address_errands import reserve as run

    _errand(ctx, lambda errand, _stop: run(errand, network, address, name), consent.manner)


@app.command(help=RESCUE)
@bundled
def rescue(
    ctx: typer.Context,
    network: NetworkArgument,
    address: AddressArgument,
    name: Fqdn = None,
    tries: Annotated[
        int, typer.Option("--tries", min=1, max=1000, metavar="N", help="Most ports made.")
    ] = 64,
    *,
    consent: o.Consent,
) -> None:
    """Look, show, ask, make, delete the others."""
    from nodeops.cli.address_rescue import rescue as run

    _errand(ctx, lambda errand, stop: run(errand, network, address, name, tries, stop), consent.manner)


@app.command(help=CHECK)
def check(
    address: AddressArgument,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="N", help="TCP port.")] = 22,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait.")] = "2s",
    output: o.Output = Format.TABLE,
) -> None:
    """Connects to what is named and to nothing else; asks no API."""
    from nodeops.cli import units
    from nodeops.cli.address_errands import check as run

    seconds = units.duration(timeout, option="--timeout")
    run(address, port, seconds, output)


def _errand(ctx: typer.Context, what: Any, manner: o.Manner) -> None:
    from nodeops.cli.address_run import Errand
    from nodeops.cli.desk import Desk
    from nodeops.clients.network_addresses import NetworkAddresses
    from nodeops.engine.signals import Stop

    with Desk.of(ctx) as desk, Stop().listening() as stop:
        # What is half done is ended before a signal is obeyed, so waiting does not end with it.
        clock = desk.clock(Stop())
        what(Errand(desk, NetworkAddresses(desk.cloud()), clock, manner), stop)
