"""`reboot-hard`: a server whose records were rewritten is started on its new host.

Step: `subject_id` the server, `source` the dead host, `target` the one it is on now.

The rewrite set its power state to NOSTATE: RUNNING afterwards is what shows that the guest was started, also
when the answer to the request was lost. Nova sets the task state before it answers (`nova/compute/api.py`,
`_hard_reboot`), and goes to ERROR when the guest does not start (`nova/compute/manager.py`,
`reboot_instance`).
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import GONE, because, busy, explained, left_alone, unanswered
from nodeops.model.facts import PowerState, Server
from nodeops.model.world import View, World
from nodeops.plan import Step

REBOOTABLE = frozenset({"active", "stopped", "paused", "suspended", "error"})
"""`nova/compute/vm_states.py`, `ALLOW_HARD_REBOOT`."""
REBOOTING = "reboot"
"""How its task states begin."""


@dataclass(frozen=True, slots=True)
class RebootHard(CloudAction):
    name: str = "reboot-hard"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.host != step.target:
            return left_alone(f"is on {server.host} and not on {step.target}")
        if server.task_state is not None:
            ours = sent is not None and server.task_state.startswith(REBOOTING)
            return Look(State.MOVING) if ours else busy(server)
        if server.vm_state == "active" and server.power_state == PowerState.RUNNING:
            return Look(State.DONE, f"runs on {server.host}")
        if sent is None:
            return _unsent(server)
        return _sent(view, server, step, sent)

    def act(self, world: World, step: Step) -> str:
        return world.reboot_hard(step.subject_id)


def _unsent(server: Server) -> Look:
    if server.vm_state in REBOOTABLE:
        return Look(State.READY)
    return left_alone(f"is {server.status}: it cannot be rebooted")


def _sent(view: View, server: Server, step: Step, sent: Sent) -> Look:
    """Without a task, and its guest does not run."""
    if no_answer := unanswered(sent):
        return no_answer
    words = f"is {server.status} on {server.host} after the reboot"
    return Look(State.FAILED, because(words, explained(view, step, sent)))
