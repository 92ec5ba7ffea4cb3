"""A lab, its servers, and the installed command, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nodeops.lab import api_faults, hosts, hypervisor_faults
from nodeops.lab.api_calls import Call, calls_since, mark
from nodeops.lab.furniture import IMAGE, NETWORK
from nodeops.lab.layout import Layout

NODEOPS = str(Path(sys.executable).parent / "nodeops")
PREFIX = "bed-"
SECONDS = 240.0
"""For one command."""
LONGEST, TICK = 180.0, 0.5
"""For something to become so, and between two looks."""


@dataclass(frozen=True)
class Result:
    """What the installed command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        held = json.loads(self.out)
        assert isinstance(held, dict)
        return held

    def server(self, name: str) -> dict[str, Any]:
        return next(server for server in self.json["servers"] if server["name"] == name)

    def verdicts(self) -> dict[str, str]:
        return {server["name"]: server["verdict"] for server in self.json["servers"]}


@dataclass
class Bed:
    """One lab, seen by a test."""

    root: Path
    state: Path
    """Where this test's journal is."""
    layout: Layout
    cloud: Any
    """A connection past the fault proxy."""
    ids: dict[str, str] = field(default_factory=dict)
    """Of what servers are made from."""

    # -- the command

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "NODEOPS_"))}
        return kept | {
            "XDG_STATE_HOME": str(self.state),
            "OS_CLIENT_CONFIG_FILE": str(self.layout.clouds_yaml),
            "NO_COLOR": "1",
            "COLUMNS": "160",
            **more,
        }

    @property
    def inventory(self) -> Path:
        """The lab's own."""
        return self.root / "inventory.ini"

    @property
    def reached(self) -> dict[str, str]:
        """For `run` and `start`, which do not find it: it says how hosts are reached and fenced."""
        return {"NODEOPS_INVENTORY": str(self.inventory)}

    def run(self, *arguments: str, cloud: str = "", **more: str) -> Result:
        """Run nodeops against the lab's administrator's cloud, or another one."""
        done = subprocess.run(
            self._command(arguments, cloud),
            capture_output=True,
            text=True,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, cloud: str = "", **more: str) -> "subprocess.Popen[str]":
        """Start nodeops and leave it running."""
        return subprocess.Popen(
            self._command(arguments, cloud),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.environment(**more),
        )

    def lab(self, *arguments: str) -> Result:
        """Run a `nodeops lab` command on this lab."""
        done = subprocess.run(
            [NODEOPS, "lab", *arguments, "--lab-dir", str(self.root)],
            capture_output=True,
            text=True,
            env=os.environ | {"NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def fault(self, *arguments: str) -> None:
        done = self.lab("fault", *arguments)
        assert done.code == 0, done.err

    def _command(self, arguments: Sequence[str], cloud: str) -> list[str]:
        return [NODEOPS, "--os-cloud", cloud or self.layout.name, *arguments]

    # -- the cloud

    def servers(self, host: str | None = None) -> dict[str, dict[str, Any]]:
        """Return every server, or those on a host, by name, as Nova shows them."""
        query = "/servers/detail?all_tenants=1" + (f"&host={host}" if host else "")
        answer = self.cloud.compute.get(query, microversion="2.90")
        answer.raise_for_status()
        return {server["name"]: server for server in answer.json()["servers"]}

    def hosts_of(self, names: Sequence[str]) -> dict[str, str]:
        found = self.servers()
        return {name: found[name]["OS-EXT-SRV-ATTR:host"] for name in names}

    def boot(
        self, host: str, count: int, *, flavor: str = "m1.tiny", group: str | None = None, **more: Any
    ) -> list[str]:
        """Make this many ACTIVE servers on a host, members of a group or of none, and return their names."""
        hints = {"group": group} if group else {}
        names = [f"{PREFIX}{host}-{number:02}" for number in range(1, count + 1)]
        for name in names:
            self.create(name, flavor=flavor, hints=hints, host=host, **more)
        self.until(lambda: self._all_active(names))
        return names

    def create(
        self, name: str, *, flavor: str = "m1.tiny", hints: Mapping[str, str] | None = None, **more: Any
    ) -> str:
        """Ask for a server and return its id; `more` adds to what is asked, or replaces it."""
        body = {
            "name": name,
            "flavorRef": self._flavor(flavor),
            "imageRef": self._image(),
            "networks": [{"uuid": self._network()}],
            **more,
        }
        request = {"server": body} | ({"os:scheduler_hints": hints} if hints else {})
        answer = self.cloud.compute.post("/servers", json=request, microversion="2.90")
        answer.raise_for_status()
        return str(answer.json()["server"]["id"])

    def _all_active(self, names: Sequence[str]) -> bool:
        """One that is in ERROR will not become so."""
        found = self.servers()
        failed = {name: found[name].get("fault") for name in names if found[name]["status"] == "ERROR"}
        assert not failed, failed
        return all(found[name]["status"] == "ACTIVE" for name in names)

    def becomes(self, status: str, name: str) -> None:
        """Wait until a server has this status."""
        self.until(lambda: self.servers()[name]["status"] == status)

    def stop(self, name: str) -> None:
        """As its owner does."""
        self.act(name, {"os-stop": None})
        self.becomes("SHUTOFF", name)

    def idle(self, names: Sequence[str]) -> None:
        """Wait until no server is in a task."""

        def rests() -> bool:
            found = self.servers()
            return all(found[name]["OS-EXT-STS:task_state"] is None for name in names)

        self.until(rests)

    def act(self, name: str, body: dict[str, Any], microversion: str = "2.90") -> None:
        server = self.servers()[name]["id"]
        self.cloud.compute.post(
            f"/servers/{server}/action", json=body, microversion=microversion
        ).raise_for_status()

    def delete_all(self) -> None:
        """Delete every server: the lab of the tests is theirs alone."""
        for server in self.servers().values():
            self.cloud.compute.delete(f"/servers/{server['id']}")
        self.until(lambda: not self.servers())

    def service(self, host: str) -> dict[str, Any]:
        answer = self.cloud.compute.get(f"/os-services?binary=nova-compute&host={host}", microversion="2.90")
        return dict(answer.json()["services"][0])

    def set_service(self, host: str, **body: object) -> None:
        service = self.service(host)["id"]
        self.cloud.compute.put(f"/os-services/{service}", json=body, microversion="2.90").raise_for_status()

    def services(self) -> dict[str, dict[str, Any]]:
        answer = self.cloud.compute.get("/os-services?binary=nova-compute", microversion="2.90")
        return {service["host"]: service for service in answer.json()["services"]}

    def clear(self) -> None:
        """Clear every fault."""
        api_faults.disarm_all(self.root)
        hypervisor_faults.clear_rules(self.root)

    def whole(self) -> None:
        """Everything as it was: no faults, every host up and enabled, no server of a test."""
        self.clear()
        for status in hosts.status(self.root):
            if not (status.power and status.agent and status.compute_wanted):
                hosts.start(self.root, status.host)
        self.enable_all()
        self.delete_all()

    def enable_all(self) -> None:
        """Bring every host into service, those that were given up for dead too."""
        for name, service in self.services().items():
            if service["forced_down"]:
                self.until(partial(self._takes_back, name))
        self.until(lambda: all(service["state"] == "up" for service in self.services().values()))
        for name, service in self.services().items():
            if service["status"] == "disabled":
                self.set_service(name, status="enabled")

    def _takes_back(self, host: str) -> bool:
        """Nova refuses it until the host has removed what was evacuated from it."""
        path = f"/os-services/{self.service(host)['id']}"
        return bool(self.cloud.compute.put(path, json={"forced_down": False}, microversion="2.90").ok)

    def until(self, condition: Callable[[], bool], seconds: float = LONGEST) -> None:
        assert self.comes(condition, seconds), "the lab did not come to the expected state in time"

    def comes(self, condition: Callable[[], bool], seconds: float = LONGEST) -> bool:
        """Return whether it becomes so in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= deadline:
                return False
            time.sleep(TICK)
        return True

    # -- what clients asked of it

    @contextmanager
    def listening(self) -> Iterator[list[Call]]:
        """Collect the calls of clients that are made in this context."""
        calls: list[Call] = []
        begin = mark(self.root)
        yield calls
        calls += calls_since(self.root, begin)

    def _flavor(self, name: str) -> str:
        return self._id("flavor " + name, lambda: str(self.cloud.compute.find_flavor(name).id))

    def _image(self) -> str:
        return self._id("image", lambda: str(self.cloud.image.find_image(IMAGE).id))

    def _network(self) -> str:
        return self._id("network", lambda: str(self.cloud.network.find_network(NETWORK).id))

    def _id(self, key: str, find: Callable[[], str]) -> str:
        if key not in self.ids:
            self.ids[key] = find()
        return self.ids[key]


def kill(process: "subprocess.Popen[str]") -> None:
    """kill -9."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
