"""`start-guest`, `reboot-guest` and `probe-guest`: a server that ran before its host went down runs again.

Step: `subject_id` the server; `source` the host it is on, which limits how many are begun at once.
Params:
- `host`: where the server must be; found elsewhere it is left alone.
- `seen` (the first two, and may be left out): request id of the newest action as it was planned. A stop by
  somebody since then is respected.
- `probe` (`probe-guest` only): ping, agent or console.

Whether a guest runs is the hypervisor's word: after a boot Nova's record says RUNNING until its power sync
came by. `start-guest` needs a STOPPED server (`nova/compute/api.py`, `start`); what Nova calls ACTIVE, or has
put into ERROR, is rebooted hard. `probe-guest` sends nothing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction, Waiting
from nodeops.actions.reboot import REBOOTABLE, REBOOTING
from nodeops.actions.subject import GONE, busy, explained, left_alone, unanswered
from nodeops.model.facts import PowerState, Server
from nodeops.model.recovering import GuestSight, Probe, Sign
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class BringUp(CloudAction, ABC):
    """What is the same for both ways of bringing a guest up."""

    sight: GuestSight
    task: ClassVar[str]
    """How its task states begin."""

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.host != step.params["host"]:
            return left_alone(f"is on {server.host} and not on {step.params['host']}")
        if server.task_state is not None:
            mine = sent is not None and server.task_state.startswith(self.task)
            return Look(State.MOVING) if mine else busy(server)
        if server.vm_state == "active" and self._runs(server, sent):
            return Look(State.DONE, f"runs on {server.host}")
        return self._off(view, server, step, sent)

    def _runs(self, server: Server, sent: Sent | None) -> bool:
        runs = self.sight.runs(server.id)
        if runs is False and sent is not None:
            # It may have come up since the hypervisor was asked.
            runs = self.sight.runs(server.id, fresh=True)
        return server.power_state == PowerState.RUNNING if runs is None else runs

    @abstractmethod
    def _off(self, view: View, server: Server, step: Step, sent: Sent | None) -> Look:
        """Without a task, and its guest does not run."""

    def _ready(self, step: Step) -> Look:
        """Unless somebody stopped it since it was planned, where that is watched."""
        if "seen" not in step.params:
            return Look(State.READY)
        newest = self.sight.newest(step.subject_id)
        if newest is None or newest.request_id == step.params.get("seen"):
            return Look(State.READY)
        if newest.action != "stop" or newest.user_id is None:
            return Look(State.READY)
        return left_alone(f"was stopped by user {newest.user_id} meanwhile ({newest.request_id})")


@dataclass(frozen=True, slots=True)
class StartGuest(BringUp):
    name: str = "start-guest"
    task: ClassVar[str] = "powering-on"

    def _off(self, view: View, server: Server, step: Step, sent: Sent | None) -> Look:
        if server.vm_state == "stopped":
            return self._ready(step) if sent is None else _not_up(view, server, step, sent, "start")
        if sent is None or server.vm_state in REBOOTABLE:
            return Look(State.FAILED, f"is {server.status}, and its guest is off", retry=False)
        return left_alone(f"is {server.status}")

    def act(self, world: World, step: Step) -> str:
        return world.start(step.subject_id)


@dataclass(frozen=True, slots=True)
class RebootGuest(BringUp):
    name: str = "reboot-guest"
    task: ClassVar[str] = REBOOTING

    def _off(self, view: View, server: Server, step: Step, sent: Sent | None) -> Look:
        if sent is not None:
            return _not_up(view, server, step, sent, "the hard reboot")
        if server.vm_state not in REBOOTABLE:
            return left_alone(f"is {server.status}: it cannot be rebooted")
        return self._ready(step)

    def act(self, world: World, step: Step) -> str:
        return world.reboot_hard(step.subject_id)


def _not_up(view: View, server: Server, step: Step, sent: Sent, what: str) -> Look:
    """Without a task, and its guest does not run, after the request."""
    if no_answer := unanswered(sent):
        return no_answer
    explanation = explained(view, step, sent)
    reason = f": {explanation.words}" if explanation and explanation.words else ", its guest does not run"
    return Look(State.FAILED, f"is {server.status} after {what}{reason}", retry=False)


@dataclass(frozen=True, slots=True)
class ProbeGuest(Waiting):
    sight: GuestSight
    name: str = "probe-guest"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nothing is sent
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.task_state is not None:
            return busy(server)
        if server.vm_state != "active":
            return left_alone(f"is {server.status}: nothing to probe")
        life = self.sight.life(server.id, Probe(str(step.params["probe"])))
        if life.sign is Sign.LIVES:
            return Look(State.DONE, life.words)
        if life.sign is Sign.DEAD:
            return Look(State.FAILED, life.words, retry=False)
        return Look(State.MOVING, life.words)
