"""What is asked of hosts, answered by this machine as a host would: the command that SSH would run."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nodeops.clients.on_host import OnHost
from nodeops.clients.shell import Answer, Command
from nodeops.errors import HostTroubleError, SshError, SshReason
from nodeops.onhost import message_bus, services
from nodeops.onhost.folder import Folder

LONGEST = 20.0


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """Runs commands here, with the program that is named `python3` on a host."""

    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def run(self, command: Command) -> Answer:
        done = subprocess.run(
            [self.python, *command.argv[1:]],
            input=command.stdin,
            capture_output=True,
            check=False,
            env={**os.environ, **self.environment},
            timeout=60,
        )
        words = (done.stdout.decode(), done.stderr.decode())
        return Answer("c01", command, done.returncode, *words, raw=done.stdout)


class NoPython:
    """As a shell and sudo say it."""

    def run(self, command: Command) -> Answer:
        return Answer("c01", command, 127, "", "sudo: python3: command not found\n")


def ask(question: str, said: dict[str, Any], **environment: str) -> dict[str, Any]:
    return OnHost(ThisMachine(environment)).ask(question, said)


class Host:
    """This machine, with a folder of its own for work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str, *argv: str, script: str = "", again: bool = False) -> bool:
        said = {"id": name, "argv": argv, "script": script, "again": again, "root": str(self.folder)}
        return bool(ask("work-begin", said)["begun"])

    def look(self, name: str) -> dict[str, Any]:
        return ask("work", {"id": name, "root": str(self.folder)})

    def ended(self, name: str) -> dict[str, Any]:
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
    found = ask("condition", {"instances": str(tmp_path), "unit": "no-such-unit-here"})
    assert found["boot"]["id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["compute"] is None
    assert found["instances"]["writable"]
    assert found["instances"]["total_mb"] > 0
    assert list(tmp_path.iterdir()) == []
    gone = ask("condition", {"instances": str(tmp_path / "gone")})
    assert gone["instances"]["trouble"] == "is not there"


@pytest.fixture
def bus() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_connections_of_a_process_are_found(bus: int) -> None:
    with socket.create_connection(("127.0.0.1", bus)):
        peers = list(message_bus.peers(os.getpid()))
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
    assert message_bus.servers_of(url) == servers


@pytest.mark.parametrize(
    ("text", "seconds"), [("1min 5s", 65.0), ("infinity", None), ("1min 30s 500ms", 90.5), ("", None)]
)
def test_spans_as_systemd_writes_them(text: str, seconds: float | None) -> None:
    assert services.seconds_of(text) == seconds


def test_containers_times_are_read_with_and_without_an_offset() -> None:
    assert services.moment("2026-11-21T12:00:00.123456789Z") == services.moment("2026-11-21T14:00:00.1+02:00")
    assert services.moment("0001-01-01T00:00:00Z") is None


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
elif words[0] == "logs":
    print("first\\nsecond")
    print("third", file=sys.stderr)
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
        return ask("compute", {}, **self.environment)["compute"]

    def change(self, what: str) -> None:
        said = {
            "do": what,
            "manager": "docker",
            "name": "nova_compute",
            "unit": "",
            "kept": str(self.folder / "kept"),
        }
        ask("service-change", said, **self.environment)

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


def test_what_refuses_says_so_in_the_host_s_own_words(tmp_path: Path) -> None:
    with pytest.raises(HostTroubleError, match=r"^c01: podmen is not there$"):
        ask("service-change", {"do": "stop", "manager": "podmen", "name": "nova_compute", "unit": ""})
    (tmp_path / "work").touch()
    with pytest.raises(SshError, match=r"FileExistsError|NotADirectoryError") as raised:
        Host(tmp_path / "work").begin("w1", "true")
    assert raised.value.ambiguous


def test_a_host_without_python_is_named() -> None:
    with pytest.raises(SshError, match=r"^c01: python3 is not installed$") as raised:
        OnHost(NoPython()).ask("boot", {})
    assert raised.value.reason is SshReason.UNUSABLE


def test_it_leaves_nothing_behind_and_imports_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "nodeops").mkdir()
    (tmp_path / "nodeops" / "__init__.py").write_text("raise SystemExit('the wrong nodeops')")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    before = sorted(tmp_path.rglob("*"))
    found = OnHost(ThisMachine({"PYTHONPATH": str(tmp_path)}), run=str(tmp_path / "run")).ask("boot", {})
    assert found["kernel"] == os.uname().release
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_folder_of_others_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(HostTroubleError, match="is not safe to use"):
        OnHost(ThisMachine(), run=str(tmp_path)).ask("looks", {})


def test_the_newest_lines_of_a_container_s_log(tmp_path: Path) -> None:
    said = {"manager": "docker", "unit": "nova_compute", "lines": 2, "since": None}
    found = ask("service-log", said, **Containers(tmp_path).environment)
    assert found["lines"] == ["second", "third"]
    assert "logs --tail 2 nova_compute" in (tmp_path / "calls").read_text()


def test_a_look_that_nobody_foresaw_is_taken_down_and_its_keeper_tells_it(tmp_path: Path) -> None:
    server, run = "3f8e3df3-6b23-403d-b6bf-a466a5830adc", tmp_path / "run"
    run.mkdir(mode=0o700)
    folder = Folder(run, server)
    folder.make({"seconds": 60})
    keeper = OnHost(ThisMachine(), run=str(run))
    with pytest.raises(SshError, match="KeyError: 'server'"):
        keeper.printed("keep", {"server": server})
    assert not folder.exists
    assert folder.ended()["failed"] == "KeyError: 'server'"
    assert folder.ended()["reason"] == "a bug in nodeops: KeyError: 'server'"
    assert keeper.printed("keep", {"server": server}).stdout == "", "started again, it has nothing to do"
