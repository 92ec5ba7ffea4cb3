"""The arithmetic of a copy between two hosts, and the loop that runs one.

Disk goes first, then memory, at one rate, as libvirt's storage migration does. The figures are those libvirt
reports and Nova stores on the migration record (nova/virt/libvirt/migration.py, save_stats).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

CONVERGENCE_FLOOR = 0.10
"""A guest that dirties memory as fast as it is copied never gets below this share of its memory …"""
CONVERGENCE_SWING = 0.15
"""… and swings between that and this much more."""
TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be copied, in bytes, and how many bytes a second go over the wire."""

    memory: int
    disk: int
    rate: float

    @property
    def total(self) -> int:
        return self.memory + self.disk


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes, named as Nova's API names them."""

    memory_total: int
    memory_processed: int
    memory_remaining: int
    disk_total: int
    disk_processed: int
    disk_remaining: int

    @property
    def progress(self) -> int:
        """Per cent of the memory copied, Nova's `progress` of the server."""
        if not self.memory_total:
            return 100
        return 100 - round(self.memory_remaining * 100 / self.memory_total)


def figures(work: Work, sent: float, *, converging: bool = True) -> Figures:
    """Return the figures after `sent` bytes went over the wire."""
    disk = min(int(sent), work.disk)
    memory = max(int(sent) - work.disk, 0)
    if converging:
        memory = min(memory, work.memory)
        remaining = work.memory - memory
    else:
        floor = int(work.memory * CONVERGENCE_FLOOR)
        swing = max(int(work.memory * CONVERGENCE_SWING), 1)
        first_pass = work.memory - memory
        remaining = first_pass if first_pass > floor + swing else floor + swing - (memory % swing)
    return Figures(
        memory_total=work.memory,
        memory_processed=memory,
        memory_remaining=remaining,
        disk_total=work.disk,
        disk_processed=disk,
        disk_remaining=work.disk - disk,
    )


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What stands in the way of a copy right now; asked for again at every tick."""

    slower: float = 1.0
    """The copy takes this many times as long."""
    converging: bool = True
    """False: it goes on until it is aborted or forced."""
    frozen_at: float | None = None
    """Nothing moves beyond this share of the work, and neither abort nor force helps."""
    fails_at: float | None = None
    """The copy breaks at this share of the work."""


class CopyEnd(Enum):
    """How a copy ended."""

    COMPLETED = auto()
    ABORTED = auto()
    FAILED = auto()


class Control:
    """Two buttons another thread may press while a copy runs."""

    def __init__(self) -> None:
        self._pressed = threading.Event()
        self.aborted = False
        self.forced = False

    def abort(self) -> None:
        self.aborted = True
        self._pressed.set()

    def force(self) -> None:
        self.forced = True
        self._pressed.set()

    def wait(self, seconds: float) -> None:
        """Wait, or less when a button is pressed."""
        self._pressed.wait(seconds)
        self._pressed.clear()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a copy asks of the world around it; handed in, so that tests run without time."""

    clock: Callable[[], float]
    hindrance: Callable[[], Hindrance]
    target_alive: Callable[[], bool]
    report: Callable[[Figures], None]


class Copy:
    """One running copy."""

    def __init__(self, work: Work, control: Control, around: Surroundings) -> None:
        self._work = work
        self._control = control
        self._around = around
        self._sent = 0.0
        self._last = around.clock()

    def run(self) -> CopyEnd:
        """Copy until it is done, broken, aborted or forced; report the figures at every tick."""
        while True:
            hindrance = self._around.hindrance()
            self._advance(hindrance)
            end = self._end(hindrance)
            self._around.report(self._figures(hindrance, end))
            if end is not None:
                return end
            self._control.wait(self._pause(hindrance))

    def _advance(self, hindrance: Hindrance) -> None:
        now = self._around.clock()
        sent = self._sent + (now - self._last) * self._work.rate / hindrance.slower
        self._last = now
        if hindrance.frozen_at is not None:
            sent = min(sent, max(self._sent, hindrance.frozen_at * self._work.total))
        self._sent = sent

    def _end(self, hindrance: Hindrance) -> CopyEnd | None:
        if not self._around.target_alive():
            return CopyEnd.FAILED
        if hindrance.fails_at is not None and self._sent >= hindrance.fails_at * self._work.total:
            return CopyEnd.FAILED
        if hindrance.frozen_at is None and self._control.aborted:
            return CopyEnd.ABORTED
        if hindrance.frozen_at is None and self._control.forced:
            return CopyEnd.COMPLETED
        complete = self._sent >= self._work.total and hindrance.frozen_at is None
        return CopyEnd.COMPLETED if complete and hindrance.converging else None

    def _figures(self, hindrance: Hindrance, end: CopyEnd | None) -> Figures:
        if end is CopyEnd.COMPLETED:
            return figures(self._work, self._work.total)
        return figures(self._work, self._sent, converging=hindrance.converging)

    def _pause(self, hindrance: Hindrance) -> float:
        left = (self._work.total - self._sent) * hindrance.slower / self._work.rate
        return min(TICK_SECONDS, left) if left > 0 else TICK_SECONDS
