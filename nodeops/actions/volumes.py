"""`detach-volume` and `attach-volume`: a data volume off a server and on again.

Step: `subject_id` the server.
Params: `volume`, `device`, `old` (the attachment that Nova named), `tag`, `delete_on_termination`, `vm_state`
(what the server was found in).

Relied on:
- Nova detaches only what Cinder calls in use (`cinder/volume/api.py`, `begin_detaching`). Of a volume whose
  attachment is gone or half made, one is completed first, so that it is.
- Nova passes over an attachment that Cinder does not know, and over a disk that the guest does not have
  (`nova/volume/cinder.py`, `attachment_delete`; `nova/virt/block_device.py`, `driver_detach`).
- The mapping is gone last (`nova/compute/manager.py`, `_detach_volume`).
- An attach that fails on the host takes the mapping away again (`nova/compute/manager.py`, `attach_volume`).
"""

from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import ready_or_failed
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import GONE, busy, left_alone
from nodeops.model.facts import AttachedVolume, Attachment, PowerState, Server
from nodeops.model.world import View, World
from nodeops.plan import Step

ATTACHED = "attached"
DETACHING = "detaching"


@dataclass(frozen=True, slots=True)
class DetachVolume(CloudAction):
    name: str = "detach-volume"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        named = _named(view, step)
        if named is None:
            return Look(State.DONE, "nova has no mapping of it any more")
        if sent is None:
            return _may_detach(server, step, named)
        volume = view.volume(str(step.params["volume"]))
        if volume is not None and volume.status == DETACHING:
            return Look(State.MOVING, "is being detached")
        words = "its guest did not let go of the volume: unmount it, or stop the server"
        return ready_or_failed(sent, words)

    def act(self, world: World, step: Step) -> str:
        volume = str(step.params["volume"])
        mine = [each for each in _attachments(world, step) if each.status == ATTACHED]
        if not mine:
            _hold(world, step)
        return world.detach_volume(step.subject_id, volume)


def _may_detach(server: Server, step: Step, named: AttachedVolume) -> Look:
    if server.task_state is not None:
        return busy(server)
    if server.vm_state != step.params["vm_state"]:
        return left_alone(f"is {server.status} and was {step.params['vm_state']}")
    if (named.attachment_id or "") != step.params["old"]:
        return left_alone("its volume has another attachment by now")
    if server.boots_from_volume and named.device == (server.root_device or "/dev/vda"):
        return left_alone("this is its root volume")
    return Look(State.READY)


def _hold(world: World, step: Step) -> None:
    """Make Cinder call it in use; an attachment without a connector takes nothing from anybody."""
    half = _attachments(world, step)
    attachment = half[0].id if half else ""
    if not attachment:
        attachment, _ = world.create_attachment(
            str(step.params["volume"]), step.subject_id, None, str(step.params["device"])
        )
    world.complete_attachment(attachment)


@dataclass(frozen=True, slots=True)
class AttachVolume(CloudAction):
    """DONE when it is attached and the server is as it was: running, or off."""

    name: str = "attach-volume"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        server = view.server(step.subject_id)
        if server is None:
            return GONE
        named = _named(view, step)
        if named is not None:
            return _attached(view, server, step, named)
        if server.task_state is not None:
            return busy(server)
        return ready_or_failed(sent, f"nova could not attach it: {_by_hand(server, step)}")

    def act(self, world: World, step: Step) -> str:
        """What was left of earlier attachments of it goes first: Nova names none of them."""
        for each in _attachments(world, step):
            world.delete_attachment(each.id)
        return world.attach_volume(
            step.subject_id,
            str(step.params["volume"]),
            str(step.params["device"]) or None,
            tag=str(step.params["tag"]),
            delete_on_termination=bool(step.params["delete_on_termination"]),
        )


def _attached(view: View, server: Server, step: Step, named: AttachedVolume) -> Look:
    """Not the old one: a mapping that is still there was never taken off."""
    if step.params["old"] and named.attachment_id == step.params["old"]:
        return left_alone("its volume was not detached")
    mine = next((each for each in _attachments(view, step) if each.id == named.attachment_id), None)
    if mine is None or mine.status != ATTACHED:
        return Look(State.MOVING, f"is {mine.status if mine else 'not attached yet'}")
    if server.task_state is not None:
        return busy(server)
    if server.vm_state == "active" and server.power_state != PowerState.RUNNING:
        return Look(State.MOVING, "is attached, and the guest does not answer as running yet")
    return Look(
        State.DONE, f"is attached at {named.device or 'no device'}, and the server is {server.status}"
    )


def _by_hand(server: Server, step: Step) -> str:
    device = f" --device {step.params['device']}" if step.params["device"] else ""
    return f"openstack server add volume{device} {server.id} {step.params['volume']}"


def _named(view: View, step: Step) -> AttachedVolume | None:
    volume = step.params["volume"]
    return next((each for each in view.volumes_of(step.subject_id) if each.volume_id == volume), None)


def _attachments(view: View, step: Step) -> list[Attachment]:
    volume = step.params["volume"]
    return [each for each in view.attachments_of([step.subject_id]) if each.volume_id == volume]


VOLUMES = (DetachVolume(), AttachVolume())
