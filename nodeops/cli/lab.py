"""`nodeops lab`: a real OpenStack on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodeops.cli import lab_options as lab
from nodeops.cli.output import Format, document
from nodeops.errors import DeclinedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nodeops.lab.host_status import HostStatus
    from nodeops.lab.layout import Layout
    from nodeops.lab.raising import Part

HELP = """A real OpenStack on this machine, to rehearse on.

Keystone, Placement, Nova, Neutron, Cinder and Glance 2026.2 with MariaDB and
RabbitMQ, as plain processes on loopback; only the hypervisor is simulated,
unless --real-hosts asks for libvirt and QEMU.

\b
  nodeops lab up                            make it, start it or mend it
  sudo nodeops lab up --real-hosts 2        containers with libvirt and QEMU
  nodeops lab populate                      servers in every state on one host
  nodeops --os-cloud nodeops-lab drain c01  rehearse
  nodeops lab lose c02                      a host dies
  nodeops lab fault --help                  slow, stuck and failing moves; API faults
  nodeops lab down                          nothing is left running
"""
app = typer.Typer(rich_markup_mode=None, add_completion=False, help=HELP, no_args_is_help=True)
Host = Annotated[str, typer.Argument(metavar="HOST", help="A host of the lab.")]


Hosts = Annotated[
    int | None,
    typer.Option(metavar="N", help="Simulated compute hosts [default: 6].", show_default=False),
]
RealHosts = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Instead, N containers with libvirt, QEMU and nova-compute; needs root and Debian.",
        show_default=False,
    ),
]
Servers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Plain servers over all hosts [default: none].", show_default=False),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="shared or local [default: shared].", show_default=False),
]
MigrationRate = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Of one migration, as 512M a second.", show_default=False),
]
ConcurrentMigrations = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="How many Nova runs at once out of one host [default: 1].", show_default=False
    ),
]
BasePort = Annotated[
    int | None,
    typer.Option(metavar="PORT", help="First of the ports [default: a free range].", show_default=False),
]


@app.command()
def up(
    hosts: Hosts = None,
    real_hosts: RealHosts = None,
    servers: Servers = None,
    storage: Storage = None,
    migration_rate: MigrationRate = None,
    concurrent_migrations: ConcurrentMigrations = None,
    base_port: BasePort = None,
    install: Annotated[bool, typer.Option(help="Install missing Debian packages when root.")] = True,
    name: lab.Name = lab.DEFAULT_NAME,
    directory: lab.Directory = None,
) -> None:
    """Make the lab, start it, or mend what is broken of it.

    What was chosen is kept for the next time. From nothing it takes some minutes, later seconds. Next:
    `nodeops lab populate`, then `nodeops --os-cloud NAME drain c01 --dry-run`.
    """
    from nodeops.cli.lab_progress import telling
    from nodeops.cli.units import rate
    from nodeops.lab.crew import crew
    from nodeops.lab.layout import lab_dir, make_layout
    from nodeops.lab.options import choose
    from nodeops.lab.raising import holding, raise_lab
    from nodeops.lab.real.needs import require_machine

    root = lab_dir(name, directory)
    if real_hosts:
        require_machine()
    with telling() as say, holding(root):
        layout = make_layout(root, name, base_port)
        options = choose(
            layout,
            hosts=hosts,
            real_hosts=real_hosts,
            storage=storage,
            migration_rate=rate(migration_rate, option="--migration-rate") if migration_rate else None,
            concurrent_migrations=concurrent_migrations,
        )
        raise_lab(layout, options, say, install=install)
        if servers:
            say(f"making servers up to {servers}")
            crew(layout, servers)
        say(f"use it: nodeops --os-cloud {layout.name} status")


@app.command()
def status(
    output: lab.Output = Format.TABLE, name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None
) -> None:
    """Show what runs of the lab; exits 1 when something does not."""
    from nodeops.lab import hosts as simulated
    from nodeops.lab.raising import parts

    layout = lab.layout(name, directory)
    processes, hosts = parts(layout), simulated.status(layout.root)
    whole = all(part.running for part in processes) and all(
        host.compute_pid for host in hosts if host.compute_wanted
    )
    if output is Format.JSON:
        body = {
            "name": layout.name,
            "directory": str(layout.root),
            "running": whole,
            "processes": [
                {"name": part.name, "running": part.running, "port": part.port} for part in processes
            ],
            "hosts": [
                {
                    "name": host.host,
                    "power": host.power,
                    "agent": host.agent,
                    "nova_compute": host.compute_pid is not None,
                    "guests": host.guests,
                }
                for host in hosts
            ],
        }
        document(body)
    else:
        _show(layout, processes, hosts)
    raise typer.Exit(0 if whole else 1)


def _show(layout: "Layout", processes: "Sequence[Part]", hosts: "Sequence[HostStatus]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"lab {layout.name} in {layout.root}", box=None, title_justify="left")
    for column in ("process", "state", "port"):
        table.add_column(column)
    for part in processes:
        state = "running" if part.running else "[red]not running[/]"
        table.add_row(part.name, state, str(part.port or ""))
    console.print(table)
    table = Table(box=None)
    for column in ("host", "power", "nova-compute", "network agent", "guests"):
        table.add_column(column)
    for host in hosts:
        compute = "running" if host.compute_pid else "[red]not running[/]"
        power, agent = ("on" if host.power else "[red]off[/]"), ("on" if host.agent else "[red]silent[/]")
        table.add_row(host.host, power, compute, agent, str(host.guests))
    console.print(table)


@app.command()
def down(name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None) -> None:
    """End the lab's processes; its data stay for the next `up`."""
    from nodeops.cli.lab_progress import telling
    from nodeops.lab.raising import holding, lower_lab

    layout = lab.layout(name, directory)
    with telling() as say, holding(layout.root):
        lower_lab(layout, say)


@app.command()
def destroy(
    name: lab.Name = lab.DEFAULT_NAME,
    directory: lab.Directory = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """End the lab's processes and remove its directory.

    With all that it holds.
    """
    from nodeops.cli.lab_progress import telling
    from nodeops.lab.layout import lab_dir, require
    from nodeops.lab.raising import holding, remove_lab

    root = lab_dir(name, directory)
    require(root)
    if not yes:
        _ask(f"remove lab {name} in {root}, with all its servers?")
    with telling() as say, holding(root):
        remove_lab(root, say)


def _ask(question: str) -> None:
    import sys

    if not sys.stdin.isatty():
        raise DeclinedError(
            "nobody can be asked: there is no terminal", hint="Say --yes to go on without asking."
        )
    if not typer.confirm(question, err=True):
        raise DeclinedError("declined; nothing was changed")


@app.command()
def env(
    rc: Annotated[bool, typer.Option("--rc", help="Classic OS_* variables, for the nova command.")] = False,
    name: lab.Name = lab.DEFAULT_NAME,
    directory: lab.Directory = None,
) -> None:
    """Print shell lines for other OpenStack clients.

    Use it as: eval "$(nodeops lab env)"
    """
    from nodeops.lab.catalogue import environment_lines

    for line in environment_lines(lab.layout(name, directory), classic=rc):
        typer.echo(line)


def _root(name: str, directory: Path | None) -> Path:
    return lab.layout(name, directory).root


@app.command(name="stop-compute")
def stop_compute(host: Host, name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None) -> None:
    """Kill a host's nova-compute; its guests live on.

    By SIGKILL. Its network agent lives on too.
    """
    from nodeops.lab import hosts

    hosts.stop_compute(_root(name, directory), host)


@app.command()
def lose(host: Host, name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None) -> None:
    """Cut a host's power, until `lab start`.

    Everything on it is gone, its agent is silent.
    """
    from nodeops.lab import hosts

    hosts.lose(_root(name, directory), host)


@app.command()
def reboot(host: Host, name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None) -> None:
    """Cut a host's power and bring it back.

    Its guests come back shut off. A real host reboots in order.
    """
    from nodeops.lab import hosts

    hosts.reboot(_root(name, directory), host)


@app.command()
def start(host: Host, name: lab.Name = lab.DEFAULT_NAME, directory: lab.Directory = None) -> None:
    """Give a host its power back.

    Its network agent and its nova-compute too.
    """
    from nodeops.lab import hosts

    hosts.start(_root(name, directory), host)


class Switch(StrEnum):
    STATUS = "status"
    OFF = "off"
    ON = "on"
    CYCLE = "cycle"


@app.command()
def power(
    host: Host,
    action: Annotated[Switch, typer.Argument(metavar="ACTION", help="status, off, on or cycle.")],
    name: lab.Name = lab.DEFAULT_NAME,
    directory: lab.Directory = None,
) -> None:
    """Be a host's management controller: status, off or on.

    Off is as `lab lose`, on as `lab start` with its guests shut off. The lab's inventory names this as the
    hosts' fence command. A host whose nova-compute was stopped is on.
    """
    from nodeops.lab import hosts

    root = _root(name, directory)
    if action is Switch.OFF:
        hosts.lose(root, host)
    elif action is Switch.CYCLE:
        hosts.lose(root, host)
        hosts.start(root, host)
    elif action is Switch.ON and not hosts.has_power(root, host):
        hosts.start(root, host)
    typer.echo(f"power is {'on' if hosts.has_power(root, host) else 'off'}")
