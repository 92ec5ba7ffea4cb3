"""Which process is a simulated host's nova-compute, told apart from a later process of the same pid."""

import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from nodeops.lab.hypervisor.places import HostPlace, read_json, write_json

STATE_FIELD = 0
START_FIELD = 19
"""Of /proc/PID/stat after the command's closing bracket: fields 3 and 22 of proc(5)."""


@dataclass(frozen=True, slots=True)
class ComputeProcess:
    """A pid and the moment it started, in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Tell whether this very process runs; a zombie does not."""
        fields = _stat(self.pid)
        return fields is not None and fields[STATE_FIELD] != "Z" and int(fields[START_FIELD]) == self.started

    def kill(self) -> None:
        """End it at once with SIGKILL, if it still runs."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)


def record_process(place: HostPlace, pid: int) -> None:
    fields = _stat(pid)
    if fields is not None:
        write_json(place.process, asdict(ComputeProcess(pid, int(fields[START_FIELD]))))


def compute_process(place: HostPlace) -> ComputeProcess | None:
    """Return the host's nova-compute when it runs, else None."""
    held = read_json(place.process)
    process = ComputeProcess(**held) if held else None
    return process if process is not None and process.alive else None


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
