"""A server from one state to another.

`stop`, `start`, `pause`, `unpause`, `suspend`, `resume`, `rescue`, `unrescue`, `reset-state`.

Step: `subject_id` the server; no `source`, no `target`.
Params:
- `host` (optional): the host the server must be on; found elsewhere it is left alone.
- `restores` (optional, read by the engine): the id of the step whose effect this one takes back. Such a step
  is made when that step was made and every step it needs has ended, well or not: a server that was resumed to
  be moved is suspended again although the move failed.
- `state` (`reset-state` only): `active` (default) or `error`.

A server in the end state already is DONE; in neither the states Nova allows (`check_instance_state` in
`nova/compute/api.py`) nor the end state, it is left alone. The task state is set before the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import GONE, NEVER_ARRIVED, NO_ANSWER_YET, because, busy, explained, left_alone
from nodeops.model.facts import Server
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class ChangeState(CloudAction):
    """One of Nova's operations that take a server from one of some states to one."""

    name: str
    allowed: frozenset[str]
    """The vm_states Nova accepts it in."""
    end: frozenset[str]
    """The vm_states that mean it is so."""
    ask: Callable[[World, str], str]
    """Given the server's id; returns the request id."""

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        expected = step.params.get("host")
        if expected is not None and server.host not in {expected, None}:
            return left_alone(f"is on {server.host} and not on {expected}")
        if server.task_state is not None:
            return busy(server)
        if server.vm_state in self.end:
            return Look(State.DONE, f"is {server.status}")
        return self._unsent(server) if sent is None else self._sent(view, server, step, sent)

    def act(self, world: World, step: Step) -> str:
        return self.ask(world, step.subject_id)

    def _unsent(self, server: Server) -> Look:
        if server.vm_state in self.allowed:
            return Look(State.READY)
        return left_alone(f"is {server.status}: {self.name} cannot be done")

    def _sent(self, view: View, server: Server, step: Step, sent: Sent) -> Look:
        """Without a task and not in the end state, after the request."""
        if sent.ambiguous and not sent.settled:
            return NO_ANSWER_YET
        if server.vm_state not in self.allowed:
            return Look(State.FAILED, f"is {server.status} after {self.name}", retry=False)
        if sent.ambiguous:
            return NEVER_ARRIVED
        words = f"is {server.status} after {self.name}"
        return Look(State.FAILED, because(words, explained(view, step, sent)))


@dataclass(frozen=True, slots=True)
class ResetState(CloudAction):
    """Rewrites the record only and takes effect before the answer (`compute/admin_actions.py`)."""

    name: str = "reset-state"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.vm_state == self._wanted(step) and server.task_state is None:
            return Look(State.DONE, f"is {server.status}")
        if sent is None or sent.ambiguous:
            return self._ready(server, step)
        return Look(State.FAILED, f"is {server.status} after reset-state")

    def act(self, world: World, step: Step) -> str:
        return world.reset_state(step.subject_id, self._wanted(step))

    def _ready(self, server: Server, step: Step) -> Look:
        """Asking twice does no harm."""
        expected = step.params.get("host")
        if expected is not None and server.host != expected:
            return left_alone(f"is on {server.host} and not on {expected}")
        if self._wanted(step) == "active" and server.vm_state != "error":
            return left_alone(f"is {server.status} and not ERROR")
        return Look(State.READY)

    def _wanted(self, step: Step) -> str:
        return str(step.params.get("state", "active"))


def _only(state: str) -> frozenset[str]:
    return frozenset({state})


POWER = (
    ChangeState(
        "stop",
        frozenset({"active", "error"}),
        _only("stopped"),
        lambda world, server: world.stop(server),
    ),
    ChangeState("start", _only("stopped"), _only("active"), lambda world, server: world.start(server)),
    ChangeState("pause", _only("active"), _only("paused"), lambda world, server: world.pause(server)),
    ChangeState("unpause", _only("paused"), _only("active"), lambda world, server: world.unpause(server)),
    ChangeState("suspend", _only("active"), _only("suspended"), lambda world, server: world.suspend(server)),
    ChangeState("resume", _only("suspended"), _only("active"), lambda world, server: world.resume(server)),
    ChangeState(
        "rescue",
        frozenset({"active", "stopped", "error"}),
        _only("rescued"),
        lambda world, server: world.rescue(server),
    ),
    ChangeState("unrescue", _only("rescued"), _only("active"), lambda world, server: world.unrescue(server)),
)
