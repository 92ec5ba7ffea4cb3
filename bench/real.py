"""Drains of the same guests between two real hosts by three ways, and how long each guest is away.

    .venv/bin/python bench/real.py [--lab-dir DIR] [--servers 6]

`virsh migrate` in a loop is the floor: libvirt alone, no Nova, no check; the guests are brought back the same
way. The loop is the operations guide's, one by one with `openstack server migrate --live-migration --wait`.
nodeops is timed whole: gather, plan, canary, moves, verification. One pinger listens in the same way to all
of them; what nodeops itself says with `--probe ping` is shown beside it. Without --lab-dir a lab of two hosts
is made.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_bench import NODEOPS, LabBench

from nodeops.clients.ping import Pinger
from nodeops.lab.layout import Layout, read_layout
from nodeops.lab.populate_cloud import LabCloud
from nodeops.lab.population import TINY_MB, Seen, Wanted
from nodeops.lab.real import hosts

SOURCE, TARGET = "c01", "c02"
PREFIX = "bench-"
AT_ONCE = 2
"""Guests that boot side by side."""


@dataclass(frozen=True, slots=True)
class Drained:
    """One way, measured."""

    seconds: float
    away: Sequence[float]
    """Of each guest, in seconds."""


class Bench(LabBench):
    """The guests are on one of two real hosts, and go to the other."""

    tick = 1.0

    def __init__(self, layout: Layout, servers: int) -> None:
        super().__init__(layout, servers, OS_CLOUD=layout.name)
        self.made = LabCloud(layout)
        self.addresses: list[str] = []
        self.said: dict[str, Any] = {}

    def furnish(self) -> None:
        """Put the guests on the source, a few at a time, and wait until each answers."""
        self.install_rivals()
        for server in self._seen():
            self.made.delete(server.server_id)
        self.until(lambda: not self._seen())
        self.enable_all()
        body = {
            "flavorRef": self.made.flavor(TINY_MB),
            "imageRef": self.made.image(),
            "networks": [{"uuid": self.made.network()}],
        }
        for number in range(self.servers):
            self.until(lambda: sum(server.status == "BUILD" for server in self._seen()) < AT_ONCE)
            self.made.boot(Wanted(f"{PREFIX}{number}", SOURCE, ""), body, None)
        self.until(lambda: {server.status for server in self._seen()} == {"ACTIVE"})
        ids = [server.server_id for server in self._seen()]
        self.addresses = [port.fixed_ips[0]["ip_address"] for each in ids for port in self._ports(each)]
        with Pinger() as pinger:
            for address in self.addresses:
                pinger.begin(address)
            self.until(lambda: all(pinger.heard(address).last for address in self.addresses))

    def measure(self, drain: Callable[[list[str]], None]) -> Drained:
        """Time one way with all guests on the source, and listen to them meanwhile."""
        ids = [server.server_id for server in self._seen()]
        with Pinger() as pinger:
            for address in self.addresses:
                pinger.begin(address)
            time.sleep(1)
            began = time.monotonic()
            drain(ids)
            seconds = time.monotonic() - began
            time.sleep(2)
            return Drained(seconds, [pinger.heard(address).blackout for address in self.addresses])

    def virsh(self, ids: list[str]) -> None:
        self._virsh(ids, SOURCE, TARGET)

    def virsh_back(self) -> None:
        self._virsh([server.server_id for server in self._seen()], TARGET, SOURCE)

    def loop(self, ids: list[str]) -> None:
        self.migrate_one_by_one(ids)
        self.until(lambda: {server.host for server in self._seen()} == {TARGET})

    def nodeops(self, ids: list[str]) -> None:
        del ids
        told = self.run_nodeops("drain", SOURCE, "--probe", "ping", "--yes", "-o", "json")
        self.said = json.loads(told)

    def give_back(self) -> None:
        """Move everything back by Nova, one by one, and enable the source."""
        self.enable_all()
        for server in self._seen():
            migrate = {"os-migrateLive": {"host": SOURCE, "block_migration": "auto"}}
            self.made.act(server.server_id, migrate)
            self.until(lambda server=server: self._is_back(server.server_id))  # type: ignore[misc]

    def _is_back(self, server_id: str) -> bool:
        seen = next(server for server in self._seen() if server.server_id == server_id)
        return seen.host == SOURCE and seen.task is None

    def _virsh(self, ids: Sequence[str], source: str, target: str) -> None:
        there = hosts.find(self.layout, target).address
        login = hosts.ssh(hosts.find(self.layout, source))
        how = "--live --persistent --undefinesource"
        for server in ids:
            self.run(*login, f"virsh migrate {how} {server} qemu+tcp://{there}/system tcp://{there}")

    def _ports(self, server_id: str) -> list[Any]:
        return list(self.cloud.network.ports(device_id=server_id))

    def _seen(self) -> list[Seen]:
        return list(self.made.servers(PREFIX).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lab-dir", type=Path)
    parser.add_argument("--servers", type=int, default=6)
    options = parser.parse_args()
    if options.lab_dir:
        measure(Bench(read_layout(options.lab_dir), options.servers))
        return
    with tempfile.TemporaryDirectory() as made:
        where = ["--lab-dir", f"{made}/lab", "--name", f"bench-{os.getpid()}"]
        subprocess.run([NODEOPS, "lab", "up", *where, "--real-hosts", "2"], check=True)
        try:
            measure(Bench(read_layout(Path(made) / "lab"), options.servers))
        finally:
            subprocess.run([NODEOPS, "lab", "destroy", "--yes", *where], check=True)


def measure(bench: Bench) -> None:
    bench.furnish()
    floor = bench.measure(bench.virsh)
    bench.virsh_back()
    drained = bench.measure(bench.nodeops)
    bench.give_back()
    loop = bench.measure(bench.loop)
    print(f"{bench.servers} guests of {TINY_MB} MiB from {SOURCE} to {TARGET}, shared storage")
    rows = (
        ("virsh migrate, one by one", floor),
        ("nodeops drain", drained),
        ("openstack … --wait, one by one", loop),
    )
    for name, each in rows:
        away = f"p50 {statistics.median(each.away):.2f} s, max {max(each.away):.2f} s"
        print(f"  {name:31}{each.seconds:8.1f} s  {each.seconds / floor.seconds:5.2f}   blackout {away}")
    said = bench.said["blackout"]
    says = f"p50 {said['p50']:.2f} s, max {said['max']:.2f} s"
    print(f"  nodeops itself says: {says} of {said['measured']} guests")


if __name__ == "__main__":
    main()
