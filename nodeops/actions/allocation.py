"""`rewrite-allocation` and `restore-allocation`: what a server holds in Placement, to another host.

Step: `subject_id` the server.
Params:
- `source`, `target`: root providers; what the server holds on the first it holds on the second afterwards.
  Shared providers keep what they have.
- `source_host`, `target_host`: their names, for the words.

One PUT replaces all that a consumer holds, and Placement checks the room. A 409 of concurrent changes is
tried again from a fresh reading (`placement/handlers/allocation.py`).
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.subject import answer_refused, left_alone
from nodeops.errors import ApiError
from nodeops.model.facts import Allocation
from nodeops.model.world import View, World
from nodeops.plan import Step

NO_ROOM = "unable to allocate inventory"
"""Of a 409 that no further try helps (`placement/handlers/allocation.py`)."""


class AllocationAction:
    """It replaces all that a consumer holds."""

    __slots__ = ()

    def refused(self, step: Step, error: ApiError) -> Look:
        if error.status == HTTPStatus.CONFLICT:
            return Look(State.FAILED, error.message, retry=NO_ROOM not in error.message.lower())
        return answer_refused(step, error)


@dataclass(frozen=True, slots=True)
class MoveAllocation(AllocationAction):
    name: str = "rewrite-allocation"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        here, there = _where(view.holding(step.subject_id), step)
        target = step.params["target_host"]
        if there and not here:
            return Look(State.DONE, f"placement counts it on {target}")
        if there:
            return left_alone(f"placement counts it on {step.params['source_host']} and on {target}")
        if not here:
            return left_alone(f"placement does not count it on {step.params['source_host']}")
        return ready_or_failed(sent, "placement's count is unchanged")

    def act(self, world: World, step: Step) -> str:
        """From a fresh reading; nothing when it is so already."""
        held = world.holding(step.subject_id)
        here, there = _where(held, step)
        if there or not here:
            return ""
        source, target = str(step.params["source"]), str(step.params["target"])
        moved = {target if key == source else key: amounts for key, amounts in held.resources.items()}
        return world.set_allocation(replace(held, resources=moved))


def _where(held: Allocation, step: Step) -> tuple[bool, bool]:
    """Whether it holds something on the source, and on the target."""
    return step.params["source"] in held.resources, step.params["target"] in held.resources


def ready_or_failed(sent: Sent | None, words: str) -> Look:
    """What is found as it was before: not made yet, lost on the way, or made without effect."""
    if sent is None:
        return Look(State.READY)
    if not sent.ambiguous:
        return Look(State.FAILED, words)
    if not sent.settled:
        return Look(State.MOVING, "no answer came: waiting to see whether it took effect")
    return Look(State.READY, "it never took effect")
