"""`cold-migrate`: a server that is off (or is powered off for it) to another host.

Step: `subject_id` the server, `source` the host it must be on (required), `target` the host, None to let the
scheduler choose.
Params:
- `vm_state`: the state the server must be in to be moved: `stopped` (default) or `active`. An active guest is
  powered off and on again.

DONE is VERIFY_RESIZE on another host; a `confirm-resize` step must follow.

Relied on (nova 34): the task state is set before the answer, `compute/api.py`, `resize`; no valid host comes
later, clears the task and leaves the vm_state, `conductor/manager.py`, `_cold_migrate`; the row moves before
vm_state becomes `resized`, `compute/manager.py`, `_finish_resize`; a failure on the way sets vm_state ERROR.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import (
    GONE,
    NEVER_ARRIVED,
    NO_ANSWER_YET,
    RESIZING,
    as_planned,
    because,
    busy,
    explained,
    left_alone,
    newest,
    running,
    target_was_refused,
)
from nodeops.model.facts import Server
from nodeops.model.world import View, World
from nodeops.plan import Step

COLD = frozenset({"migration", "resize"})


@dataclass(frozen=True, slots=True)
class ColdMigrate(CloudAction):
    name: str = "cold-migrate"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.task_state in RESIZING:
            words = "somebody else is migrating or resizing it" if sent is None else ""
            return Look(State.MOVING, words)
        if server.vm_state == "error" and sent is not None:
            return _failed(view, step, sent, f"is in ERROR on {server.host}, {running(server)}", retry=False)
        if server.host != step.source:
            return _elsewhere(server, sent)
        if server.task_state is not None:
            return busy(server)
        return as_planned(server, step, "stopped") if sent is None else _still_here(view, server, step, sent)

    def act(self, world: World, step: Step) -> str:
        return world.cold_migrate(step.subject_id, step.target)


def _elsewhere(server: Server, sent: Sent | None) -> Look:
    if sent is None or server.host is None:
        where = server.host or "no host"
        return left_alone(f"is on {where} already ({server.status}): somebody else moved it")
    if server.vm_state == "resized":
        return Look(State.DONE, f"is on {server.host}, to be confirmed")
    return Look(State.DONE, f"is on {server.host} and confirmed already")


def _still_here(view: View, server: Server, step: Step, sent: Sent) -> Look:
    """On the source without a task, after the request."""
    if server.vm_state == "resized":
        return left_alone("was resized in place by somebody else")
    if sent.ambiguous and not sent.settled:
        return NO_ANSWER_YET
    migration = newest(view.migrations_from(step.source or "", server_id=server.id), COLD)
    if sent.ambiguous and (migration is None or migration.status in {"confirmed", "reverted"}):
        return NEVER_ARRIVED
    if migration is not None and migration.status == "reverted":
        return left_alone("was moved, and the owner reverted it")
    return _failed(view, step, sent, "nova did not migrate it", retry=True)


def _failed(view: View, step: Step, sent: Sent, words: str, *, retry: bool) -> Look:
    explanation = explained(view, step, sent)
    refused = retry and target_was_refused(explanation)
    return Look(State.FAILED, because(words, explanation), refused_target=refused, retry=retry)
