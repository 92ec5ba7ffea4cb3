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
from collections.abc import Callable
from pathlib import Path

from nodeops.lab import catalogue
from nodeops.lab.api_calls import calls_since, mark
from nodeops.lab.furniture import IMAGE, NETWORK
from nodeops.lab.layout import Layout, lab_dir, read_layout

BIN = Path(sys.executable).parent
HOST, FLAVOR = "c01", "m1.tiny"
CLIENTS = ("python-novaclient", "python-openstackclient")


class Bench:
    """One lab, its servers and the rivals."""

    def __init__(self, layout: Layout, servers: int) -> None:
        self.layout = layout
        self.servers = servers
        self.cloud = catalogue.connect(layout, direct=True)
        self.rivals = layout.root / "rivals"
        self.environment = os.environ | {
            "OS_CLIENT_CONFIG_FILE": str(layout.clouds_yaml),
            "PYTHONWARNINGS": "ignore",
            **self._classic(),
        }

    def install_rivals(self) -> None:
        if not (self.rivals / "bin" / "openstack").exists():
            subprocess.run([str(BIN / "uv"), "venv", "-q", str(self.rivals)], check=True)
            python = str(self.rivals / "bin" / "python")
            subprocess.run(
                [str(BIN / "uv"), "pip", "install", "-q", "--python", python, *CLIENTS], check=True
            )

    def furnish(self) -> list[str]:
        """Put the servers on the host, new, and return their ids."""
        self._clear()
        flavor = self.cloud.compute.find_flavor(FLAVOR).id
        image, network = self.cloud.image.find_image(IMAGE).id, self.cloud.network.find_network(NETWORK).id
        for number in range(self.servers):
            body = {
                "name": f"bench-{number:02}",
                "flavorRef": flavor,
                "imageRef": image,
                "networks": [{"uuid": network}],
                "host": HOST,
            }
            self._post("/servers", {"server": body})
        self._until(lambda: self._states() == {"ACTIVE"} and len(self._on_host()) == self.servers)
        time.sleep(5)
        return [server["id"] for server in self._on_host()]

    def floor(self, servers: list[str]) -> float:
        del servers
        began = time.monotonic()
        self._run(str(self.rivals / "bin" / "nova"), "host-evacuate-live", "--strict", HOST)
        self._until(lambda: not self._on_host() and self._states() == {"ACTIVE"})
        return time.monotonic() - began

    def loop(self, servers: list[str]) -> float:
        began = time.monotonic()
        for server in servers:
            openstack = str(self.rivals / "bin" / "openstack")
            self._run(openstack, "server", "migrate", "--live-migration", "--wait", server)
        self._until(lambda: not self._on_host())
        return time.monotonic() - began

    def nodeops(self, servers: list[str], *options: str) -> tuple[float, float, float]:
        """Return seconds, API calls per server and peak MiB of a whole drain."""
        begin = mark(self.layout.root)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as state:
            process = subprocess.Popen(
                [str(BIN / "nodeops"), "--os-cloud", self.layout.name, "drain", HOST, "--yes", *options],
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

    def enable(self) -> None:
        for service in self.cloud.compute.services(binary="nova-compute"):
            if service.status == "disabled":
                self.cloud.compute.put(
                    f"/os-services/{service.id}", json={"status": "enabled"}, microversion="2.90"
                ).raise_for_status()

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr}")

    def _clear(self) -> None:
        for server in self._all():
            self.cloud.compute.delete(f"/servers/{server['id']}")
        self._until(lambda: not self._all())
        self.enable()

    def _all(self, host: str = "") -> list[dict[str, str]]:
        query = "/servers/detail?all_tenants=1" + (f"&host={host}" if host else "")
        answer = self.cloud.compute.get(query, microversion="2.90")
        answer.raise_for_status()
        return list(answer.json()["servers"])

    def _on_host(self) -> list[dict[str, str]]:
        return self._all(HOST)

    def _states(self) -> set[str]:
        return {server["status"] for server in self._all()}

    def _post(self, path: str, body: object) -> None:
        self.cloud.compute.post(path, json=body, microversion="2.90").raise_for_status()

    def _until(self, condition: Callable[[], bool], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("the lab did not come to the expected state")
            time.sleep(0.5)

    def _classic(self) -> dict[str, str]:
        lines = catalogue.environment_lines(self.layout, classic=True)
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
        subprocess.run([str(BIN / "nodeops"), *up], check=True)
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
    for name, seconds in rows:
        if seconds:
            print(f"  {name:31}{statistics.median(seconds):8.1f} s  {statistics.median(seconds) / floor:.2f}")
    print(f"  {'API calls per drained server':31}{statistics.median(calls):8.1f}")
    print(f"  {'peak memory':31}{statistics.median(memory):8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
