"""Gates: the last question before a step is made, and who cannot be asked has said no."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

from nodeops.model.world import View
from nodeops.plan import Step


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


BEATS_OF_LIFE = 3
"""Different times of a forced-down service that prove that it reports; a change of its record is one."""


@dataclass(frozen=True, slots=True)
class SourceSilent:
    """`source-silent`: nova-compute of the host that is taken for dead has not come back to life.

    Nova shows a service that is forced down as down whatever it does; what shows that it reports again is
    that the time of its record goes on (`nova/servicegroup/drivers/db.py`, `_report_state`). The times that
    were seen are remembered as long as the view they were seen in.
    """

    name: str = "source-silent"
    about_target: bool = False
    seen: MutableMapping[View, dict[str, set[str]]] = field(default_factory=WeakKeyDictionary)

    def veto(self, view: View, step: Step) -> str | None:
        source = step.source or step.params.get("near")
        if source is None:
            return None
        host = view.host(str(source))
        if host is None:
            return f"{source} is no compute host any more"
        if host.up and not host.forced_down:
            return f"nova-compute of {host.name} is up: nothing may be evacuated from a host that lives"
        times = self.seen.setdefault(view, {}).setdefault(host.name, set())
        times.add(host.last_seen)
        if len(times) >= BEATS_OF_LIFE:
            return f"nova-compute of {host.name} reports again although it is forced down: the host lives"
        return None


@dataclass(frozen=True, slots=True)
class HostUp:
    """`host-up`: nova-compute of the step's own host reports, so that enabling it means something."""

    name: str = "host-up"
    about_target: bool = False

    def veto(self, view: View, step: Step) -> str | None:
        host = view.host(step.subject_id)
        if host is None:
            return f"{step.subject_id} is no compute host any more"
        return None if host.up and not host.forced_down else f"nova-compute of {host.name} is not up"


GATES: Mapping[str, Gate] = {gate.name: gate for gate in (TargetServes(), SourceSilent(), HostUp())}
"""`Step.gates` are keys of this."""
