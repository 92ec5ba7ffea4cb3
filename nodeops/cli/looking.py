"""What `nodeops status` shows."""

from difflib import get_close_matches

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format, document, text
from nodeops.errors import UnknownHostError
from nodeops.report.console import line
from nodeops.report.figures import count
from nodeops.report.status_view import (
    host_document,
    hosts_markdown,
    hosts_table,
    server_document,
    servers_markdown,
    servers_table,
    state_of,
)

__all__ = ["show_host", "show_hosts", "unknown_host"]


def show_hosts(desk: Desk, output: Format) -> None:
    hosts = sorted(desk.cloud().hosts(), key=lambda host: host.name)
    if output is Format.JSON:
        document({"hosts": [host_document(host) for host in hosts]})
    elif output is Format.MARKDOWN:
        text(hosts_markdown(hosts))
    else:
        console = desk.out()
        console.print(hosts_table(hosts, console.width))
        down = [host for host in hosts if not host.serves]
        console.print(line((f"{count(len(hosts), 'host')}, {len(down)} not in service", "dim")))


def show_host(desk: Desk, name: str, output: Format) -> None:
    """Raises `UnknownHostError`."""
    cloud = desk.cloud()
    hosts = {host.name: host for host in cloud.hosts()}
    if name not in hosts:
        raise unknown_host(name, list(hosts))
    servers = sorted(cloud.servers_on(name), key=lambda server: server.name)
    host = hosts[name]
    if output is Format.JSON:
        document(host_document(host) | {"server_list": [server_document(server) for server in servers]})
    elif output is Format.MARKDOWN:
        text(hosts_markdown([host]) + "\n" + servers_markdown(servers))
    else:
        console = desk.out()
        console.print(hosts_table([host], console.width))
        console.print()
        if servers:
            console.print(servers_table(servers, console.width))
            console.print()
        console.print(line((f"{name} is {state_of(host)} and holds {count(len(servers), 'server')}", "head")))


def unknown_host(name: str, known: list[str]) -> UnknownHostError:
    near = get_close_matches(name, known) or [host for host in known if name in host or host in name][:5]
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif known:
        hint = "nodeops status lists them; the name must match exactly."
    else:
        hint = "This cloud has no compute host."
    return UnknownHostError(f"host {name}: no compute host has this name", hint=hint)
