"""The lab's processes: apart from the terminal, known by a pid file and by a mark in their environment."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeops.errors import FailedError
from nodeops.lab.layout import LOOPBACK, Layout

MARK = "NODEOPS_LAB_ROOT"
"""In the environment of every process of a lab, and of what those start."""
TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the lab."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    """Answers here when it is up."""
    files: Sequence[Path] = ()
    """Its configuration: it is started again when one of them has changed."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


def ensure(layout: Layout, program: Program) -> bool:
    """Start the program unless it runs with this very configuration; return whether it was started."""
    fingerprint = _fingerprint(program)
    held = _held(layout, program.name)
    if held and alive(layout, program.name):
        if held["fingerprint"] == fingerprint:
            return False
        stop(layout, program.name, program.stop_signal, program.stop_seconds)
    log = (layout.logs / f"{program.name}.out").open("ab")
    with log:
        process = subprocess.Popen(
            list(program.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_environment(layout) | dict(program.environment),
            cwd=layout.root,
            start_new_session=True,
        )
    record = {"pid": process.pid, "started": start_time(process.pid), "fingerprint": fingerprint}
    (layout.run / f"{program.name}.json").write_text(json.dumps(record), encoding="utf-8")
    return True


def await_port(layout: Layout, program: Program, seconds: float) -> None:
    """Return when the program answers on its port.

    Raises:
        FailedError: it died or did not answer in time; the message has the end of its log.

    """
    deadline = time.monotonic() + seconds
    while program.port is not None and not answers(program.port):
        if not alive(layout, program.name):
            raise FailedError(f"{program.name} of the lab ended: {_tail(layout, program.name)}")
        if time.monotonic() > deadline:
            raise FailedError(
                f"{program.name} of the lab does not answer on port {program.port} after {seconds:.0f} s",
                hint=f"Its log is {layout.logs / program.name}.out.",
            )
        time.sleep(0.1)


def answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def alive(layout: Layout, name: str) -> bool:
    """Whether the recorded process runs and is that one, not a stranger with its number."""
    held = _held(layout, name)
    return held is not None and start_time(int(held["pid"])) == held["started"]


def stop(
    layout: Layout, name: str, stop_signal: signal.Signals = signal.SIGTERM, seconds: float = 10.0
) -> None:
    """End the process and its group; by SIGKILL when it takes longer."""
    held = _held(layout, name)
    if held and alive(layout, name):
        pid = int(held["pid"])
        _signal_group(pid, stop_signal)
        if not _until(lambda: start_time(pid) is None, seconds):
            _signal_group(pid, signal.SIGKILL)
            _until(lambda: start_time(pid) is None, 5)
    (layout.run / f"{name}.json").unlink(missing_ok=True)


def recorded(layout: Layout) -> list[str]:
    """Return the names of the processes that were started and not stopped."""
    return sorted(path.stem for path in layout.run.glob("*.json"))


def strays(layout: Layout) -> list[int]:
    """Return the pids of all processes that carry this lab's mark, this one excepted."""
    mark = f"{MARK}={layout.root}".encode()
    own = {os.getpid(), os.getppid()}
    return [pid for pid, environment in _environments() if mark in environment and pid not in own]


def end_strays(layout: Layout) -> int:
    """Kill what still carries the lab's mark, and return how many there were."""
    found = strays(layout)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in strays(layout):
            _signal(pid, sent)
        if _until(lambda: not strays(layout), 3):
            break
    return len(found)


def start_time(pid: int) -> int | None:
    """Return a running process's start in clock ticks since boot, or None when it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = fields.split()
    return None if state == "Z" else int(rest[18])


def clean_environment(layout: Layout) -> dict[str, str]:
    """Return the environment of a lab's process: the caller's without its Python and its cloud."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "PYTHON", "RABBITMQ_", "MYSQL_")) and name != "VIRTUAL_ENV"
    }
    return kept | {MARK: str(layout.root), "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": ""}


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "environ").read_bytes().split(b"\0")
            except (OSError, ValueError):
                continue


def _fingerprint(program: Program) -> str:
    digest = hashlib.sha256(json.dumps([list(program.command), dict(program.environment)]).encode())
    for path in program.files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _held(layout: Layout, name: str) -> dict[str, int | str] | None:
    try:
        held = json.loads((layout.run / f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return held if isinstance(held, dict) and {"pid", "started", "fingerprint"} <= held.keys() else None


def _tail(layout: Layout, name: str) -> str:
    try:
        lines = (layout.logs / f"{name}.out").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "it left no log"
    return " | ".join(line.strip() for line in lines[-TAIL_LINES:] if line.strip()) or "its log is empty"


def _signal_group(pid: int, sent: signal.Signals) -> None:
    try:
        os.killpg(pid, sent)
    except (ProcessLookupError, PermissionError):
        _signal(pid, sent)


def _signal(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except (ProcessLookupError, PermissionError):
        return


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
