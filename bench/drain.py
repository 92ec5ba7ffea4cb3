"""Drains of the same servers by three ways, in one run: nodeops, all at once, and one after the other.

    .venv/bin/python bench/drain.py [--lab-dir DIR] [--servers 20] [--concurrent 1 3]

`nova host-evacuate-live` is the floor: it throws everything at Nova, waits for nothing and checks nothing
(timed until the host is empty). The loop is the operations guide's, one by one with
`openstack server migrate --live-migration --wait`. nodeops is timed whole: gather, plan, canary, moves,
verification. Its calls are counted by the lab's proxy, its memory is the process's peak.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab_bench import NODEOPS, LabBench

from nodeops.lab import catalogue
from nodeops.lab.api_calls import calls_since, mark
from nodeops.lab.layout import Layout, lab_dir, read_layout

HOST = "c01"


class Bench(LabBench):
    """The servers are on one host, and go."""

    clients = ("python-novaclient", "python-openstackclient")

    def __init__(self, layout: Layout, servers: int) -> None:
        super().__init__(layout, servers, **classic(layout))

    def furnish(self) -> list[str]:
        """Put the servers on the host, new, and return their ids."""
        self.delete_all()
        self.enable_all()
        self.boot(HOST, *(f"bench-{number:02}" for number in range(self.servers)))
        self.until(lambda: self._all_active() and len(self.all(HOST)) == self.servers)
        time.sleep(5)
        return [server["id"] for server in self.all(HOST)]

    def floor(self, servers: list[str]) -> float:
        del servers
        began = time.monotonic()
        self.rival("nova", "host-evacuate-live", "--strict", HOST)
        self.until(lambda: not self.all(HOST) and self._all_active())
        return time.monotonic() - began

    def loop(self, servers: list[str]) -> float:
        began = time.monotonic()
        self.migrate_one_by_one(servers)
        self.until(lambda: not self.all(HOST))
        return time.monotonic() - began

    def nodeops(self, servers: list[str], *options: str) -> tuple[float, float, float]:
        """Return seconds, API calls per server and peak MiB of a whole drain."""
        begin = mark(self.layout.root)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as state:
            # Not by `run_nodeops`: only who waits for it himself learns of its memory.
            process = subprocess.Popen(
                [NODEOPS, "--os-cloud", self.layout.name, "drain", HOST, "--yes", *options],
                env=self.environment | {"XDG_STATE_HOME": state},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            said = process.stderr.read() if process.stderr else ""
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            sys.exit(f"nodeops failed with {os.waitstatus_to_exitcode(status)}: {said}")
        calls = len(calls_since(self.layout.root, begin)) / len(servers)
        return seconds, calls, usage.ru_maxrss / 1024

    def _all_active(self) -> bool:
        return {server["status"] for server in self.all()} == {"ACTIVE"}


def classic(layout: Layout) -> dict[str, str]:
    """OS_* variables, for `nova`, which knows no clouds.yaml."""
    lines = catalogue.environment_lines(layout, classic=True)
    pairs = (line.removeprefix("export ").partition("=") for line in lines)
    return {name: value.strip("'") for name, _, value in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lab-dir", type=Path, default=lab_dir())
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--no-loop", action="store_true", help="leave the slowest out")
    options = parser.parse_args()
    for concurrent in options.concurrent:
        up = ["lab", "up", "--lab-dir", str(options.lab_dir), "--concurrent-migrations", str(concurrent)]
        subprocess.run([NODEOPS, *up], check=True)
        bench = Bench(read_layout(options.lab_dir), options.servers)
        bench.install_rivals()
        measure(bench, concurrent, options.runs, loop=not options.no_loop)


def measure(bench: Bench, concurrent: int, runs: int, *, loop: bool) -> None:
    floors, drains, eager, loops, calls, memory = [], [], [], [], [], []
    for _ in range(runs):
        floors.append(bench.floor(bench.furnish()))
        seconds, count, peak = bench.nodeops(bench.furnish())
        drains.append(seconds)
        calls.append(count)
        memory.append(peak)
        eager.append(bench.nodeops(bench.furnish(), "--no-canary")[0])
        if loop:
            loops.append(bench.loop(bench.furnish()))
    floor = statistics.median(floors)
    print(f"max_concurrent_live_migrations {concurrent}, {bench.servers} servers, {runs} run(s)")
    rows = (
        ("nova host-evacuate-live", floors),
        ("nodeops drain", drains),
        ("nodeops drain --no-canary", eager),
        ("openstack … --wait, one by one", loops),
    )
    for name, taken in rows:
        if taken:
            print(f"  {name:31}{statistics.median(taken):8.1f} s  {statistics.median(taken) / floor:.2f}")
    print(f"  {'API calls per drained server':31}{statistics.median(calls):8.1f}")
    print(f"  {'peak memory':31}{statistics.median(memory):8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
