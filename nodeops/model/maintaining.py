"""What a maintenance window is planned from, and what was asked for."""

from dataclasses import dataclass, field
from enum import StrEnum

from nodeops.model.facts import DrainFacts
from nodeops.model.machine import Before, Condition

BACK = "back-"
"""Before the ids of steps that bring a server home at the end of a window."""


class Reset(StrEnum):
    """How the host is booted anew."""

    NONE = "none"
    REBOOT = "reboot"
    POWER_CYCLE = "power-cycle"


@dataclass(frozen=True, slots=True)
class Task:
    """What is done on the host while it is empty."""

    argv: tuple[str, ...] = ()
    """A command, or the arguments of the script."""
    script: str = ""
    """Path of a script on this machine; empty: `argv` is a command."""
    script_sha256: str = ""
    pause: bool = False
    reset: Reset = Reset.NONE

    @property
    def has_work(self) -> bool:
        return bool(self.argv or self.script)


@dataclass(frozen=True, slots=True)
class MaintainFacts:
    """All that a window is planned from."""

    drain: DrainFacts
    condition: Condition | None
    """None: the host could not be looked at, as while it reboots."""
    before: Before | None = None
    """What the host was like when the window began."""
    hooks_before: tuple[str, ...] = ()
    hooks_after: tuple[str, ...] = ()
    """Commands on this machine, filled in."""
    done: frozenset[str] = frozenset()
    """Steps of the unfinished run of this window that were made."""
    sent: frozenset[str] = frozenset()
    """Those that were sent and not seen to end."""
    failed: frozenset[str] = frozenset()
    """Those that have failed."""
    unknown: frozenset[str] = frozenset()
    """Those of which nobody knows how they ended."""
    away: DrainFacts | None = None
    """The servers that the window has moved away already, as for giving them back."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that the steps of a window may take."""

    work: float = 7200.0
    pause: float = 12 * 3600.0
    boot: float = 1200.0
    ready: float = 600.0
    hook: float = 120.0


@dataclass(frozen=True, slots=True)
class Manners:
    """How the window is carried through, besides how servers are moved."""

    give_back: bool = False
    force: bool = False
    """Enable the host although somebody else had disabled it."""
    finish: bool = False
    """Only what comes after the work."""
    again: bool = False
    """Begin work anew of which it is not known how it ended."""
    accept: frozenset[str] = frozenset()
    """Questions of the readiness gate that need not be passed."""
    times: Times = field(default_factory=Times)
