"""`disable-service` and `enable-service`: whether the scheduler may use a compute host.

Step: `subject_id` the host's name.
Params of `disable-service`:
- `reason`: the words to set. The engine fills in `nodeops <run> by <user>@<machine>: <runbook>` when the step
  is made.
Params of `enable-service`:
- `force`: true enables a host that somebody else disabled; otherwise only what nodeops disabled.

A host that is disabled already is DONE and its reason stays, whoever set it. Both take effect before the
answer (`nova/api/openstack/compute/services.py`, `update`), and a reason cannot be sent with an enable.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import unanswered
from nodeops.model.world import View, World
from nodeops.plan import Step

REASON_PREFIX = "nodeops "


def disabled_by_nodeops(reason: str) -> bool:
    """Whether that reason was set by `disable-service`."""
    return reason.startswith(REASON_PREFIX)


@dataclass(frozen=True, slots=True)
class DisableService(CloudAction):
    name: str = "disable-service"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        host = view.host(step.subject_id)
        if host is None:
            return Look(State.BLOCKED, "is no compute host any more")
        if not host.enabled:
            return Look(State.DONE, f"is disabled: {host.disabled_reason or 'no reason given'}")
        if sent is None:
            return Look(State.READY)
        again = Look(State.FAILED, "is enabled again: somebody else enabled it")
        return unanswered(sent, "it is disabled") or again

    def act(self, world: World, step: Step) -> str:
        """Reads the service once more just before, so that nobody's reason is overwritten."""
        host = world.host(step.subject_id)
        if host is None or not host.enabled:
            return ""
        return world.disable(host.service_id, str(step.params["reason"]))


@dataclass(frozen=True, slots=True)
class EnableService(CloudAction):
    name: str = "enable-service"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        host = view.host(step.subject_id)
        if host is None:
            return Look(State.BLOCKED, "is no compute host any more")
        if host.enabled:
            return Look(State.DONE, "is enabled")
        if not step.params.get("force") and not disabled_by_nodeops(host.disabled_reason):
            reason = host.disabled_reason or "no reason given"
            return Look(State.BLOCKED, f"was disabled by somebody else ({reason}); left disabled")
        if sent is None:
            return Look(State.READY)
        again = Look(State.FAILED, f"is disabled again: {host.disabled_reason}")
        return unanswered(sent, "it is enabled") or again

    def act(self, world: World, step: Step) -> str:
        host = world.host(step.subject_id)
        return "" if host is None or host.enabled else world.enable(host.service_id)
