"""`evacuate`: a server of a dead host, built anew on another one.

Step: `subject_id` the server, `source` the dead host (required), `target` the host it shall run on, None to
let the scheduler choose.
Params: none.

DONE is the server on another host without a task, its evacuation ended: also when somebody else saw to that.

Relied on (nova 34):
- Accepted in ACTIVE, STOPPED and ERROR, whatever the task; the task is `rebuilding` and the migration record
  `accepted` before the answer: `compute/api.py`, `evacuate`.
- No valid host comes later: migration `error`, and the server in ERROR on its old host:
  `conductor/manager.py`, `rebuild_instance`. It can be evacuated again from there.
- Refused by the target's claim or its group: migration `failed`, the vm_state as before; any other failure
  there: `failed`, and ERROR on the old host: `compute/manager.py`, `rebuild_instance`.
- The task is cleared before the row moves, and the record is `done` after that: `compute/manager.py`,
  `_update_instance_after_spawn`; `compute/resource_tracker.py`, `finish_evacuation`. So a server seen on its
  old host without a task is under way while its record has not ended.
- A guest that runs on the target already is never started twice there: `_check_instance_exists`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.subject import (
    DELETING,
    GONE,
    NEVER_ARRIVED,
    NO_ANSWER_YET,
    answer_refused,
    because,
    busy,
    explained,
    left_alone,
    newest,
    running,
)
from nodeops.errors import ApiError
from nodeops.model.facts import Migration, Server
from nodeops.model.world import View, World
from nodeops.plan import Step, Verdict

EVACUATION = frozenset({"evacuation"})
REBUILDING = frozenset({"rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"})
"""`nova/compute/task_states.py`."""
EVACUABLE = frozenset({"active", "stopped", "error"})

_ENDED_WORDS: Mapping[str, str] = {
    "error": "nova found no host for it",
    "failed": "the evacuation failed on its target",
}
_RUNS_THERE = "already exists"
"""`nova/exception.py`, InstanceExists."""


@dataclass(frozen=True, slots=True)
class Evacuate:
    name: str = "evacuate"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.task_state in DELETING:
            return left_alone("is being deleted")
        if server.host != step.source:
            return _elsewhere(view, server, step, sent)
        if server.task_state in REBUILDING:
            return _rebuilding(view, step, sent)
        return _unsent(server) if sent is None else _still_here(view, server, step, sent)

    def act(self, world: World, step: Step) -> str:
        return world.evacuate(step.subject_id, step.target)

    def refused(self, step: Step, error: ApiError) -> Look:
        """404 names a target that is gone, or the server; 409 a state, or Manila shares, which stay."""
        words = error.message
        if error.status == HTTPStatus.NOT_FOUND and step.target is not None and step.target in words:
            return Look(State.FAILED, words, refused_target=True)
        if error.status == HTTPStatus.CONFLICT and ("share" in words.lower() or "launched_at" in words):
            return Look(State.FAILED, words, retry=False)
        return answer_refused(step, error)


def _elsewhere(view: View, server: Server, step: Step, sent: Sent | None) -> Look:
    if server.host is None:
        return left_alone(f"is on no host any more ({server.status})")
    if server.task_state is not None:
        return busy(server)
    if server.vm_state == "error":
        words = f"is on {server.host}, and in ERROR, {running(server)}"
        return Look(State.FAILED, _explained(view, step, sent, words), retry=False)
    migration = _newest(view, step)
    if sent is not None and migration is not None and not migration.ended:
        return Look(State.MOVING, f"is on {server.host}, and its evacuation is {migration.status}")
    if step.target is not None and server.host != step.target:
        return Look(State.DONE, f"is on {server.host}, though {step.target} was planned")
    return Look(State.DONE, f"is on {server.host}")


def _rebuilding(view: View, step: Step, sent: Sent | None) -> Look:
    """Under way: by us, or by somebody else; stuck for good when its target died meanwhile."""
    if sent is not None and not sent.overdue:
        return Look(State.MOVING)
    migration = _newest(view, step)
    words = "no record of it" if migration is None else migration.status
    if migration is not None and not migration.ended and migration.target is not None:
        target = view.host(migration.target)
        if target is None or not target.up:
            gone = f"its evacuation is {words}, and its target {migration.target} is down"
            return Look(State.READY, gone) if sent is None else Look(State.FAILED, gone, refused_target=True)
    if sent is None:
        return Look(State.MOVING, "somebody else is evacuating or rebuilding it")
    return Look(State.MOVING, f"the evacuation is {words}")


def _unsent(server: Server) -> Look:
    """Any other task is what the host's death cut off: Nova does not ask for it."""
    if server.vm_state in EVACUABLE:
        return Look(State.READY)
    return left_alone(f"is {server.status}, which nova does not evacuate")


def _still_here(view: View, server: Server, step: Step, sent: Sent) -> Look:
    """On the dead host and not being rebuilt, after the request."""
    if sent.ambiguous and not sent.settled:
        return NO_ANSWER_YET
    migration = _newest(view, step)
    if migration is None:
        unknown = Look(State.FAILED, "nova has no record of the evacuation")
        return NEVER_ARRIVED if sent.ambiguous else unknown
    if not migration.ended:
        return Look(State.MOVING, f"the evacuation is {migration.status}")
    if migration.status in _ENDED_WORDS:
        words = f"{_ENDED_WORDS[migration.status]}, and it is {server.status}"
        return _failed(view, step, sent, words)
    if sent.ambiguous:
        return NEVER_ARRIVED
    words = f"nova calls the evacuation {migration.status}, and its record is still on {step.source}"
    return Look(State.MOVING, words, verdict=Verdict.SPLIT)


def _failed(view: View, step: Step, sent: Sent, words: str) -> Look:
    """Another target may do, whichever side refused; unless its guest is found running there."""
    words = _explained(view, step, sent, words)
    if _RUNS_THERE in words:
        words = f"{words}: its guest is on {step.target or 'the target'} already, look there"
        return Look(State.FAILED, words, retry=False)
    return Look(State.FAILED, words, refused_target=True)


def _explained(view: View, step: Step, sent: Sent | None, words: str) -> str:
    return because(words, None if sent is None else explained(view, step, sent))


def _newest(view: View, step: Step) -> Migration | None:
    return newest(view.migrations_from(step.source or "", server_id=step.subject_id), EVACUATION)
