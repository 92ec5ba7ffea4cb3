"""Whether nova-compute is connected to the message bus: by its sockets, and by the last it wrote of it."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import process, text_of, tried
from nodeops.onhost.service_log import FOLDERS, NAME, tail
from nodeops.onhost.services import SYSTEMD

PLAIN_PORT, TLS_PORT = 5672, 5671
ESTABLISHED = "01"
"""As `/proc/net/tcp` writes it."""
IPV4_BYTES, IPV6_BYTES = 4, 16
MAPPED = b"\0" * 10 + b"\xff\xff"
LOG_TAIL, LOG_LINES = 512 * 1024, "2000"
SAYS = re.compile(r"\b(Connected to AMQP server|Reconnected to AMQP server|AMQP server .*unreachable)")
LINE_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")


def bus(service: dict[str, Any] | None) -> dict[str, Any]:
    """Servers that are configured, connections to them (None: cannot be seen), the newest word in the log."""
    pid = service["pid"] if service and service["state"] == "running" else None
    said = _configured(pid)
    servers = servers_of(said.get("transport_url", ""))
    line = _line(service, said) if service else ""
    says = SAYS.search(line)
    return {
        "wanted": ["{}:{}".format(*server) for server in servers],
        "connections": _connections(pid, servers) if pid else None,
        "line": says.group(0) + line[says.end() :][:80] if says else "",
        "connected": "unreachable" not in says.group(0) if says else None,
    }


def _connections(pid: int, servers: list[tuple[str, int]]) -> int | None:
    wanted = _resolved(servers)
    try:
        return sum(peer in wanted if wanted else peer[1] in {PLAIN_PORT, TLS_PORT} for peer in peers(pid))
    except PermissionError:
        return None


# -- sockets


def peers(pid: int) -> Iterator[tuple[str, int]]:
    """Of established connections of a process and all below it. Raises `PermissionError`."""
    own = _sockets(_family(pid))
    for table in ("tcp", "tcp6"):
        for line in text_of(Path(f"/proc/{pid}/net/{table}")).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == ESTABLISHED and fields[9] in own:  # noqa: PLR2004 - proc(5)
                address, _, port = fields[2].partition(":")
                yield _address(address), int(port, 16)


def _family(pid: int) -> list[int]:
    """What a container's first process starts counts too."""
    known = ((int(each.name), process(each.name)) for each in Path("/proc").iterdir() if each.name.isdigit())
    parents = {number: found.parent for number, found in known if found}
    family = [pid]
    for each in family:
        family += [child for child, parent in parents.items() if parent == each and child not in family]
    return family


def _sockets(pids: Iterable[int]) -> set[str]:
    found = set()
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - names only
        except FileNotFoundError:
            continue
        for name in names:
            try:
                link = os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115 - Path.readlink came with Python 3.9
            except OSError:
                continue
            if link.startswith("socket:["):
                found.add(link[8:-1])
    return found


def _address(text: str) -> str:
    """As the kernel writes it: words of four bytes, each turned round."""
    raw = bytes.fromhex(text)
    turned = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(turned) == IPV6_BYTES and not turned.startswith(MAPPED):
        return socket.inet_ntop(socket.AF_INET6, turned)
    return socket.inet_ntop(socket.AF_INET, turned[-IPV4_BYTES:])


# -- the configuration


def _configured(pid: int | None) -> dict[str, str]:
    """What nova.conf says of the bus and the log; later files win, as in oslo.config."""
    root = f"/proc/{pid}/root" if pid else ""
    argv = text_of(Path(f"/proc/{pid}/cmdline")).split("\0") if pid else []
    named = [
        word.split("=", 1)[1] if "=" in word else argv[at + 1]
        for at, word in enumerate(argv[:-1])
        if word.startswith(("--config-file", "--config-dir"))
    ]
    found: dict[str, str] = {}
    for name in named or ["/etc/nova/nova.conf", "/etc/nova/nova.conf.d"]:
        path = Path(root + name)
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            found.update(_defaults(text_of(file)))
    return found


def _defaults(text: str) -> dict[str, str]:
    """What a configuration file has in `[DEFAULT]`."""
    section, found = "DEFAULT", {}
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] \t")
        key, equals, value = line.partition("=")
        if equals and section == "DEFAULT":
            found[key.strip()] = value.strip()
    return found


def servers_of(url: str) -> list[tuple[str, int]]:
    """Addresses in a transport_url; who logs in there stays behind."""
    rest = url.partition("://")[2].partition("/")[0]
    usual = TLS_PORT if "ssl=1" in url.lower() or "ssl=true" in url.lower() else PLAIN_PORT
    found = []
    for part in rest.split(",") if rest else []:
        name, _, port = part.rpartition("@")[2].rpartition(":")
        if not name:
            name, port = port, ""
        found.append((name.strip("[]"), int(port) if port.isdigit() else usual))
    return found


def _resolved(servers: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    found = set()
    for name, port in servers:
        try:
            known = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError:
            found.add((name, port))
        else:
            found |= {(str(each[4][0]), port) for each in known}
    return found


# -- the log


def _line(service: dict[str, Any], said: dict[str, str]) -> str:
    """The newest line since it started; a line's time is the host's local time."""
    since = service.get("since") or 0.0
    for line in reversed(_log(service, said)):
        if SAYS.search(line):
            found = LINE_TIME.match(line)
            if not found:
                return line
            at = time.mktime(time.strptime("{} {}".format(*found.groups()), "%Y-%m-%d %H:%M:%S"))
            return line if at >= since - 2 else ""
    return ""


def _log(service: dict[str, Any], said: dict[str, str]) -> list[str]:
    root = "/proc/{}/root".format(service["pid"]) if service["pid"] else ""
    name = said.get("log_file") or NAME
    for folder in (root + (said.get("log_dir") or FOLDERS[0]), *FOLDERS):
        try:
            return tail(Path(folder) / name, LOG_TAIL)
        except OSError:
            continue
    if service["manager"] == SYSTEMD:
        words = ["journalctl", "--unit", service["name"], "--output=cat", "--lines", LOG_LINES, "--no-pager"]
    else:
        words = [service["manager"], "logs", "--tail", LOG_LINES, service["name"]]
    return tried(words).out.splitlines()
