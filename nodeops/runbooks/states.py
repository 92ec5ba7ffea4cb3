"""What a server's state allows: what comes before the move, in which state it is moved, what comes after.

The states are those of `check_instance_state` in `nova/compute/api.py` (nova 34): live migration ACTIVE and
PAUSED, cold migration ACTIVE and STOPPED, both without a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nodeops.model.facts import PowerState, Server
from nodeops.plan import Risk
from nodeops.runbooks import links
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.links import Chain
from nodeops.runbooks.scene import Scene

DELETING = frozenset({"deleting", "soft-deleting"})
RESIZING = frozenset({"resize_prep", "resize_migrating", "resize_migrated", "resize_finish"})
TASK_LEADS_TO: Mapping[str, str] = {
    "image_snapshot": "",
    "image_snapshot_pending": "",
    "image_pending_upload": "",
    "image_uploading": "",
    "image_backup": "",
    "updating_password": "",
    "scheduling": "active",
    "block_device_mapping": "active",
    "networking": "active",
    "spawning": "active",
    "rebooting": "active",
    "reboot_pending": "active",
    "reboot_started": "active",
    "rebooting_hard": "active",
    "reboot_pending_hard": "active",
    "reboot_started_hard": "active",
    "rebuilding": "",
    "rebuild_block_device_mapping": "",
    "rebuild_spawning": "",
    "pausing": "paused",
    "unpausing": "active",
    "suspending": "suspended",
    "resuming": "active",
    "powering-off": "stopped",
    "powering-on": "active",
    "rescuing": "rescued",
    "unrescuing": "active",
    "restoring": "active",
    "shelving": "shelved",
    "shelving_image_pending_upload": "shelved",
    "shelving_image_uploading": "shelved",
    "shelving_offloading": "shelved_offloaded",
    "unshelving": "active",
    "migrating": "",
}
"""Tasks that end by themselves, and the vm_state they end in; empty: the one it has now."""
NO_HOST = "shelved_offloaded"
ENDS_WITH_POWER: Mapping[str, int] = {
    "active": PowerState.RUNNING,
    "paused": PowerState.PAUSED,
    "stopped": PowerState.SHUTDOWN,
}
"""Drivers differ in what they show for the other states."""


@dataclass(frozen=True, slots=True)
class Stance:
    """How a server stands to being moved."""

    moved_as: str | None
    """active, paused or stopped: the state it is moved in; shelved: it is offloaded; None: not moved."""
    before: Chain = ()
    after: Chain = ()
    bars: tuple[Bar, ...] = ()
    why: str = ""
    power: int = PowerState.NOSTATE
    """The power state once what comes before is done."""
    ends_as: str | None = None
    """The vm_state it shall be found in afterwards, when that is not `moved_as`."""


def stance(scene: Scene, server: Server) -> Stance:
    """Of a server that is on the host to be left, or is on its way off it."""
    task = server.task_state
    if task in DELETING:
        bar = Bar("deleting", f"it is being deleted ({task})")
        wait = (links.Link("wait-deleted", Risk.SAFE, "its end is waited for"),)
        return Stance(None, before=wait, bars=(bar,), why="its deletion is waited for")
    if task is None:
        return _settled(scene, server, server.vm_state, server.power_state)
    if _ours(scene, server):
        return _under_way(scene, server)
    if task in RESIZING or task not in TASK_LEADS_TO:
        return _busy(server)
    if task == "migrating" and _nobody_migrates(scene, server):
        return _stuck(server)
    return _waits(scene, server)


def _ours(scene: Scene, server: Server) -> bool:
    """Under way because this run asked for it: the step is planned as it was and watched on."""
    live = scene.begun("live-migrate", server) or scene.begun("block-migrate", server)
    if server.task_state == "migrating":
        return live
    return server.task_state in RESIZING and scene.begun("cold-migrate", server)


def _under_way(scene: Scene, server: Server) -> Stance:
    if server.host != scene.facts.host.name:
        return _resized_elsewhere(scene, server, server.vm_state)
    return Stance(
        server.vm_state,
        power=ENDS_WITH_POWER.get(server.vm_state, server.power_state),
        why="under way already",
    )


def _nobody_migrates(scene: Scene, server: Server) -> bool:
    """Nova's records were seen, and none says that it is being migrated.

    On the way back only the servers were asked for, not the migrations of every host they are on.
    """
    if scene.facts.moved or any(words.startswith("migrations") for words in scene.facts.unseen):
        return False
    return all(migration.ended for migration in scene.migrations.get(server.id, ()))


def _busy(server: Server) -> Stance:
    words = f"it is busy: {server.task_state}, asked for by somebody else"
    return Stance(None, bars=(Bar("busy", words, overridable=False),))


def _stuck(server: Server) -> Stance:
    """In a live migration that no record tells of: only a reset gets it out (`nova/compute/manager.py`)."""
    runs = server.power_state == PowerState.RUNNING and server.vm_state == "active"
    bar = Bar("busy", "its task is migrating, and no migration of it is under way", overridable=runs)
    why = "its state is reset to active, then it is moved"
    return Stance("active", before=(_reset(server),), bars=(bar,), power=server.power_state, why=why)


def _reset(server: Server) -> links.Link:
    params = {"state": "active", "host": str(server.host)}
    return links.Link("reset-state", Risk.FORCE, "nova moves it in no other state", params=dict(params))


def _waits(scene: Scene, server: Server) -> Stance:
    """The task ends by itself: waited for, and what is then expected is moved."""
    task = str(server.task_state)
    then = TASK_LEADS_TO[task] or server.vm_state
    wait = (links.wait_task(f"its task {task} ends by itself"),)
    words = f"its task {task} is waited for"
    if then == NO_HOST:
        return Stance(None, before=wait, why=f"{words}: it leaves the host by itself", ends_as=NO_HOST)
    following = _settled(scene, server, then, ENDS_WITH_POWER.get(then, server.power_state))
    return Stance(
        following.moved_as,
        before=(*wait, *following.before),
        after=following.after,
        bars=following.bars,
        why=f"{words}; then {following.why}" if following.why else words,
        power=following.power,
        ends_as=following.ends_as,
    )


def _settled(scene: Scene, server: Server, vm_state: str, power: int) -> Stance:
    """Without a task, or when it will have ended."""
    if vm_state in _MOVED_AS_IT_IS:
        bars = _power_bars(vm_state, power)
        return Stance(vm_state, bars=bars, power=power, why=_MOVED_AS_IT_IS[vm_state])
    if vm_state in _TAKEN_OUT:
        return _around(server, vm_state)
    if vm_state == "shelved":
        return Stance("shelved", why="it is shelved, and only its disk is still here", ends_as=NO_HOST)
    if vm_state == "resized":
        return _resized(scene, server)
    return _error(server) if vm_state == "error" else _neither(server, vm_state)


_MOVED_AS_IT_IS = {"active": "it runs", "stopped": "it is off", "paused": "it is paused, and is moved so"}
_TAKEN_OUT = {
    "suspended": ("resume", "suspend", Risk.LIVE),
    "rescued": ("unrescue", "rescue", Risk.REBOOT),
}
"""Out by, back by, and what that costs the guest."""


def _power_bars(vm_state: str, power: int) -> tuple[Bar, ...]:
    """`_check_instance_is_active` in `nova/conductor/tasks/live_migrate.py` asks for a running guest."""
    if vm_state == "active" and power not in {PowerState.RUNNING, PowerState.PAUSED}:
        words = f"nova calls it ACTIVE, and its guest is {_power_name(power)}"
        return (Bar("power-mismatch", words),)
    if vm_state == "stopped" and power == PowerState.RUNNING:
        return (Bar("power-mismatch", "nova calls it SHUTOFF, and its guest runs"),)
    return ()


def _power_name(power: int) -> str:
    known = {0: "in no known state", 4: "off", 6: "crashed", 7: "suspended"}
    return known.get(power, f"in power state {power}")


def _around(server: Server, vm_state: str) -> Stance:
    """Nova rescues no server that boots from a volume without the image it was rescued with before."""
    action, back, risk = _TAKEN_OUT[vm_state]
    why = f"nova does not move a {vm_state} server"
    before, after = links.there_and_back(action, back, str(server.host), why, risk)
    words = f"it is {vm_state}, and nova moves it only after {action}"
    can_go_back = vm_state != "rescued" or not server.boots_from_volume
    if not can_go_back:
        words += "; it boots from a volume, and nova would not rescue it again"
    return Stance(
        "active",
        before=before,
        after=after,
        bars=(Bar(vm_state, words, overridable=can_go_back),),
        power=PowerState.RUNNING,
        ends_as=vm_state,
        why=f"{action}, move, {back}",
    )


def _resized(scene: Scene, server: Server) -> Stance:
    """Its state once confirmed follows its power state (`nova/compute/manager.py`, `_confirm_resize`)."""
    drained = scene.facts.host.name
    vm_state = "stopped" if server.power_state == PowerState.SHUTDOWN else "active"
    if server.host != drained:
        return _resized_elsewhere(scene, server, vm_state)
    why = "the resize is confirmed first"
    confirm = links.confirm(None, why, risk=Risk.REBOOT, suffix=":before")
    bar = Bar("verify-resize", "it was resized or migrated to here, and its owner has not confirmed")
    return Stance(
        vm_state, before=(confirm,), bars=(bar,), power=server.power_state, why=f"{why}, then it is moved"
    )


def _resized_elsewhere(scene: Scene, server: Server, vm_state: str) -> Stance:
    """On another host, with its old disk here."""
    drained = scene.facts.host.name
    if scene.begun("cold-migrate", server):
        confirm = links.confirm(drained, "our own cold migration is accepted, and the old disk freed")
        return Stance(None, before=(confirm,), why="moved already, to be confirmed", ends_as=vm_state)
    words = f"it went to {server.host}, its owner has not confirmed, and its old disk is still on {drained}"
    confirm = links.confirm(drained, "its old disk here is freed", risk=Risk.REBOOT)
    return Stance(
        None,
        before=(confirm,),
        bars=(Bar("verify-resize", words),),
        why=f"its move to {server.host} is confirmed, which frees its old disk here",
        ends_as=vm_state,
    )


def _error(server: Server) -> Stance:
    fault = f": {server.fault.message}" if server.fault and server.fault.message else ""
    runs = server.power_state == PowerState.RUNNING
    guest = "its guest runs" if runs else "its guest does not run"
    bar = Bar("error", f"it is in ERROR, {guest}{fault}", overridable=runs)
    return Stance(
        "active",
        before=(_reset(server),),
        bars=(bar,),
        power=server.power_state,
        why="its state is reset to active, then it is moved",
    )


def _neither(server: Server, vm_state: str) -> Stance:
    if vm_state == "soft-delete":
        return Stance(None, bars=(Bar("soft-deleted", "its owner deleted it; nova keeps it for a while"),))
    words = f"nova calls it {server.status} ({vm_state}) without a task: what is to come is not known"
    return Stance(None, bars=(Bar("busy", words, overridable=False),))
