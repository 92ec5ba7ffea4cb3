"""What `nodeops status` shows."""

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format, document, text
from nodeops.gather import find_host
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
    host = find_host(name, hosts.values())
    servers = sorted(cloud.servers_on(name), key=lambda server: server.name)
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
