"""A Docker daemon for the tests: the one that answers, else one of our own for the length of the session.

`python -m tests.services.docker` installs what is missing for it, or says how.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

PROGRAMS = {"dockerd": "docker.io", "debootstrap": "debootstrap", "setpriv": "util-linux"}
"""Program -> the Debian package it is in."""
SYSTEM_SOCKET = Path("/var/run/docker.sock")
BRIDGE = "docker0"
START_SECONDS, STOP_SECONDS = 60.0, 30.0
_POLICY = Path("/usr/sbin/policy-rc.d")


def cache_folder() -> Path:
    """Where images are kept from one session to the next."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(cache) / "nodeops-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def install(programs: Mapping[str, str] = PROGRAMS) -> None:
    """Install what is missing, or end with the command that does."""
    packages = sorted({package for name, package in programs.items() if not program(name)})
    if not packages:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(
            f"{', '.join(packages)} missing for the tests with real services; run: sudo {' '.join(command)}"
        )
    with _no_service_starts():
        _apt(command)


def program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _apt(command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for attempt in (command, ["apt-get", "update"], command):
        ran = subprocess.run(attempt, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode == 0 and attempt is command:
            return
    raise RuntimeError(f"{' '.join(command)} failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's packages start their daemons; ours is started by hand."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def answers(address: Path) -> bool:
    """Whether a Docker daemon listens at this socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(address))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b"200 OK" in connection.recv(256)
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon to use, by its `DOCKER_HOST`."""

    host: str | None
    """None: where Docker's own client finds it."""
    ours: bool


def _is_there() -> bool:
    return bool(os.environ.get("DOCKER_HOST")) or answers(SYSTEM_SOCKET)


@contextmanager
def daemon() -> Iterator[Daemon]:
    """The daemon that is there, or one of our own that is gone afterwards, with all its processes."""
    if _is_there():
        yield Daemon(host=None, ours=False)
        return
    install()
    with (cache_folder() / "lock").open("w") as lock, TemporaryDirectory(prefix="nodeops-docker-") as run:
        flock(lock, LOCK_EX)  # one daemon at a time on the cached images
        with _running(Path(run)) as address:
            yield Daemon(host=f"unix://{address}", ours=True)


@contextmanager
def _running(run: Path) -> Iterator[Path]:
    address, bridged = run / "docker.sock", _has_bridge()
    with (run / "log").open("wb") as log:
        process = subprocess.Popen(_command(run, address), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(process, address, run / "log")
        yield address
    finally:
        _stop(process)
        if not bridged and _has_bridge():
            subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)


def _command(run: Path, address: Path) -> list[str]:
    """Ends with whoever started it, listens on loopback, leaves the machine's packet filter alone."""
    return [
        *("setpriv", "--pdeathsig", "TERM", str(program("dockerd"))),
        *("--data-root", str(cache_folder() / "docker"), "--exec-root", str(run / "exec")),
        *("--pidfile", str(run / "pid"), "--host", f"unix://{address}", "--ip", "127.0.0.1"),
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
    ]


def _wait_for(process: subprocess.Popen[bytes], address: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(address):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd does not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the daemon and see that nothing it started is left."""
    below = descendants(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    deadline = time.monotonic() + STOP_SECONDS / 3
    while any(_started(pid) == start for pid, start in below.items()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, start in below.items():
        if _started(pid) == start:
            os.kill(pid, SIGKILL)


def descendants(pid: int) -> dict[int, str]:
    """Every process below this one, with its start time, by which a reused number is told apart."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found: dict[int, str] = {}
    queue = [pid]
    while queue:
        for child in parents.get(queue.pop(), []):
            found[child] = _started(child)
            queue.append(child)
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command's name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _has_bridge() -> bool:
    return Path("/sys/class/net", BRIDGE).exists()


if __name__ == "__main__":
    try:
        if not _is_there():
            install()
    except RuntimeError as trouble:
        sys.exit(str(trouble))
