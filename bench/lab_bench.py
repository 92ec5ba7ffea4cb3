"""What benchmarks on a lab have in common: its servers, the rivals' programs, runs of nodeops."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeops.lab import catalogue
from nodeops.lab.furniture import IMAGE, NETWORK
from nodeops.lab.layout import Layout

BIN = Path(sys.executable).parent
NODEOPS = str(BIN / "nodeops")
FLAVOR = "m1.tiny"
NEW = "2.90"


class LabBench:
    """One lab, seen past its fault proxy, and what is run on it."""

    clients: tuple[str, ...] = ("python-openstackclient",)
    """Packages of the rivals."""
    tick = 0.5
    """Seconds between two looks."""

    def __init__(self, layout: Layout, servers: int, **environment: str) -> None:
        self.layout = layout
        self.servers = servers
        self.cloud = catalogue.connect(layout, direct=True)
        self.rivals = layout.root / "rivals"
        self.environment = os.environ | {
            "OS_CLIENT_CONFIG_FILE": str(layout.clouds_yaml),
            "PYTHONWARNINGS": "ignore",
            **environment,
        }

    # -- programs

    def install_rivals(self) -> None:
        if (self.rivals / "bin" / "openstack").exists():
            return
        uv, python = str(BIN / "uv"), str(self.rivals / "bin" / "python")
        subprocess.run([uv, "venv", "-q", str(self.rivals)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *self.clients], check=True)

    def rival(self, program: str, *words: str) -> None:
        self.run(str(self.rivals / "bin" / program), *words)

    def migrate_one_by_one(self, servers: list[str]) -> None:
        """As the operations guide does."""
        for server in servers:
            self.rival("openstack", "server", "migrate", "--live-migration", "--wait", server)

    def run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr}")

    def run_nodeops(self, *arguments: str) -> str:
        """Run it to its good end, and return what it printed."""
        with tempfile.TemporaryDirectory() as state:
            done = subprocess.run(
                [NODEOPS, "--os-cloud", self.layout.name, *arguments],
                env=self.environment | {"XDG_STATE_HOME": state},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            sys.exit(f"nodeops failed with {done.returncode}: {done.stderr}")
        return done.stdout

    # -- the cloud

    def boot(self, host: str, *names: str) -> None:
        """Ask for these servers on a host."""
        flavor = self.cloud.compute.find_flavor(FLAVOR).id
        image, network = self.cloud.image.find_image(IMAGE).id, self.cloud.network.find_network(NETWORK).id
        for name in names:
            body = {
                "name": name,
                "flavorRef": flavor,
                "imageRef": image,
                "networks": [{"uuid": network}],
                "host": host,
            }
            self.post("/servers", {"server": body})

    def all(self, host: str = "") -> list[dict[str, Any]]:
        query = "/servers/detail?all_tenants=1" + (f"&host={host}" if host else "")
        answer = self.cloud.compute.get(query, microversion=NEW)
        answer.raise_for_status()
        return sorted(answer.json()["servers"], key=lambda server: str(server["name"]))

    def delete_all(self) -> None:
        for server in self.all():
            self.cloud.compute.delete(f"/servers/{server['id']}")
        self.until(lambda: not self.all())

    def enable_all(self) -> None:
        for service in self.cloud.compute.services(binary="nova-compute"):
            if service.status == "disabled":
                path, body = f"/os-services/{service.id}", {"status": "enabled"}
                self.cloud.compute.put(path, json=body, microversion=NEW).raise_for_status()

    def post(self, path: str, body: object) -> None:
        self.cloud.compute.post(path, json=body, microversion=NEW).raise_for_status()

    def until(self, condition: Callable[[], bool], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("the lab did not come to the expected state")
            time.sleep(self.tick)
