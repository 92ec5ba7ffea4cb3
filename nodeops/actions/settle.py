"""`settle-active`, `settle-error`, `delete-again`: what mends a server whose states contradict each other.

Step: `subject_id` the server; no `source`, no `target`.
Params:
- `vm_state`, `task_state`: what it was found with. Found otherwise it is left alone: somebody works on it.
- `updated` (only with a task): when Nova had last written anything about it. Newer: the task is not dead.

`settle-…` rewrites the record only (`nova/api/openstack/compute/admin_actions.py`, os-resetState): vm_state
becomes active or error and the task is gone; the guest is not touched. It takes effect before the answer.
`delete-again` is DONE when the server is gone.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import DELETING, GONE, NEVER_ARRIVED, left_alone
from nodeops.model.facts import Server
from nodeops.model.world import View, World
from nodeops.plan import Step


def changed(server: Server, step: Step) -> str:
    """What is no longer as it was found, in words; empty when all is."""
    was_vm, was_task = step.params.get("vm_state"), step.params.get("task_state")
    if server.vm_state != was_vm:
        return f"is {server.status} and was {was_vm}"
    if server.task_state != was_task:
        return f"is in task {server.task_state or 'none'} and was in {was_task or 'none'}"
    then = step.params.get("updated")
    if was_task and then and server.updated != then:
        return f"its task {was_task} goes on: nova wrote about it at {server.updated}"
    return ""


@dataclass(frozen=True, slots=True)
class Settle(CloudAction):
    """`state` is active or error."""

    state: str

    @property
    def name(self) -> str:
        return f"settle-{self.state}"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.vm_state == self.state and server.task_state is None:
            return Look(State.DONE, f"is {server.status} without a task")
        words = changed(server, step)
        if sent is None or sent.ambiguous:
            # Asking twice does no harm.
            return left_alone(words) if words else Look(State.READY)
        return Look(State.FAILED, f"is {server.status} after reset-state", retry=not words)

    def act(self, world: World, step: Step) -> str:
        return world.reset_state(step.subject_id, self.state)


@dataclass(frozen=True, slots=True)
class DeleteAgain(CloudAction):
    name: str = "delete-again"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return Look(State.DONE, "is deleted")
        if sent is None:
            words = changed(server, step)
            return left_alone(words) if words else Look(State.READY)
        if sent.ambiguous and sent.settled and not changed(server, step):
            return NEVER_ARRIVED
        if server.task_state in DELETING:
            return Look(State.MOVING, "is being deleted")
        if server.vm_state == "error":
            fault = f": {server.fault.message.rstrip('.')}" if server.fault else ""
            return Look(State.FAILED, f"its deletion failed{fault}", retry=False)
        return Look(State.MOVING, f"is {server.status}")

    def act(self, world: World, step: Step) -> str:
        return world.delete(step.subject_id)


SETTLE = (Settle("active"), Settle("error"), DeleteAgain())
