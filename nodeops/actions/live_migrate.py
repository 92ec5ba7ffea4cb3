"""`live-migrate` and `block-migrate`: a running or paused server to another host.

Step: `subject_id` the server, `source` the host it must be on (required), `target` the host it shall go to,
None to let Nova's scheduler choose.
Params:
- `vm_state`: the state the server must be in to be moved, `active` (default) or `paused`. Anything else found
  when it is to be sent means that somebody changed the server: it is left alone.

`live-migrate` lets Nova see whether disks have to be copied (`block_migration: auto`), `block-migrate` asks
for the copy.

What is relied on, all of nova 34:
- 202 means that `task_state` is `migrating` already: `compute/api.py`, `live_migrate`. So a server seen on
  the source without a task after that has been through it.
- A refused target comes later: migration `error`, the vm_state as before, no task: `conductor/manager.py`,
  `_live_migrate`. An unexpected error sets vm_state ERROR, though the guest runs on.
- A roll back clears the task first and sets the migration to `failed` or `cancelled` last:
  `compute/manager.py`, `_rollback_live_migration`.
- Success moves the row to the target and clears the task in one write, and sets the migration to `completed`
  after that: `_post_live_migration`. `completed` with the row still at the source is a split.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import (
    GONE,
    NEVER_ARRIVED,
    NO_ANSWER_YET,
    as_planned,
    because,
    busy,
    explained,
    left_alone,
    newest,
    running,
    target_was_refused,
)
from nodeops.model.facts import Migration, Server
from nodeops.model.world import View, World
from nodeops.plan import Step, Verdict

LIVE = frozenset({"live-migration"})
MIGRATING = "migrating"

_ENDED_WORDS: Mapping[str, str] = {
    "error": "nova refused the migration",
    "failed": "the migration failed and was rolled back",
    "cancelled": "the migration was aborted and rolled back",
}


@dataclass(frozen=True, slots=True)
class LiveMigrate(CloudAction):
    """`block` as in the API: None lets Nova decide by the storage."""

    name: str = "live-migrate"
    block: bool | None = None

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        if server.host != step.source:
            return _elsewhere(view, server, step, sent)
        if server.task_state == MIGRATING:
            return _migrating(view, step, sent)
        if server.task_state is not None:
            return busy(server)
        return (
            as_planned(server, step, "active") if sent is None else _back_on_source(view, server, step, sent)
        )

    def act(self, world: World, step: Step) -> str:
        return world.live_migrate(step.subject_id, step.target, block=self.block)

    def abort(self, world: World, step: Step) -> str:
        migration = _under_way(world, step)
        return "" if migration is None else world.abort_migration(step.subject_id, migration.id)

    def force_complete(self, world: World, step: Step) -> str:
        migration = _under_way(world, step)
        return "" if migration is None else world.force_complete_migration(step.subject_id, migration.id)


def _elsewhere(view: View, server: Server, step: Step, sent: Sent | None) -> Look:
    if server.host is None:
        return left_alone(f"is on no host any more ({server.status})")
    if sent is None:
        return left_alone(f"is on {server.host} already: somebody else moved it")
    if server.vm_state == "error":
        words = f"is on {server.host}, and in ERROR, {running(server)}"
        return _failed(view, step, sent, words, retry=False)
    if step.target is not None and server.host != step.target:
        return Look(State.DONE, f"is on {server.host}, though {step.target} was asked for")
    return Look(State.DONE, f"is on {server.host}")


def _migrating(view: View, step: Step, sent: Sent | None) -> Look:
    if sent is None:
        return Look(State.MOVING, "somebody else is migrating it")
    if not sent.overdue:
        return Look(State.MOVING)
    migration = _newest_from(view, step)
    if migration is None or not migration.ended:
        status = "no record of it" if migration is None else migration.status
        return Look(State.MOVING, f"the migration is {status}")
    if migration.status == "completed":
        words = f"nova calls the migration completed, but its record is still on {step.source}, migrating"
        return Look(State.MOVING, words, verdict=Verdict.SPLIT)
    words = f"the migration ended ({migration.status}), but its task is still migrating"
    return Look(State.MOVING, words, verdict=Verdict.UNKNOWN)


def _back_on_source(view: View, server: Server, step: Step, sent: Sent) -> Look:
    """On the source without a task, after the request."""
    if server.vm_state == "error":
        words = f"is in ERROR on {server.host}, {running(server)}"
        return _failed(view, step, sent, words, retry=False)
    if sent.ambiguous and not sent.settled:
        return NO_ANSWER_YET
    migration = _newest_from(view, step)
    if migration is None:
        return NEVER_ARRIVED if sent.ambiguous else Look(State.FAILED, "nova has no migration of it")
    if not migration.ended:
        return Look(State.MOVING, f"the migration is {migration.status}")
    if migration.status == "completed":
        return _came_back(view, server, step, sent, migration)
    words = _ENDED_WORDS.get(migration.status, f"the migration ended: {migration.status}")
    return _failed(view, step, sent, words, retry=migration.status != "cancelled")


def _came_back(view: View, server: Server, step: Step, sent: Sent, migration: Migration) -> Look:
    """The newest migration away is `completed`, and here it is: moved back, an older move, or a split."""
    latest = newest(view.migrations_of(server.id), LIVE)
    if latest is not None and latest.id != migration.id:
        if sent.ambiguous:
            return NEVER_ARRIVED
        return left_alone(f"was moved and is back on {step.source}: somebody else moved it")
    words = f"nova calls the migration completed, but its record is still on {step.source}"
    return Look(State.MOVING, words, verdict=Verdict.SPLIT)


def _failed(view: View, step: Step, sent: Sent, words: str, *, retry: bool) -> Look:
    explanation = explained(view, step, sent)
    words = because(words, explanation)
    return Look(
        State.FAILED,
        words,
        verdict=Verdict.ROLLED_BACK if "rolled back" in words else None,
        refused_target=retry and target_was_refused(explanation),
        retry=retry,
    )


def _newest_from(view: View, step: Step) -> Migration | None:
    return newest(view.migrations_from(step.source or "", server_id=step.subject_id), LIVE)


def _under_way(view: View, step: Step) -> Migration | None:
    migration = _newest_from(view, step)
    return None if migration is None or migration.ended else migration
