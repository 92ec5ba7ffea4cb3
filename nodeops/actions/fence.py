"""`fence`: a host's power is cut, by the command of the inventory.

Step: `subject_id` the host's name.
Params: none.

Only this fences: that Nova was told the host is down keeps nobody from writing to a disk. The look asks the
power itself; where it cannot be asked, the step ends as sent and the check afterwards says that nothing is
proved. Not in the registry, since it needs more than the cloud: the task brings it.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.errors import ApiError
from nodeops.model.senses import Power, PowerAction, PowerSwitch
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class Fence:
    power: PowerSwitch
    name: str = "fence"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        reading = self.power.power(step.subject_id)
        if reading is None:
            return Look(State.BLOCKED, "no fence command is configured")
        if reading.state is Power.OFF:
            return Look(State.DONE, "is off")
        if sent is None:
            return Look(State.READY)
        if reading.state is Power.ON:
            waiting = Look(State.MOVING, "still on")
            return (
                Look(State.READY, "still on: it never took effect")
                if sent.ambiguous and sent.settled
                else waiting
            )
        if not sent.settled:
            return Look(State.MOVING, reading.words)
        return Look(State.DONE, f"was told to power off; whether it is off is not known: {reading.words}")

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        self.power.switch(step.subject_id, PowerAction.OFF)
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the command's words say it
        return Look(State.FAILED, error.message)
