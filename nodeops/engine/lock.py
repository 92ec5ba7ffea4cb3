"""Who works on a run, and whether that process still lives."""

import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodeops.config import operator

LEASE_SECONDS = 30
"""A process on another machine that has not been heard of for so long has lost its lock."""
BEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that holds, or held, the lock of a run."""

    user: str
    machine: str
    place: str
    """Boot and process namespace: where its pid means something."""
    pid: int
    start: str
    """The process's start time in the kernel's ticks: a pid may be used again, both not."""
    token: str
    """New for each taking of a lock; every journal write is fenced by it."""

    @property
    def words(self) -> str:
        return f"{self.user}@{self.machine} (pid {self.pid})"


def this_process() -> Owner:
    """The owner that this process would be, with a token of its own."""
    pid = os.getpid()
    return Owner(user_name(), socket.gethostname(), _place(), pid, _start_of(pid) or "", str(uuid.uuid4()))


def user_name() -> str:
    """The login name behind this process, behind sudo too; its number when it has none."""
    return operator().user


def alive(owner: Owner, silent_for: float) -> bool:
    """Whether that process still holds its lock, `silent_for` seconds after its last heartbeat.

    On this machine the process table tells, so that neither a crash leaves a lock nor a pause loses one;
    on another one the lease does.
    """
    if owner.place == _place() and owner.start:
        return _start_of(owner.pid) == owner.start
    return silent_for <= LEASE_SECONDS


def _place() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {boot} {namespace}"[:128]


def _start_of(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat (proc(5)); None when there is no such process, or it is a zombie."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields or fields[0] in {"Z", "X"}:
        return None
    return fields[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


class Heartbeat:
    """Calls `beat` every few seconds from a thread of its own, until stopped or told False."""

    def __init__(self, beat: Callable[[], bool], every: float = BEAT_SECONDS) -> None:
        self._beat = beat
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._every)

    def _run(self) -> None:
        while not self._stop.wait(self._every) and self._beat():
            pass
