"""`wait-task` and `wait-deleted`: what ends by itself is waited for; nothing is ever sent.

Step: `subject_id` the server; `budget_seconds` how long to wait, after which the step is blocked.
Params: none.

`wait-task` is DONE when the server has no task and is not being built, or is gone: the step that follows
looks at what has become of it. `wait-deleted` is DONE when the server is gone.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import Waiting
from nodeops.actions.subject import DELETING
from nodeops.model.world import View
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class WaitTask(Waiting):
    name: str = "wait-task"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nothing is sent
        server = view.server(step.subject_id)
        if server is None:
            return Look(State.DONE, "does not exist any more")
        if server.task_state is not None:
            return Look(State.MOVING, f"waits for its task {server.task_state}")
        if server.vm_state == "building":
            return Look(State.MOVING, "waits for it to be built")
        return Look(State.DONE, f"is {server.status} without a task")


@dataclass(frozen=True, slots=True)
class WaitDeleted(Waiting):
    name: str = "wait-deleted"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nothing is sent
        server = view.server(step.subject_id)
        if server is None:
            return Look(State.DONE, "is deleted")
        if server.task_state in DELETING:
            return Look(State.MOVING, "waits for it to be deleted")
        return Look(State.BLOCKED, f"is {server.status} and not being deleted any more")
