"""Gates: the last question before a step is made, and who cannot be asked has said no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nodeops.plan import Step
from nodeops.world import View


class Gate(Protocol):
    """One condition of the world for making a step."""

    @property
    def name(self) -> str: ...

    @property
    def about_target(self) -> bool:
        """Whether another target may pass."""
        ...

    def veto(self, view: View, step: Step) -> str | None:
        """Why not now, None when it may be made. Raises `ApiError`: then it may not."""
        ...


@dataclass(frozen=True, slots=True)
class TargetServes:
    """`target-serves`: the target is enabled and up, as the scheduler's ComputeFilter asks too.

    A disabled or dead target is refused by Nova only after the request was taken
    (`nova/scheduler/filters/compute_filter.py`); this saves the attempt.
    """

    name: str = "target-serves"
    about_target: bool = True

    def veto(self, view: View, step: Step) -> str | None:
        if step.target is None:
            return None
        host = view.host(step.target)
        if host is None:
            return f"target {step.target} is no compute host any more"
        if host.serves:
            return None
        if not host.enabled:
            return f"target {step.target} is disabled: {host.disabled_reason or 'no reason given'}"
        return f"target {step.target} is down"


GATES: Mapping[str, Gate] = {gate.name: gate for gate in (TargetServes(),)}
"""`Step.gates` are keys of this."""
