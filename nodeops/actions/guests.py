"""`start-guest`, `reboot-guest` and `probe-guest`: a server that ran before its host went down runs again.

Step: `subject_id` the server; `source` the host it is on, which limits how many are begun at once.
Params:
- `host`: where the server must be; found elsewhere it is left alone.
- `seen` (the first two): request id of the newest action as it was planned. A stop by somebody since then is
  respected.
- `probe` (`probe-guest` only): ping, agent or console.

Whether a guest runs is the hypervisor's word: after a boot Nova's record says RUNNING until its power sync
came by. `start-guest` needs a STOPPED server (`nova/compute/api.py`, `start`); what Nova calls ACTIVE, or has
put into ERROR, is rebooted hard. `probe-guest` sends nothing.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.reboot import REBOOTABLE, REBOOTING
from nodeops.actions.subject import GONE, answer_refused, busy, explained, left_alone
from nodeops.errors import ApiError
from nodeops.facts import PowerState, Server
from nodeops.plan import Step
from nodeops.recovering import GuestSight, Probe, Sign
from nodeops.world import View, World

POWERING_ON = "powering-on"


@dataclass(frozen=True, slots=True)
class StartGuest:
    sight: GuestSight
    name: str = "start-guest"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        standing = _common(self.sight, server, step, sent, POWERING_ON)
        if standing is not None or server is None:
            return standing or GONE
        if server.vm_state == "stopped":
            if sent is not None:
                return _not_up(view, server, step, sent, "start")
            return _stopped_meanwhile(self.sight, step) or Look(State.READY)
        if sent is None or server.vm_state in REBOOTABLE:
            return Look(State.FAILED, f"is {server.status}, and its guest is off", retry=False)
        return left_alone(f"is {server.status}")

    def act(self, world: World, step: Step) -> str:
        return world.start(step.subject_id)

    def refused(self, step: Step, error: ApiError) -> Look:
        return answer_refused(step, error)


@dataclass(frozen=True, slots=True)
class RebootGuest:
    sight: GuestSight
    name: str = "reboot-guest"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        standing = _common(self.sight, server, step, sent, REBOOTING)
        if standing is not None or server is None:
            return standing or GONE
        if sent is not None:
            return _not_up(view, server, step, sent, "the hard reboot")
        if server.vm_state not in REBOOTABLE:
            return left_alone(f"is {server.status}: it cannot be rebooted")
        return _stopped_meanwhile(self.sight, step) or Look(State.READY)

    def act(self, world: World, step: Step) -> str:
        return world.reboot_hard(step.subject_id)

    def refused(self, step: Step, error: ApiError) -> Look:
        return answer_refused(step, error)


def _common(
    sight: GuestSight, server: Server | None, step: Step, sent: Sent | None, ours: str
) -> Look | None:
    """What is the same for both; None: it has no task and does not run."""
    if server is None:
        return GONE
    if server.host != step.params["host"]:
        return left_alone(f"is on {server.host} and not on {step.params['host']}")
    if server.task_state is not None:
        mine = sent is not None and server.task_state.startswith(ours)
        return Look(State.MOVING) if mine else busy(server)
    if server.vm_state != "active":
        return None
    runs = sight.runs(server.id)
    if runs is False and sent is not None:
        # It may have come up since the hypervisor was asked.
        runs = sight.runs(server.id, fresh=True)
    if runs or (runs is None and server.power_state == PowerState.RUNNING):
        return Look(State.DONE, f"runs on {server.host}")
    return None


def _stopped_meanwhile(sight: GuestSight, step: Step) -> Look | None:
    newest = sight.newest(step.subject_id)
    if newest is None or newest.request_id == step.params.get("seen"):
        return None
    if newest.action != "stop" or newest.user_id is None:
        return None
    return left_alone(f"was stopped by user {newest.user_id} meanwhile ({newest.request_id})")


def _not_up(view: View, server: Server, step: Step, sent: Sent, what: str) -> Look:
    """Without a task, and its guest does not run, after the request."""
    if sent.ambiguous and not sent.settled:
        return Look(State.MOVING, "no answer came: waiting to see whether nova took the request")
    if sent.ambiguous:
        return Look(State.READY, "nova never got the request")
    explanation = explained(view, step, sent)
    reason = f": {explanation.words}" if explanation and explanation.words else ", its guest does not run"
    return Look(State.FAILED, f"is {server.status} after {what}{reason}", retry=False)


@dataclass(frozen=True, slots=True)
class ProbeGuest:
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

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - nothing is sent
        """Send nothing: a guest shows its life by itself."""
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:
        return answer_refused(step, error)
