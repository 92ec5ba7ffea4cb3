"""The contract of an action: how one kind of change is looked at and made."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from nodeops.errors import ApiError
from nodeops.model.world import View, World
from nodeops.plan import Step, Verdict

SETTLE_SECONDS = 15.0
"""How long a request that was not answered may take to show an effect.

Nova sets the task state before it answers, so what arrived shows at once; this covers a proxy that still
holds the request and a database replica that lags.
"""


class State(StrEnum):
    """What a look finds."""

    READY = "ready"
    """It can be made now; also what is found after an attempt that Nova undid."""
    DONE = "done"
    """It is so already, whoever made it so."""
    MOVING = "moving"
    """Under way, or the subject is busy with something that ends by itself. With a `verdict`: Nova's
    records contradict each other, which is the end if it stays so."""
    BLOCKED = "blocked"
    """The world is not as planned: someone else changed the subject, or it is gone. Never retried."""
    FAILED = "failed"
    """It was sent and Nova ended it without doing it. May be retried."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, in words for the operator."""

    state: State
    words: str = ""
    verdict: Verdict | None = None
    """Set when the look itself settles it, such as SPLIT."""
    refused_target: bool = False
    """FAILED because this target was refused: another one may do."""
    retry: bool = True
    """FAILED, and trying again may help."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the journal knows of the attempt under way."""

    at: float
    """Seconds since the epoch at which it was journaled, before it was sent."""
    request_id: str = ""
    attempt: int = 1
    ambiguous: bool = False
    """No answer came: whether it took effect is not known."""
    waited: float = 0.0
    """Seconds since `at`, by the clock of whoever looks."""
    overdue: bool = False
    """It runs well beyond its expected time: worth a closer look at Nova's records."""

    @property
    def settled(self) -> bool:
        """Whether a request without an answer had the time to show an effect."""
        return self.waited >= SETTLE_SECONDS


class Action(Protocol):
    """One kind of change. Stateless: all it needs is in the step and in the world."""

    @property
    def name(self) -> str: ...

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        """Where this step stands. May be called at any time and any number of times; changes nothing."""
        ...

    def act(self, world: World, step: Step) -> str:
        """Ask for the change and return the request id. Called only after a look said READY."""
        ...

    def refused(self, step: Step, error: ApiError) -> Look:
        """What an answer that refuses `act` means for the step; not asked about ambiguous errors."""
        ...


@runtime_checkable
class AtOnce(Protocol):
    """An action whose effect is there when `act` returns, and can be looked at without the list of servers.

    It is looked at right away, and many of them are journaled together: before the first is made all of them
    are written down as sent, and after the last how each of them ended.
    """

    @property
    def takes_effect_at_once(self) -> bool: ...


@runtime_checkable
class LooksAtMany(Protocol):
    """An action that looks at many steps at the price of one."""

    def look_at_many(self, view: View, looks: Sequence[tuple[Step, Sent | None]]) -> Sequence[Look]:
        """What `look` says of each of them, in their order; raises where any of them cannot be looked at."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """An action whose effect can be told only from what was before it."""

    def remember(self, step: Step) -> Step:
        """The step with that in its params; it is journaled so, before anything is sent.

        Raises as a look does.
        """
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An action that can be ended from outside once it is stuck."""

    def abort(self, world: World, step: Step) -> str:
        """Ask Nova to give up; the request id, empty when there was nothing to abort."""
        ...

    def force_complete(self, world: World, step: Step) -> str:
        """Ask Nova to finish at any price; the request id, empty when nothing runs."""
        ...
