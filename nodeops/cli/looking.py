"""What `nodeops status` shows."""

from collections.abc import Iterator, Sequence
from typing import Any

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.gather import find_host
from nodeops.model.facts import Host, Server
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
    shown = Shown(
        lambda: {"hosts": [host_document(host) for host in hosts]},
        lambda: hosts_markdown(hosts),
        lambda width: _hosts_parts(hosts, width),
    )
    show(desk, output, shown)


def show_host(desk: Desk, name: str, output: Format) -> None:
    """Raises `UnknownHostError`."""
    cloud = desk.cloud()
    host = find_host(name, {host.name: host for host in cloud.hosts()}.values())
    servers = sorted(cloud.servers_on(name), key=lambda server: server.name)
    shown = Shown(
        lambda: host_document(host) | {"server_list": [server_document(server) for server in servers]},
        lambda: hosts_markdown([host]) + "\n" + servers_markdown(servers),
        lambda width: _host_parts(host, servers, width),
    )
    show(desk, output, shown)


def _hosts_parts(hosts: Sequence[Host], width: int) -> Iterator[Any]:
    yield hosts_table(hosts, width)
    down = sum(not host.serves for host in hosts)
    yield line((f"{count(len(hosts), 'host')}, {down} not in service", "dim"))


def _host_parts(host: Host, servers: Sequence[Server], width: int) -> Iterator[Any]:
    yield hosts_table([host], width)
    yield ""
    if servers:
        yield servers_table(servers, width)
        yield ""
    yield line((f"{host.name} is {state_of(host)} and holds {count(len(servers), 'server')}", "head"))
