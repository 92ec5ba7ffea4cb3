"""The programs that are sent to hosts, run by this machine's own Python as a host would run them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from nodeops.clients.machine import PROGRAM
from nodeops.clients.remote import look
from nodeops.clients.remote.look import servers_of

LONGEST = 20.0


def sent(name: str, said: dict[str, Any], **environment: str) -> Any:
    program = files("nodeops.clients.remote").joinpath(f"{name}.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=f"{len(program)}\n{program}{json.dumps(said)}",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    return json.loads(done.stdout)


class Host:
    """This machine, with a folder of its own for work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str, *argv: str, script: str = "", again: bool = False) -> bool:
        said = {"do": "begin", "id": name, "argv": list(argv), "script": script, "again": again}
        return bool(self.work(said)["begun"])

    def look(self, name: str) -> Any:
        return self.work({"do": "look", "id": name})

    def work(self, said: dict[str, Any]) -> Any:
        return sent("work", said | {"root": str(self.folder)})

    def ended(self, name: str) -> Any:
        deadline = time.monotonic() + LONGEST
        while (found := self.look(name))["state"] == "running":
            assert time.monotonic() < deadline
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "work")


def test_work_leaves_its_exit_code_and_its_output(host: Host) -> None:
    assert host.look("w1")["state"] == "absent"
    assert host.begin("w1", "sh", "-c", "echo said; echo $0 '$HOME' \"$1\"; exit 3", "a b", "c'd")
    found = host.ended("w1")
    assert (found["state"], found["exit_code"]) == ("ended", 3)
    assert found["output"] == "said\na b $HOME c'd\n"
    assert Path(found["log"]).read_text() == found["output"]


def test_work_of_one_name_begins_once(host: Host, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    words = ("sh", "-c", f"echo once >> {proof}")
    begun: list[bool] = []
    threads = [threading.Thread(target=lambda: begun.append(host.begin("w1", *words))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    host.ended("w1")
    assert sorted(begun) == [False, False, False, True]
    assert proof.read_text() == "once\n"
    assert host.begin("w1", *words, again=True)
    host.ended("w1")
    assert proof.read_text() == "once\nonce\n"


def test_what_runs_is_not_begun_again_by_any_word(host: Host) -> None:
    assert host.begin("w1", "sleep", "60")
    found = host.look("w1")
    assert found["state"] == "running"
    assert not host.begin("w1", "sleep", "60", again=True)
    pid = int((host.folder / "w1" / "pid").read_text().split()[0])
    os.killpg(pid, signal.SIGKILL)
    assert host.ended("w1")["state"] == "lost"


def test_a_script_gets_its_arguments(host: Host) -> None:
    assert host.begin("w1", "x y", script='echo "got $1"\n')
    assert host.ended("w1")["output"] == "got x y\n"
    assert host.begin("w2", "z", script="#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])\n")
    assert host.ended("w2")["output"] == "['z']\n"


def test_work_of_another_boot_is_lost(host: Host) -> None:
    assert host.begin("w1", "true")
    host.ended("w1")
    (host.folder / "w1" / "exit").unlink()
    (host.folder / "w1" / "begun").write_text("another-boot 1.0")
    assert host.look("w1")["state"] == "lost"


def test_a_look_reads_this_machine(tmp_path: Path) -> None:
    found = sent("look", {"part": "condition", "instances": str(tmp_path), "unit": "no-such-unit-here"})
    assert found["boot"]["id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["compute"] is None
    assert found["instances"]["writable"]
    assert found["instances"]["total_mb"] > 0
    assert list(tmp_path.iterdir()) == []
    gone = sent("look", {"part": "condition", "instances": str(tmp_path / "gone")})
    assert gone["instances"]["trouble"] == "is not there"


@pytest.fixture
def bus() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_connections_of_a_process_are_found(bus: int) -> None:
    with socket.create_connection(("127.0.0.1", bus)):
        peers = list(look.peers(os.getpid()))
    assert ("127.0.0.1", bus) in peers


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("rabbit://u:p@h1:5672,u:p@h2:5671/v", [("h1", 5672), ("h2", 5671)]),
        ("rabbit://u:p@[2001:db8::1]:5672/", [("2001:db8::1", 5672)]),
        ("rabbit://u:p@h1/?ssl=1", [("h1", 5671)]),
        ("rabbit://h1", [("h1", 5672)]),
        ("", []),
    ],
)
def test_servers_of_a_transport_url(url: str, servers: list[tuple[str, int]]) -> None:
    assert servers_of(url) == servers


@pytest.mark.parametrize(
    ("text", "seconds"), [("1min 5s", 65.0), ("infinity", None), ("1min 30s 500ms", 90.5), ("", None)]
)
def test_spans_as_systemd_writes_them(text: str, seconds: float | None) -> None:
    assert look.seconds_of(text) == seconds


def test_containers_times_are_read_with_and_without_an_offset() -> None:
    assert look.moment("2026-11-21T12:00:00.123456789Z") == look.moment("2026-11-21T14:00:00.1+02:00")
    assert look.moment("0001-01-01T00:00:00Z") is None


STARTED = "2026-11-21T12:00:00Z"
DOCKER = """#!{python}
import json, pathlib, sys
home = pathlib.Path({home!r})
state = json.loads((home / "state").read_text())
words = sys.argv[1:]
with (home / "calls").open("a") as log:
    log.write(" ".join(words) + "\\n")
if words[0] == "inspect" and "--format" in words:
    print(state["HostConfig"]["RestartPolicy"]["Name"])
elif words[0] == "inspect":
    if words[-1] != "nova_compute":
        sys.exit("Error: no such container")
    print(json.dumps([state]))
elif words[0] == "update":
    state["HostConfig"]["RestartPolicy"]["Name"] = words[1].partition("=")[2]
elif words[0] in ("stop", "start"):
    state["State"]["Status"] = "exited" if words[0] == "stop" else "running"
elif words[0] == "ps":
    print("nova_libvirt")
(home / "state").write_text(json.dumps(state))
"""


class Containers:
    """A `docker` on the path that keeps one container in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "docker"
        program.write_text(DOCKER.format(python=sys.executable, home=str(folder)))
        program.chmod(0o700)
        state = {
            "State": {"Status": "running", "Pid": os.getpid(), "StartedAt": STARTED, "ExitCode": 0},
            "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
            "Config": {"StopTimeout": 60},
        }  # fmt: skip
        (folder / "state").write_text(json.dumps(state))
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def compute(self) -> Any:
        return sent("look", {"part": "compute"}, **self.environment)["compute"]

    def change(self, what: str) -> None:
        program = files("nodeops.clients.remote").joinpath("service.py").read_text(encoding="utf-8")
        said = {
            "do": what,
            "manager": "docker",
            "name": "nova_compute",
            "unit": "",
            "kept": str(self.folder / "kept"),
        }
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=f"{len(program)}\n{program}{json.dumps(said)}",
            text=True,
            check=True,
            env={**os.environ, **self.environment},
            timeout=60,
        )

    def until(self, state: str) -> None:
        deadline = time.monotonic() + LONGEST
        while self.compute()["state"] != state:
            assert time.monotonic() < deadline


def test_a_container_is_found_stopped_kept_so_and_given_back_its_policy(tmp_path: Path) -> None:
    containers = Containers(tmp_path)
    found = containers.compute()
    assert (found["name"], found["manager"], found["state"]) == ("nova_compute", "docker", "running")
    assert (found["masked"], found["stop_seconds"]) == (False, 60.0)
    containers.change("stop")
    containers.until("stopped")
    containers.change("mask")
    containers.change("mask")
    assert containers.compute()["masked"]
    containers.change("unmask")
    containers.change("start")
    found = containers.compute()
    assert (found["state"], found["masked"]) == ("running", False)
    assert "update --restart=unless-stopped nova_compute" in (tmp_path / "calls").read_text()
