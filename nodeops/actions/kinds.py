"""What the actions of one kind have in common: whom they ask, and so what a refusal means."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.subject import answer_refused, of_database
from nodeops.errors import ApiError
from nodeops.model.world import View, World
from nodeops.plan import Step

Found = TypeVar("Found")


class CloudAction:
    """It asks OpenStack's APIs."""

    __slots__ = ()

    def refused(self, step: Step, error: ApiError) -> Look:
        return answer_refused(step, error)


class RowAction(ABC, Generic[Found]):
    """It writes in the databases, and looks at the rows of many steps at once."""

    __slots__ = ()

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        return self.look_at_many(view, [(step, sent)])[0]

    def look_at_many(self, view: View, looks: Sequence[tuple[Step, Sent | None]]) -> list[Look]:
        found = self._found(view, [step for step, _ in looks])
        return [self._judged(found, step, sent) for step, sent in looks]

    @abstractmethod
    def _found(self, view: View, steps: Sequence[Step]) -> Found:
        """The rows of all the steps."""

    @abstractmethod
    def _judged(self, found: Found, step: Step, sent: Sent | None) -> Look:
        """Where the step stands by them."""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the database's words say it
        return of_database(error)


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
