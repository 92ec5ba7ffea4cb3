"""`confirm-resize`: accept a cold migration or resize, which frees the old disk on the host it came from.

Step: `subject_id` the server; no `source`, no `target`: it loads neither.
Params:
- `old_host`: the host its old disk is on. A server found there, and not in VERIFY_RESIZE, was reverted by its
  owner: it is left alone. Left out, any host counts as confirmed.

DONE is any state but VERIFY_RESIZE, on another host than `old_host`.

Relied on (nova 34): a confirmation has no task state; its migration goes `finished`, `confirming`,
`confirmed`, and a failure sets vm_state ERROR (`compute/api.py`, `confirm_resize`; `compute/manager.py`,
`_confirm_resize`). 409 while the source's nova-compute is down.
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.cold_migrate import COLD
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import (
    DELETING,
    GONE,
    NEVER_ARRIVED,
    NO_ANSWER_YET,
    because,
    busy,
    explained,
    left_alone,
    newest,
    running,
)
from nodeops.model.facts import Server
from nodeops.model.world import View, World
from nodeops.plan import Step

SUSPECT_SECONDS = 10.0
"""After this long the migration's record is asked how the confirmation stands."""


@dataclass(frozen=True, slots=True)
class ConfirmResize(CloudAction):
    name: str = "confirm-resize"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.task_state in DELETING:
            return left_alone("is being deleted")
        if server.vm_state == "error":
            return Look(State.FAILED, _error_words(view, server, step, sent), retry=False)
        if server.vm_state != "resized":
            return _not_resized(server, step)
        if server.task_state is not None:
            return left_alone(f"is busy: {server.task_state}")
        return Look(State.READY) if sent is None else _sent(view, server, step, sent)

    def act(self, world: World, step: Step) -> str:
        return world.confirm_resize(step.subject_id)


def _error_words(view: View, server: Server, step: Step, sent: Sent | None) -> str:
    words = f"is in ERROR on {server.host}, {running(server)}"
    return because(words, None if sent is None else explained(view, step, sent))


def _not_resized(server: Server, step: Step) -> Look:
    old_host = step.params.get("old_host")
    if old_host is not None and server.host == old_host:
        return left_alone(f"is on {server.host} again: its owner reverted the resize")
    if server.task_state is not None:
        return busy(server)
    return Look(State.DONE, f"is confirmed on {server.host}")


def _sent(view: View, server: Server, step: Step, sent: Sent) -> Look:
    """Still in VERIFY_RESIZE after the request."""
    if sent.ambiguous and not sent.settled:
        return NO_ANSWER_YET
    if sent.waited < SUSPECT_SECONDS:
        return Look(State.MOVING)
    migration = newest(view.migrations_of(server.id), COLD)
    if migration is not None and migration.status == "confirming":
        return Look(State.MOVING, "nova is confirming it")
    if sent.ambiguous and migration is not None and migration.status == "finished":
        return NEVER_ARRIVED
    status = "gone" if migration is None else migration.status
    words = f"the resize was not confirmed (migration {status})"
    return Look(State.FAILED, because(words, explained(view, step, sent)))
