"""`renew-attachments` and `restore-attachments`: Cinder attachments of a server's volumes, for another host.

Step: `subject_id` the server.
Params:
- `near`: the host in whose cell the server is.
- `volumes`: each with `volume`, `mapping` (id of the block device mapping), `old` (its attachment),
  `device` and `multiattach`.
- `connector`: of the host the attachments shall be for. `restore-attachments` takes it from the undo file.
- `ours` (in `volumes`, `restore-attachments` only): the attachment that is taken back.
- `run` (`restore-attachments` only): the run whose undo file it is.

The order is Nova's own in a live migration: a new attachment with the connector beside the old one, the block
device mapping to it, complete it, delete the old one, which Cinder allows once Nova's row names another
(`nova/compute/manager.py`, `_post_live_migration`; `cinder/volume/api.py`, `attachment_deletion_allowed`).
An attachment that is in no row and was left by a killed attempt is deleted and made anew: its connection info
is told only once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import ready_or_failed
from nodeops.actions.kinds import CloudAction
from nodeops.actions.rewrite_records import before_of
from nodeops.actions.subject import GONE, left_alone
from nodeops.errors import RecordsChangedError
from nodeops.model.records import AttachmentRewrite
from nodeops.model.world import View, World
from nodeops.plan import Step

ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of the step, and how it stands."""

    id: str
    mapping: int
    old: str
    ours: str
    """What a rewrite put in its place; empty in the rewrite itself."""
    device: str
    multiattach: bool
    current: str | None
    """The attachment that Nova's row names; None when the mapping is gone."""
    attachments: Mapping[str, str]
    """Of this volume to this server: attachment -> status."""

    @property
    def strays(self) -> tuple[str, ...]:
        """Attachments that Nova's row does not name."""
        return tuple(sorted(self.attachments.keys() - {self.current}))

    @property
    def settled(self) -> bool:
        """One attachment, the one of the row, and complete."""
        return not self.strays and self.attachments.get(self.current or "") == ATTACHED


@dataclass(frozen=True, slots=True)
class RenewAttachments(CloudAction):
    name: str = "renew-attachments"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        words = "its volumes are attached as before, or by half"
        ways = _Ways(lambda each: each.old, "its volumes are attached anew", words)
        return _look(view, step, sent, ways)

    def act(self, world: World, step: Step) -> str:
        connector = cast("Mapping[str, Any]", step.params["connector"])
        for each in _volumes(world, step) or ():
            if each.current == each.old:
                _delete(world, each.strays)
                _replace(world, step, each, each.old, connector)
            elif not each.settled:
                _finish(world, each)
        return ""


@dataclass(frozen=True, slots=True)
class RestoreAttachments(CloudAction):
    """Back to the old attachment while it exists, else to a new one made as the old one was.

    An attachment that is deleted must never stand in a row again: Nova destroys the mapping of such a volume
    at the next reboot (`nova/compute/manager.py`, `_delete_dangling_bdms`).
    """

    name: str = "restore-attachments"
    directory: Path | None = None
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        words = "its volumes are attached to the target, or by half"
        ways = _Ways(lambda each: each.ours, "its volumes are attached as before", words)
        return _look(view, step, sent, ways)

    def act(self, world: World, step: Step) -> str:
        for each in _volumes(world, step) or ():
            if each.current == each.ours and each.old in each.attachments:
                self._put_back(world, step, each)
            elif each.current == each.ours:
                _delete(world, each.strays)
                _replace(world, step, each, each.ours, self._old_connector(step))
            elif not each.settled:
                _finish(world, each)
        return ""

    def _put_back(self, world: World, step: Step, volume: Volume) -> None:
        before = before_of(step, self.directory)[0]
        rewrite = AttachmentRewrite(volume.mapping, volume.old, volume.ours, {})
        world.records.restore_attachment(before.images(step.subject_id), rewrite, str(step.params["near"]))
        _delete(world, [each for each in volume.attachments if each != volume.old])

    def _old_connector(self, step: Step) -> Mapping[str, Any]:
        connector = before_of(step, self.directory)[1].connector
        if connector is None:
            raise RecordsChangedError("the undo file does not know the old host's connector")
        return connector


@dataclass(frozen=True, slots=True)
class _Ways:
    """What a look at volumes says."""

    left: Callable[[Volume], str]
    """The attachment that its row must no longer name."""
    done: str
    not_done: str


def _look(view: View, step: Step, sent: Sent | None, ways: _Ways) -> Look:
    volumes = _volumes(view, step)
    if volumes is None:
        return GONE
    odd = _odd(volumes)
    if odd:
        return left_alone(odd)
    if all(each.current != ways.left(each) and each.settled for each in volumes):
        return Look(State.DONE, ways.done)
    return ready_or_failed(sent, ways.not_done)


def _volumes(view: View, step: Step) -> list[Volume] | None:
    """None when the server is gone."""
    found = view.records.server_records([step.subject_id], str(step.params["near"]), bindings=False)
    record = found.get(step.subject_id)
    if record is None:
        return None
    current = {each.mapping_id: each.attachment_id for each in record.volumes}
    known = view.attachments_of([step.subject_id])
    return [
        Volume(
            id=said["volume"],
            mapping=said["mapping"],
            old=said["old"],
            ours=said.get("ours", ""),
            device=said["device"],
            multiattach=said["multiattach"],
            current=current.get(said["mapping"]),
            attachments={
                each.id: each.status
                for each in known
                if each.volume_id == said["volume"] and each.server_id == step.subject_id
            },
        )
        for said in cast("Sequence[Mapping[str, Any]]", step.params["volumes"])
    ]


def _odd(volumes: Sequence[Volume]) -> str:
    """What nothing is done about, in words."""
    for each in volumes:
        if each.current is None:
            return f"volume {each.id} is not attached to it any more"
        if each.current not in each.attachments:
            return f"volume {each.id}: cinder has no attachment {each.current}, which nova's row names"
    return ""


def _replace(world: World, step: Step, volume: Volume, expected: str, connector: Mapping[str, Any]) -> None:
    """A new attachment in the place of the expected one, which is deleted last."""
    said = {**connector, "mountpoint": volume.device}
    new, info = world.create_attachment(volume.id, step.subject_id, said, volume.device)
    rewrite = AttachmentRewrite(volume.mapping, expected, new, stored(info, step.subject_id, volume))
    world.records.rewrite_attachment(rewrite, str(step.params["near"]))
    world.complete_attachment(new)
    _delete(world, [expected])


def _finish(world: World, volume: Volume) -> None:
    """What a killed attempt left to be done once Nova's row names the new one."""
    if volume.current is not None and volume.attachments[volume.current] != ATTACHED:
        world.complete_attachment(volume.current)
    _delete(world, volume.strays)


def _delete(world: World, attachments: Sequence[str]) -> None:
    for attachment in attachments:
        world.delete_attachment(attachment)


def stored(info: Mapping[str, Any], server_id: str, volume: Volume) -> dict[str, Any]:
    """Cinder's flat connection info as Nova keeps it.

    `nova/volume/cinder.py`, `_translate_attachment_ref`; `nova/virt/block_device.py`, `_volume_attach`.
    """
    if "data" in info:
        return dict(info)
    data = dict(_without(info, "driver_volume_type", "attachment_id"))
    found: dict[str, Any] = {
        "driver_volume_type": info.get("driver_volume_type"),
        "data": data,
        "status": "attaching",
        "instance": server_id,
        "attached_at": "",
        "detached_at": "",
        "volume_id": volume.id,
        "serial": volume.id,
    }
    return found | ({"multiattach": True} if volume.multiattach else {})


def _without(info: Mapping[str, Any], *names: str) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in info.items() if key not in names)
