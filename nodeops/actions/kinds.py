"""What the actions of one kind have in common: whom they ask, and so what a refusal means."""

from nodeops.actions.action import Look, State
from nodeops.actions.subject import answer_refused
from nodeops.errors import ApiError
from nodeops.plan import Step
from nodeops.world import World


class CloudAction:
    """It asks one of OpenStack's APIs."""

    __slots__ = ()

    def refused(self, step: Step, error: ApiError) -> Look:
        return answer_refused(step, error)


class MachineAction:
    """It is made on a machine, the host or this one, whose words are final."""

    __slots__ = ()

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the machine's words say it
        return Look(State.FAILED, error.message, retry=False)


class Waiting(MachineAction):
    """It sends nothing: what it waits for comes by itself, and the next look sees it."""

    __slots__ = ()

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - nothing is sent
        """Send nothing."""
        return ""
