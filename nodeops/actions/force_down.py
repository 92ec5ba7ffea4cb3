"""`force-down` and `lift-force-down`: whether Nova takes a compute host for dead.

Step: `subject_id` the host's name.
Params: none.

Forced down is a word in Nova's records: nothing is switched off by it, and nova-compute starts and works all
the same (`nova/servicegroup/api.py`, `service_is_up`). It is what makes Nova accept an evacuation at once.
Taking it back is refused while evacuations of the host wait for its nova-compute to clean up
(`nova/api/openstack/compute/services.py`, `_forced_down`). Both take effect before the answer.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import unanswered
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class ForceDown(CloudAction):
    """`forced`: what is to be, which somebody else may have made so."""

    name: str = "force-down"
    forced: bool = True
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        host = view.host(step.subject_id)
        if host is None:
            return Look(State.BLOCKED, "is no compute host any more")
        if host.forced_down is self.forced:
            return Look(State.DONE, self._words)
        if sent is None:
            return Look(State.READY)
        was_set_back = Look(State.FAILED, "was set back: somebody else changed it")
        return unanswered(sent, f"it {self._words}") or was_set_back

    def act(self, world: World, step: Step) -> str:
        """Reads the service once more just before, and asks for nothing that is so already."""
        host = world.host(step.subject_id)
        if host is None or host.forced_down is self.forced:
            return ""
        return world.force_down(host.service_id, forced=self.forced)

    @property
    def _words(self) -> str:
        return "is forced down" if self.forced else "is not forced down"
