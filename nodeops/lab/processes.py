"""The lab's processes: apart from the terminal, known by a pid file and by a mark in their environment."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeops.errors import FailedError
from nodeops.lab.layout import LOOPBACK, Layout

MARK = "NODEOPS_LAB_ROOT"
"""In the environment of every process of a lab, and of what those start."""
TAIL_LINES = 5
LET_GO_SECONDS = 3.0


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
    """Start the program unless it runs with this very configuration; return whether it was started.

    Raises:
        FailedError: something else listens on its port.

    """
    fingerprint = _fingerprint(program)
    held = _held(layout, program.name)
    if held and alive(layout, program.name):
        if held["fingerprint"] == fingerprint:
            return False
        stop(layout, program.name, program.stop_signal, program.stop_seconds)
    if program.port is not None and not _free(program.port):
        raise FailedError(
            f"{program.name} of the lab cannot start: another process has port {program.port}",
            hint=f"Find it with `ss -ltnp 'sport = :{program.port}'`, end it, and bring the lab up again.",
        )
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
    process.returncode = 0  # it is to outlive this command: nobody here waits for its end
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
            raise FailedError(f"{program.name} of the lab ended: {last_words(layout, program.name)}")
        if time.monotonic() > deadline:
            raise FailedError(
                f"{program.name} of the lab does not answer on port {program.port} after {seconds:.0f} s",
                hint=f"Its log is {layout.logs / program.name}.out.",
            )
        time.sleep(0.1)


def _free(port: int) -> bool:
    """Whether nothing listens there; what was just killed may take a moment to let go."""
    return _until(lambda: not answers(port), LET_GO_SECONDS)


def answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def alive(layout: Layout, name: str) -> bool:
    """Whether the recorded process runs and is that one, not a stranger with its number."""
    held = _held(layout, name)
    return held is not None and _runs(held)


def stop(
    layout: Layout, name: str, stop_signal: signal.Signals = signal.SIGTERM, seconds: float = 10.0
) -> None:
    """End the process and its group; by SIGKILL when it takes longer."""
    held = _held(layout, name)
    if held and alive(layout, name):
        pid = int(held["pid"])
        _signal_group(pid, stop_signal)
        if not _until(lambda: not _group(pid), seconds):
            _signal_group(pid, signal.SIGKILL)
            _until(lambda: not _group(pid), 5)
    (layout.run / f"{name}.json").unlink(missing_ok=True)


def recorded(layout: Layout) -> list[str]:
    """Return the names of the processes that were started and not stopped."""
    return sorted(path.stem for path in layout.run.glob("*.json"))


def strays(root: Path) -> list[int]:
    """Return the pids of all processes that carry this lab's mark, this one and those above it excepted."""
    mark = f"{MARK}={root}".encode()
    own = _line(os.getpid())
    return [pid for pid, environment in _environments() if mark in environment and pid not in own]


def orphans(root: Path, kept: Iterable[int] = ()) -> list[int]:
    """Return the lab's processes that neither run under a recorded program nor under one of those kept.

    An `up` that was killed leaves them: an install, a database sync, a server whose pid was not yet noted.
    """
    known = {*kept, *(int(held["pid"]) for held in _records(root) if _runs(held))}
    return [pid for pid in strays(root) if known.isdisjoint(_line(pid))]


def end_strays(root: Path) -> int:
    """End what still carries the lab's mark, and return how many there were."""
    return _end(lambda: strays(root))


def end_orphans(root: Path, kept: Iterable[int] = ()) -> int:
    """End the lab's orphans, and return how many there were."""
    known = list(kept)
    return _end(lambda: orphans(root, known))


def start_time(pid: int) -> int | None:
    """Return a running process's start in clock ticks since boot, or None when it does not run."""
    fields = _stat(pid)
    return None if not fields or fields[0] == "Z" else int(fields[19])


def run_logged(
    command: Sequence[str], log: Path, environment: Mapping[str, str], directory: Path | None = None
) -> int:
    """Run the command to its end, with all it says appended to the log; return its exit code."""
    with log.open("ab") as out:
        return subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(environment),
            cwd=directory,
            check=False,
        ).returncode


def clean_environment(layout: Layout) -> dict[str, str]:
    """Return the environment of a lab's process: the caller's without its Python and its cloud."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "PYTHON", "RABBITMQ_", "MYSQL_")) and name != "VIRTUAL_ENV"
    }
    own = {
        MARK: str(layout.root),
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "",
        "SPT_NOENV": "1",  # process titles are not to overwrite the environment, and the mark with it
    }
    return kept | own


def _stat(pid: int) -> list[str]:
    """Return /proc/PID/stat after the command's closing bracket (fields 3 and up), or nothing."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _group(leader: int) -> list[int]:
    """Return the living processes of a group: RabbitMQ's shell ends before its broker does."""
    members = ((pid, _stat(pid)) for pid in _pids())
    return [pid for pid, fields in members if fields and fields[0] != "Z" and int(fields[2]) == leader]


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _line(pid: int) -> set[int]:
    """Return the process and all above it."""
    line: set[int] = set()
    while pid > 0 and pid not in line:
        line.add(pid)
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0
    return line


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for pid in _pids():
        try:
            yield pid, Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue


def _fingerprint(program: Program) -> str:
    digest = hashlib.sha256(json.dumps([list(program.command), dict(program.environment)]).encode())
    for path in program.files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _held(layout: Layout, name: str) -> dict[str, int | str] | None:
    return _record(layout.run / f"{name}.json")


def _record(path: Path) -> dict[str, int | str] | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return held if isinstance(held, dict) and {"pid", "started", "fingerprint"} <= held.keys() else None


def _records(root: Path) -> Iterator[dict[str, int | str]]:
    for path in (root / "run").glob("*.json"):
        if held := _record(path):
            yield held


def _runs(held: Mapping[str, int | str]) -> bool:
    started = start_time(int(held["pid"]))
    return started is not None and started == held["started"]


def last_words(layout: Layout, name: str) -> str:
    """Return the end of what the program said, in one line."""
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


def _end(left: Callable[[], list[int]]) -> int:
    found = left()
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in left():
            _signal(pid, sent)
        if _until(lambda: not left(), 3):
            break
    return len(found)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
