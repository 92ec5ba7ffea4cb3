"""`save-images`: everything a rewrite will change, on disk before its first write.

Step: `subject_id` the host.
Params:
- `servers`: ids of exactly those that will be rewritten.
- `cloud`: the plan's.
- `run`: filled in by the engine.

What was saved by an earlier part of the same run stays as it is: only servers that are not in the file yet
are added. Another run's file is never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import MachineAction
from nodeops.actions.subject import left_alone
from nodeops.errors import ApiError, ConfigurationError
from nodeops.model import undo_file
from nodeops.model.undo_file import Before, UndoFile
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class SaveImages(MachineAction):
    name: str = "save-images"
    directory: Path | None = None
    """None: in the state directory."""
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the protocol's
        """Asks the disk and not the cloud: what is there is there."""
        path = self._path(step)
        try:
            known = undo_file.read(path)
        except ConfigurationError as error:
            return Look(State.BLOCKED, error.message)
        if known is None:
            return Look(State.READY)
        if (known.run, known.cloud, known.host) != _whose(step):
            return left_alone(f"{path} is the undo file of run {known.run} on {known.host}")
        if _missing(step, known):
            return Look(State.READY)
        return Look(State.DONE, f"rows and API bodies are in {path}")

    def act(self, world: World, step: Step) -> str:
        """Raises `ApiError` when the file cannot be written: then nothing is rewritten."""
        path, (run, cloud, host) = self._path(step), _whose(step)
        known = undo_file.read(path) or UndoFile(run, cloud, host, connector=_connector(world, host))
        found = _befores(world, _missing(step, known), host)
        try:
            undo_file.write(path, replace(known, servers={**known.servers, **found}))
        except OSError as error:
            raise ApiError(
                f"undo file {path}: {(error.strerror or str(error)).lower()}",
                hint="Nothing is rewritten without it: make room, or make the directory writable.",
                status=HTTPStatus.CONFLICT,
            ) from error
        return ""

    def _path(self, step: Step) -> Path:
        return undo_file.path_of(str(step.params["run"]), self.directory)


def _whose(step: Step) -> tuple[str, str, str]:
    return str(step.params["run"]), str(step.params["cloud"]), step.subject_id


def _missing(step: Step, known: UndoFile) -> list[str]:
    wanted = cast("Sequence[str]", step.params["servers"])
    return [each for each in wanted if each not in known.servers]


def _connector(world: World, host: str) -> Mapping[str, Any] | None:
    return next(iter(world.records.connectors(host)), None)


def _befores(world: World, server_ids: Sequence[str], host: str) -> dict[str, Before]:
    images = world.records.images(server_ids, host)
    ports = _asked(world.ports_of, server_ids)
    attachments = _asked(world.attachments_of, server_ids)
    return {
        each: Before(
            tables=images[each].tables,
            allocation=asdict(world.holding(each)),
            ports=tuple(asdict(port) for port in ports if port.server_id == each),
            attachments=tuple(asdict(one) for one in attachments if one.server_id == each),
        )
        for each in server_ids
        if each in images
    }


def _asked(question: Any, server_ids: Sequence[str]) -> tuple[Any, ...]:
    """Nothing from an API that is gone: the plan has decided that the rewrite does without."""
    try:
        found: tuple[Any, ...] = question(server_ids)
    except ApiError as error:
        if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ()
        raise
    return found
