"""How a run ended, for the report, the journal and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nodeops.model.blackout import Blackout
from nodeops.plan import Finding, Plan, StepId, Verdict


class StepState(StrEnum):
    """A step in the journal. `SENT` without an end seen is what `unknown` means after a crash."""

    PENDING = "pending"
    SENT = "sent"
    DONE = "done"
    SKIPPED = "skipped"
    """Found done before anything was sent."""
    FAILED = "failed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StepResult:
    step_id: StepId
    subject_id: str
    action: str
    state: StepState
    words: str = ""
    request_id: str = ""
    target: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    verdict: Verdict | None = None
    """Set when a look settled it, such as SPLIT."""


@dataclass(frozen=True, slots=True)
class ServerResult:
    id: str
    name: str
    action: str
    verdict: Verdict
    target: str | None = None
    """The host it was found on afterwards."""
    reason: str = ""
    """Nova's own words for everything that is not MOVED."""
    request_id: str = ""
    seconds: float = 0.0
    attempts: int = 0
    findings: tuple[Finding, ...] = ()
    """What the check afterwards found wrong: a port, an allocation, a volume, its state."""
    diagnosis: str = ""
    """Why, in one line, out of the logs where they could be read; empty where nothing more is known."""
    blackout: Blackout | None = None
    """How long it was not there while it moved, where that was to be measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    run_id: str
    plan: Plan
    servers: tuple[ServerResult, ...]
    findings: tuple[Finding, ...] = ()
    """Of the host: servers still there, running migrations, left-over bindings and allocations."""
    started: float = 0.0
    ended: float = 0.0
    interrupted_by: int | None = None
    """A signal's number."""
    still_running: Mapping[str, str] = field(default_factory=dict)
    """Server id -> words, for what Nova goes on doing by itself."""
