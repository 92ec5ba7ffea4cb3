"""How long a guest was not there for its users while it moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Way(StrEnum):
    """How it is measured."""

    NONE = "none"
    PING = "ping"
    """From here: the longest time without an answer."""
    LIBVIRT = "libvirt"
    """Over SSH, at the target: how long QEMU had the guest stopped."""


@dataclass(frozen=True, slots=True)
class Blackout:
    """Of one guest during its move."""

    way: Way
    seconds: float | None
    """None: it could not be measured."""
    words: str = ""
    """Why not."""
    silent: bool = False
    """It answered before its move, and not after it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all guests of a run."""

    way: Way
    measured: int
    unmeasured: int
    p50: float | None
    longest: float | None


def figures_of(blackouts: Sequence[Blackout]) -> Figures | None:
    """None when nobody measured."""
    if not blackouts:
        return None
    seconds = [each.seconds for each in blackouts if each.seconds is not None]
    return Figures(
        way=blackouts[0].way,
        measured=len(seconds),
        unmeasured=len(blackouts) - len(seconds),
        p50=median(seconds) if seconds else None,
        longest=max(seconds, default=None),
    )
