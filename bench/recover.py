"""The same servers brought back after a reboot of their host by three ways, in one run.

    .venv/bin/python bench/recover.py [--lab-dir DIR] [--servers 20] [--seconds 4]

A simulated host of the lab reboots; each guest takes `--seconds` to start. The guide's loop is
`openstack server reboot --hard --wait`, one by one, for every server of the host. The same one by one
without a client's start for each server is the API's own part of it. nodeops is timed whole: gather, plan,
starts, probe of the consoles, verification; with 4 and with 8 at once. The floor is one start of a guest for
every `--parallel` of them. One server was stopped by its owner: what each way makes of it is told too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeops.lab import catalogue, hosts, hypervisor_faults
from nodeops.lab.api_calls import calls_since, mark
from nodeops.lab.furniture import IMAGE, NETWORK
from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, Rule
from nodeops.lab.layout import Layout, lab_dir, read_layout

BIN = Path(sys.executable).parent
HOST, FLAVOR, OWNED = "c01", "m1.tiny", "bench-owned"
CLIENTS = ("python-openstackclient",)


class Bench:
    """One lab, its servers and the ways to bring them back."""

    def __init__(self, layout: Layout, servers: int, seconds: float) -> None:
        self.layout = layout
        self.servers = servers
        self.seconds = seconds
        self.cloud = catalogue.connect(layout, direct=True)
        self.rivals = layout.root / "rivals"
        self.environment = os.environ | {
            "OS_CLIENT_CONFIG_FILE": str(layout.clouds_yaml),
            "OS_CLOUD": layout.name,
            "PYTHONWARNINGS": "ignore",
        }

    def install_rivals(self) -> None:
        if not (self.rivals / "bin" / "openstack").exists():
            subprocess.run([str(BIN / "uv"), "venv", "-q", str(self.rivals)], check=True)
            python = str(self.rivals / "bin" / "python")
            subprocess.run(
                [str(BIN / "uv"), "pip", "install", "-q", "--python", python, *CLIENTS], check=True
            )

    def furnish(self) -> None:
        """Make the servers, one more than are to come back, and stop that one."""
        self.clear()
        flavor = self.cloud.compute.find_flavor(FLAVOR).id
        image, network = self.cloud.image.find_image(IMAGE).id, self.cloud.network.find_network(NETWORK).id
        for name in [*(f"bench-{number:02}" for number in range(self.servers)), OWNED]:
            body = {
                "name": name,
                "flavorRef": flavor,
                "imageRef": image,
                "networks": [{"uuid": network}],
                "host": HOST,
            }
            self._post("/servers", {"server": body})
        self._until(lambda: {server["status"] for server in self.all()} == {"ACTIVE"})
        self._act(self._owned()["id"], {"os-stop": None})
        self._until(lambda: self._owned()["status"] == "SHUTOFF")
        for operation in (Operation.POWER_ON, Operation.REBOOT):
            slow = Rule(Behaviour.SLOW, operation=operation, factor=1.0, seconds=self.seconds)
            hypervisor_faults.add_rule(self.layout.root, slow)

    def reboot(self) -> None:
        """Cut the host's power and bring it back; nova-compute has stopped what it found off."""
        if self._owned()["status"] == "ACTIVE":
            self._act(self._owned()["id"], {"os-stop": None})
            self._until(lambda: self._owned()["status"] == "SHUTOFF")
        hosts.reboot(self.layout.root, HOST)
        self._until(lambda: {server["status"] for server in self.all()} == {"SHUTOFF"} and not self._busy())
        self._until(self._serves)

    def guide(self) -> float:
        openstack = str(self.rivals / "bin" / "openstack")
        began = time.monotonic()
        for server in self.all():
            self._run(openstack, "server", "reboot", "--hard", "--wait", server["id"])
        self._until(self._all_back)
        return time.monotonic() - began

    def one_by_one(self) -> float:
        began = time.monotonic()
        for server in self.all():
            self._act(server["id"], {"os-start": None})
            self._until(lambda key=server["id"]: self._one(key)["status"] == "ACTIVE")  # type: ignore[misc]
        return time.monotonic() - began

    def nodeops(self, *options: str) -> tuple[float, float]:
        """Return seconds and API calls per server of a whole recovery."""
        command = [str(BIN / "nodeops"), "--os-cloud", self.layout.name, "recover", HOST]
        begin = mark(self.layout.root)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as state:
            done = subprocess.run(
                [*command, "--yes", "--force", *options],
                env=self.environment | {"XDG_STATE_HOME": state},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        seconds = time.monotonic() - began
        if done.returncode:
            sys.exit(f"nodeops failed with {done.returncode}: {done.stderr}")
        if not self._all_back():
            sys.exit("nodeops says done, and not every server is back")
        return seconds, len(calls_since(self.layout.root, begin)) / self.servers

    def clear(self) -> None:
        hypervisor_faults.clear_rules(self.layout.root)
        for server in self.all():
            self.cloud.compute.delete(f"/servers/{server['id']}")
        self._until(lambda: not self.all())

    def all(self) -> list[dict[str, Any]]:
        answer = self.cloud.compute.get("/servers/detail?all_tenants=1", microversion="2.90")
        answer.raise_for_status()
        return sorted(answer.json()["servers"], key=lambda server: str(server["name"]))

    def owned_runs(self) -> bool:
        return str(self._owned()["status"]) == "ACTIVE"

    def _owned(self) -> dict[str, Any]:
        return next(server for server in self.all() if server["name"] == OWNED)

    def _one(self, server_id: str) -> dict[str, Any]:
        answer = self.cloud.compute.get(f"/servers/{server_id}", microversion="2.90")
        answer.raise_for_status()
        return dict(answer.json()["server"])

    def _busy(self) -> bool:
        return any(server["OS-EXT-STS:task_state"] for server in self.all())

    def _all_back(self) -> bool:
        return {server["status"] for server in self.all() if server["name"] != OWNED} == {"ACTIVE"}

    def _serves(self) -> bool:
        answer = self.cloud.compute.get(f"/os-services?binary=nova-compute&host={HOST}", microversion="2.90")
        return str(answer.json()["services"][0]["state"]) == "up"

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr}")

    def _act(self, server_id: str, body: object) -> None:
        self._post(f"/servers/{server_id}/action", body)

    def _post(self, path: str, body: object) -> None:
        self.cloud.compute.post(path, json=body, microversion="2.90").raise_for_status()

    def _until(self, condition: Callable[[], bool], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("the lab did not come to the expected state")
            time.sleep(0.3)


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
