"""What an operator can choose about a drain and its way back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nodeops.plan import Risk


class OnStuck(StrEnum):
    """What to do with a migration that is over its budget."""

    ABORT = "abort"
    FORCE_COMPLETE = "force-complete"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """Choices common to a drain and to giving back."""

    allow: frozenset[str] = frozenset()
    """Refusal classes that are overridden."""
    risk: Risk = Risk.LIVE
    """Every refusal whose override costs at most this is overridden too."""
    to: tuple[str, ...] = ()
    """Only these hosts may receive."""
    scheduler: bool = False
    """Nova chooses each target."""
    parallel: int | None = None
    """Most migrations in flight out of one host; None: as many as Nova runs at once there, and one queued."""
    inbound: int = 2
    """Most migrations in flight into one host."""
    canary: bool = True
    on_stuck: OnStuck = OnStuck.ABORT
    retries: int = 2
    """Further attempts per server after the first."""
    max_failures: int | None = 3
    """Stop starting new moves after this many servers failed; None: never."""
    rate_mib: float | None = None
    """MiB/s of one migration; None: the inventory's, else what the journal learnt, else a default."""
    budget_factor: float = 5.0
    """A server's budget is this many times its expected duration, and a minimum."""
    leave_refused: bool = False
    """Go on with the others although some servers are refused."""
    prefer: Mapping[str, str] = field(default_factory=dict)
    """Server id -> target of an earlier plan, kept where it is still good."""
