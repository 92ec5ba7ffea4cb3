"""The same servers brought back after a reboot of their host by three ways, in one run.

    .venv/bin/python bench/recover.py [--lab-dir DIR] [--servers 20] [--seconds 4]

A simulated host of the lab reboots; each guest takes `--seconds` to start. The guide's loop is
`openstack server reboot --hard --wait`, one by one, for every server of the host. The same one by one
without a client's start for each server is the API's own part of it. nodeops is timed whole: gather, plan,
starts, probe of the consoles, verification; with 4 and with 8 at once. The floor is one start of a guest for
every `--parallel` of them. One server was stopped by its owner: what each way makes of it is told too.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from lab_bench import NEW, LabBench

from nodeops.lab import hosts, hypervisor_faults
from nodeops.lab.api_calls import calls_since, mark
from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, Rule
from nodeops.lab.layout import Layout, lab_dir, read_layout

HOST, OWNED = "c01", "bench-owned"


class Bench(LabBench):
    """The servers are on a host that reboots, and come back."""

    tick = 0.3

    def __init__(self, layout: Layout, servers: int, seconds: float) -> None:
        super().__init__(layout, servers, OS_CLOUD=layout.name)
        self.seconds = seconds

    def furnish(self) -> None:
        """Make the servers, one more than are to come back, and stop that one."""
        self.clear()
        self.boot(HOST, *(f"bench-{number:02}" for number in range(self.servers)), OWNED)
        self.until(lambda: {server["status"] for server in self.all()} == {"ACTIVE"})
        self._stop_owned()
        for operation in (Operation.POWER_ON, Operation.REBOOT):
            slow = Rule(Behaviour.SLOW, operation=operation, factor=1.0, seconds=self.seconds)
            hypervisor_faults.add_rule(self.layout.root, slow)

    def reboot(self) -> None:
        """Cut the host's power and bring it back; nova-compute has stopped what it found off."""
        if self.owned_runs():
            self._stop_owned()
        hosts.reboot(self.layout.root, HOST)
        self.until(lambda: {server["status"] for server in self.all()} == {"SHUTOFF"} and not self._busy())
        self.until(self._serves)

    def guide(self) -> float:
        began = time.monotonic()
        for server in self.all():
            self.rival("openstack", "server", "reboot", "--hard", "--wait", server["id"])
        self.until(self._all_back)
        return time.monotonic() - began

    def one_by_one(self) -> float:
        began = time.monotonic()
        for server in self.all():
            self._act(server["id"], {"os-start": None})
            self.until(lambda key=server["id"]: self._one(key)["status"] == "ACTIVE")  # type: ignore[misc]
        return time.monotonic() - began

    def nodeops(self, *options: str) -> tuple[float, float]:
        """Return seconds and API calls per server of a whole recovery."""
        begin = mark(self.layout.root)
        began = time.monotonic()
        self.run_nodeops("recover", HOST, "--yes", "--force", *options)
        seconds = time.monotonic() - began
        if not self._all_back():
            sys.exit("nodeops says done, and not every server is back")
        return seconds, len(calls_since(self.layout.root, begin)) / self.servers

    def clear(self) -> None:
        hypervisor_faults.clear_rules(self.layout.root)
        self.delete_all()

    def owned_runs(self) -> bool:
        return str(self._owned()["status"]) == "ACTIVE"

    def _stop_owned(self) -> None:
        self._act(self._owned()["id"], {"os-stop": None})
        self.until(lambda: self._owned()["status"] == "SHUTOFF")

    def _owned(self) -> dict[str, Any]:
        return next(server for server in self.all() if server["name"] == OWNED)

    def _one(self, server_id: str) -> dict[str, Any]:
        answer = self.cloud.compute.get(f"/servers/{server_id}", microversion=NEW)
        answer.raise_for_status()
        return dict(answer.json()["server"])

    def _busy(self) -> bool:
        return any(server["OS-EXT-STS:task_state"] for server in self.all())

    def _all_back(self) -> bool:
        return {server["status"] for server in self.all() if server["name"] != OWNED} == {"ACTIVE"}

    def _serves(self) -> bool:
        answer = self.cloud.compute.get(f"/os-services?binary=nova-compute&host={HOST}", microversion=NEW)
        return str(answer.json()["services"][0]["state"]) == "up"

    def _act(self, server_id: str, body: object) -> None:
        self.post(f"/servers/{server_id}/action", body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lab-dir", type=Path, default=lab_dir())
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--no-guide", action="store_true", help="leave the slowest out")
    options = parser.parse_args()
    bench = Bench(read_layout(options.lab_dir), options.servers, options.seconds)
    bench.furnish()
    print(f"{bench.servers} servers and one that its owner stopped, {bench.seconds:.0f} s to start each")
    for parallel in (4, 8):
        bench.reboot()
        seconds, calls = bench.nodeops("--parallel", str(parallel))
        floor = -(-bench.servers // parallel) * bench.seconds
        tell(
            f"nodeops recover, {parallel} at once",
            seconds,
            bench,
            f"floor {floor:.0f} s, {calls:.1f} API calls each",
        )
    bench.reboot()
    tell("one by one through the API", bench.one_by_one(), bench)
    if not options.no_guide:
        bench.install_rivals()
        bench.reboot()
        tell("openstack … --hard --wait, one by one", bench.guide(), bench)
    bench.clear()


def tell(name: str, seconds: float, bench: Bench, more: str = "") -> None:
    owned = "started too" if bench.owned_runs() else "left off"
    print(f"  {name:40}{seconds:8.1f} s  the owner's one: {owned}  {more}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
