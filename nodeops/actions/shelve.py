"""`shelve`, `shelve-offload`, `unshelve`: a server off its host by way of an image, and back.

Step: `subject_id` the server; `target` of `unshelve` the host it shall run on, None for the scheduler's
choice.
Params: `host` and `restores` as in `nodeops.actions.power`.

Relied on (nova 34): a server that boots from a volume is offloaded at once by `shelve`, and others too when
`shelved_offload_time` is 0 (`compute/api.py`, `shelve`; `compute/manager.py`, `_shelve_instance`); `shelve`
is DONE in both states. An `unshelve` that found no host ends shelved as before (`conductor/manager.py`).
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.power import ChangeState
from nodeops.actions.subject import GONE, because, busy, explained, left_alone, target_was_refused, unanswered
from nodeops.model.world import View, World
from nodeops.plan import Step

SHELVED = frozenset({"shelved", "shelved_offloaded"})

SHELVE = ChangeState(
    "shelve",
    frozenset({"active", "stopped", "paused", "suspended"}),
    SHELVED,
    lambda world, server: world.shelve(server),
)
SHELVE_OFFLOAD = ChangeState(
    "shelve-offload",
    frozenset({"shelved"}),
    frozenset({"shelved_offloaded"}),
    lambda world, server: world.shelve_offload(server),
)


@dataclass(frozen=True, slots=True)
class Unshelve(CloudAction):
    name: str = "unshelve"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.task_state is not None:
            return busy(server)
        if server.vm_state not in SHELVED:
            return self._unshelved(server.host, server.status, server.vm_state, step)
        return Look(State.READY) if sent is None else self._still_shelved(view, server.status, step, sent)

    def act(self, world: World, step: Step) -> str:
        return world.unshelve(step.subject_id, step.target)

    def _still_shelved(self, view: View, status: str, step: Step, sent: Sent) -> Look:
        """Shelved without a task, after the request."""
        if no_answer := unanswered(sent):
            return no_answer
        explanation = explained(view, step, sent)
        words = because(f"is {status} after unshelve", explanation)
        refused = explanation is None or target_was_refused(explanation)
        return Look(State.FAILED, words, refused_target=refused)

    def _unshelved(self, host: str | None, status: str, vm_state: str, step: Step) -> Look:
        if vm_state == "error":
            return Look(State.FAILED, f"is in ERROR on {host}", retry=False)
        if step.target is not None and host != step.target:
            return left_alone(f"is {status} on {host}: somebody else unshelved it")
        return Look(State.DONE, f"is {status} on {host}")
