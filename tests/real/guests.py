"""What a guest on a real host says of itself, and how long it was silent."""

import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from nodeops.errors import FailedError
from nodeops.lab.real import hosts
from tests.lab.bed import Bed

HOST, OTHER = os.environ.get("NODEOPS_TEST_REAL_HOSTS", "c01,c02").split(",")
"""Of a lab that others use too: those that are ours, where a test can do with any."""
PING_SECONDS = 0.05
ECHO = struct.pack("!BBHHH", 8, 0, 0xF7FE, 1, 0)
"""An ICMP echo request without data, its checksum computed beforehand."""


def on_host(bed: Bed, host: str, command: str) -> str:
    """Run a shell command on a host and return what it printed."""
    return hosts.run(hosts.find(bed.layout, host), command)


def serves(bed: Bed, host: str) -> bool:
    """Whether it takes servers: its nova-compute is up, and its network agent, which binds their ports."""
    agents = list(bed.cloud.network.agents(host=host))
    return bed.service(host)["state"] == "up" and bool(agents) and all(agent.is_alive for agent in agents)


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


@contextmanager
def slow_network(bed: Bed, host: str, rate: str = "8mbit") -> Iterator[None]:
    """What leaves the host, a migration's memory above all, is held back in this context."""
    on_host(bed, host, f"tc qdisc replace dev eth0 root tbf rate {rate} burst 32k latency 400ms")
    try:
        yield
    finally:
        with suppress(FailedError):
            on_host(bed, host, "tc qdisc del dev eth0 root")


def copying(bed: Bed, host: str, server_id: str) -> bool:
    """Whether QEMU there is copying the guest's memory."""
    told = on_host(bed, host, f"virsh domjobinfo {server_id} 2>/dev/null")
    return "Unbounded" in told and "Memory processed" in told


def second_copy(bed: Bed, server_id: str, runs_on: str, host: str) -> None:
    """Run another guest of the server on a host, on a disk of its own: QEMU's lock is to save nobody."""
    xml = on_host(bed, runs_on, f"virsh dumpxml {server_id} --migratable")
    place = f"/var/lib/nova/instances/{server_id}"
    assert f"'{place}/disk'" in xml
    xml = xml.replace(f"'{place}/disk'", "'/var/tmp/second'").replace("/console.log'", "/second.log'")
    on_host(bed, host, "qemu-img create -q -f qcow2 /var/tmp/second 128M")
    told = on_host(bed, host, f"cat > /tmp/second.xml <<'END'\n{xml}\nEND\nvirsh create /tmp/second.xml 2>&1")
    assert server_id in on_host(bed, host, "virsh list --uuid"), told


@contextmanager
def without_compute(bed: Bed, host: str) -> Iterator[None]:
    """Boot a host that is off; its nova-compute starts only at the end of this context, whatever happens."""
    etc = hosts.find(bed.layout, host).upper / "etc"
    drop_in = etc / "systemd" / "system" / "nova-compute.service.d" / "hold.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Unit]\nConditionPathExists=!/etc/nova/hold\n")
    (etc / "nova" / "hold").touch()
    assert bed.lab("start", host).code == 0
    try:
        yield
    finally:
        on_host(bed, host, "rm /etc/nova/hold; systemctl start nova-compute")
