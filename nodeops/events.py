"""What a run tells whoever is watching; the engine does not know the terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from nodeops.model.facts import Progress
from nodeops.outcome import StepResult
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: str
    steps: int
    at: float


@dataclass(frozen=True, slots=True)
class StepSent:
    step: Step
    request_id: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class StepEnded:
    step: Step
    result: StepResult
    at: float


@dataclass(frozen=True, slots=True)
class Retried:
    """The step is tried again; `step` carries the new target when that was replaced."""

    step: Step
    words: str
    at: float


@dataclass(frozen=True, slots=True)
class Noted:
    """Words for the operator: waiting for a gate, the canary passed, the link is down, stopping."""

    words: str
    at: float
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Ticked:
    """After each look at the cloud."""

    at: float
    moving: Mapping[str, float] = field(default_factory=dict)
    """Step id -> seconds since it was sent."""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    """Subject id -> progress, where it was asked for."""
    pending: int = 0
    done: int = 0
    failed: int = 0
    waits_for: str = ""


Event: TypeAlias = RunStarted | StepSent | StepEnded | Retried | Noted | Ticked
Listener: TypeAlias = Callable[[Event], None]
