"""What a guest on a real host says of itself, and how long it was silent."""

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from nodeops.lab.real import hosts
from tests.lab.bed import Bed

PING_SECONDS = 0.05
ECHO = struct.pack("!BBHHH", 8, 0, 0xF7FE, 1, 0)
"""An ICMP echo request without data, its checksum computed beforehand."""


def on_host(bed: Bed, host: str, command: str) -> str:
    """Run a shell command on a host and return what it printed."""
    return hosts.run(hosts.find(bed.layout, host), command)


def console(bed: Bed, name: str) -> str:
    server = bed.servers()[name]["id"]
    answer = bed.cloud.compute.post(f"/servers/{server}/action", json={"os-getConsoleOutput": {}})
    return str(answer.json().get("output", ""))


def counted(bed: Bed, name: str) -> int:
    """Return the last count on the guest's console, 0 before the first."""
    return max((int(found) for found in re.findall(r"COUNT (\d+)", console(bed, name))), default=0)


def boots(bed: Bed, name: str) -> int:
    """Return how often the guest has booted, as it says itself; 0 while it is not ready."""
    return max((int(found) for found in re.findall(r"boots=(\d+)", console(bed, name))), default=0)


def await_guest(bed: Bed, name: str) -> None:
    bed.until(lambda: counted(bed, name) > 0, seconds=300)


def address(bed: Bed, name: str) -> str:
    networks = bed.servers()[name]["addresses"].values()
    return str(next(iter(networks))[0]["addr"])


@dataclass
class Silence:
    """The longest time a guest did not answer a ping, in seconds."""

    answered: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        pairs = zip(self.answered, self.answered[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=float("inf"))


@contextmanager
def pinging(where: str) -> Iterator[Silence]:
    """Ping a guest without pause in this context."""
    silence, ended = Silence(), threading.Event()

    def ping() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
            wire.settimeout(PING_SECONDS)
            while not ended.wait(PING_SECONDS):
                with suppress(OSError):
                    wire.sendto(ECHO, (where, 0))
                    if wire.recvfrom(1500)[1][0] == where:
                        silence.answered.append(time.monotonic())

    pinger = threading.Thread(target=ping)
    pinger.start()
    try:
        yield silence
    finally:
        ended.set()
        pinger.join()
