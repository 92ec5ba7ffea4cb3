"""What the readiness gate is asked with, and what it answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nodeops.model.facts import Host, NetworkAgent, Resource
from nodeops.model.machine import Before, Condition


@dataclass(frozen=True, slots=True)
class ReadinessFacts:
    """All that the gate judges by; what could not be asked is None, with the reason in `unseen`."""

    host: str
    at: float
    """By this machine's clock, seconds since the epoch."""
    condition: Condition | None
    service: Host | None
    agents: tuple[NetworkAgent, ...] | None
    resources: Mapping[str, Resource] | None
    """In Placement, by resource class."""
    before: Before | None = None
    """What it was like before; None: nobody has written it down."""
    unseen: tuple[tuple[str, str], ...] = ()
    """What was asked -> why there is no answer: `host`, `service`, `agents`, `resources`."""

    def why_unseen(self, what: str) -> str:
        return dict(self.unseen).get(what, "not asked")


class Standing(StrEnum):
    """What the gate says of one thing."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Could not be seen: counts as not passed."""
    NOTED = "noted"
    """Told, and asks for nothing: not passed and not failed."""
    ACCEPTED = "accepted"
    """Would have failed, and somebody chose to let it."""

    @property
    def holds_up(self) -> bool:
        return self in {Standing.FAILED, Standing.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate."""

    code: str
    """A stable name, such as `message-bus`."""
    subject: str
    """For people, such as `message bus`."""
    standing: Standing
    found: str
    wanted: str = ""
    way_out: str = ""
    """What to do, ending as a sentence does; empty when it passed."""

    @property
    def words(self) -> str:
        """One line; with what is wanted when it was not found."""
        wanted = f"; wanted: {self.wanted}" if self.standing.holds_up and self.wanted else ""
        return f"{self.subject}: {self.found}{wanted}"


def passes(checks: Iterable[Check]) -> bool:
    """Fails closed: what could not be seen has not passed."""
    return not any(check.standing.holds_up for check in checks)
