"""`rewrite-records` and `restore-records`: a server's row to another host, and back.

Step: `subject_id` the server.
Params:
- `near`: the host in whose cell the row is.
- `expected`, `changed`, `tombstone`: as in `ServerRewrite`.
- `run` (`restore-records` only): the run whose undo file has the row as it was.

One transaction, made only where the row is as expected. A repeated write is seen by the tombstone's uuid,
which the plan derives from the row itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import ready_or_failed
from nodeops.actions.kinds import RowAction
from nodeops.actions.subject import GONE, left_alone
from nodeops.errors import ConfigurationError, RecordsChangedError
from nodeops.model import undo_file
from nodeops.model.records import Images, ServerRecord, ServerRewrite, TombstoneRecord
from nodeops.model.world import View, World
from nodeops.plan import Step

COMPARED = ("host", "node", "vm_state", "task_state", "updated_at")
"""Columns of `expected` that a `ServerRecord` shows."""
UNCHANGED = "its row is unchanged"


def rewrite_of(step: Step) -> ServerRewrite:
    """What the step writes, or takes back."""
    said = cast("Mapping[str, Mapping[str, Any]]", step.params)
    return ServerRewrite(step.subject_id, said["expected"], said["changed"], said["tombstone"])


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database says of the servers of some steps."""

    servers: Mapping[str, ServerRecord]
    tombstones: Mapping[str, TombstoneRecord]
    """By uuid."""

    @classmethod
    def of(cls, view: View, steps: Sequence[Step]) -> "Rows":
        """In two queries for each host whose cell is asked."""
        servers: dict[str, ServerRecord] = {}
        tombstones: dict[str, TombstoneRecord] = {}
        for near, those in by_near(steps).items():
            ids = [step.subject_id for step in those]
            servers |= view.records.server_records(ids, near, volumes=False, bindings=False)
            ours = [str(rewrite_of(step).tombstone["uuid"]) for step in those]
            tombstones |= {each.uuid: each for each in view.records.tombstones(near, ours)}
        return cls(servers, tombstones)

    def tombstone(self, rewrite: ServerRewrite) -> TombstoneRecord | None:
        """The one this rewrite wrote."""
        return self.tombstones.get(str(rewrite.tombstone["uuid"]))


def by_near(steps: Sequence[Step]) -> dict[str, list[Step]]:
    """The steps by the host in whose cell they are."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(str(step.params["near"]), []).append(step)
    return found


@dataclass(frozen=True, slots=True)
class RewriteRecords(RowAction[Rows]):
    name: str = "rewrite-records"
    takes_effect_at_once: bool = True

    def _found(self, view: View, steps: Sequence[Step]) -> Rows:
        return Rows.of(view, steps)

    def _judged(self, found: Rows, step: Step, sent: Sent | None) -> Look:
        record, rewrite = found.servers.get(step.subject_id), rewrite_of(step)
        if record is None:
            return GONE
        if is_there(record, rewrite.changed):
            if found.tombstone(rewrite) is not None:
                return Look(State.DONE, f"its row is on {record.host}")
            return left_alone(f"its row is on {record.host}, and not by this rewrite")
        odd = changed_since(record, rewrite.expected)
        return left_alone(f"its row is not as planned: {odd}") if odd else ready_or_failed(sent, UNCHANGED)

    def act(self, world: World, step: Step) -> str:
        world.records.rewrite_server(rewrite_of(step), str(step.params["near"]))
        return ""


@dataclass(frozen=True, slots=True)
class RestoreRecords(RowAction[Rows]):
    name: str = "restore-records"
    directory: Path | None = None
    """Of the undo files; None: in the state directory."""
    takes_effect_at_once: bool = True

    def _found(self, view: View, steps: Sequence[Step]) -> Rows:
        return Rows.of(view, steps)

    def _judged(self, found: Rows, step: Step, sent: Sent | None) -> Look:
        record, rewrite = found.servers.get(step.subject_id), rewrite_of(step)
        if record is None:
            return GONE
        tombstone = found.tombstone(rewrite)
        if not is_there(record, rewrite.changed):
            if record.host == rewrite.expected["host"] and (
                tombstone is None or tombstone.status == "failed"
            ):
                return Look(State.DONE, f"its row is on {record.host}")
            return left_alone(f"its row is on {record.host} ({record.vm_state})")
        if tombstone is None or tombstone.status != "done":
            status = "gone" if tombstone is None else tombstone.status
            return left_alone(f"its tombstone is {status}: {step.params['near']} has removed its copy")
        if record.task_state is not None:
            return left_alone(f"is busy: {record.task_state}")
        return ready_or_failed(sent, UNCHANGED)

    def act(self, world: World, step: Step) -> str:
        images = images_of(step, self.directory)
        world.records.restore_server(images, rewrite_of(step), str(step.params["near"]))
        return ""


def is_there(record: ServerRecord, changed: Mapping[str, Any]) -> bool:
    """Whether the row names the host and the node of the rewrite."""
    return [record.host, record.node] == [changed["host"], changed["node"]]


def changed_since(record: ServerRecord, expected: Mapping[str, Any]) -> str:
    """What of the row is not as the rewrite expects it, in words; empty when all is."""
    odd = [name for name in COMPARED if name in expected and getattr(record, name) != expected[name]]
    return ", ".join(f"{name} is {getattr(record, name)} and was {expected[name]}" for name in odd)


def images_of(step: Step, directory: Path | None) -> Images:
    """The server as it was, from the undo file of the run that is taken back."""
    return before_of(step, directory)[0].images(step.subject_id)


def before_of(step: Step, directory: Path | None) -> tuple[undo_file.Before, undo_file.UndoFile]:
    """Raises `ApiError`, which ends this step only, when the file is not there any more."""
    path = undo_file.path_of(str(step.params["run"]), directory)
    try:
        content = undo_file.read(path)
    except ConfigurationError as error:
        raise RecordsChangedError(error.message) from error
    if content is None or step.subject_id not in content.servers:
        raise RecordsChangedError(f"undo file {path}: the server is not in it, or it is gone")
    return content.servers[step.subject_id], content
