"""Every way in which the three states of a server can contradict each other, with cause and mend.

`power_state` is what the hypervisor reports, `vm_state` what Nova promises, `task_state` what is under way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nodeops.model.facts import PowerState
from nodeops.plan import Risk


class Mend(StrEnum):
    """One change by the API."""

    STOP = "stop"
    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    SETTLE_ACTIVE = "reset-state active"
    SETTLE_ERROR = "reset-state error"
    REBOOT_HARD = "reboot hard"
    DELETE = "delete again"


@dataclass(frozen=True, slots=True)
class MismatchClass:
    """One kind of contradiction."""

    name: str
    seen: str
    """What is seen, in words."""
    cause: str
    """The likely cause."""
    mend: str
    """What a person can do."""
    guest_is_right: tuple[Mend, ...] = ()
    """Nova's record is brought to what the guest does; empty: nothing is done by itself."""
    nova_is_right: tuple[Mend, ...] = ()
    """The guest is brought to what Nova promises; empty: as above."""
    risk: Risk = Risk.SAFE
    """Of the first way; the second one's is at least REBOOT where it ends a running guest."""
    nova_risk: Risk = Risk.SAFE
    source: str = ""
    serious: bool = True
    """False: said, and no reason for a bad exit code."""


_SYNC = "nova/compute/manager.py, _sync_instance_power_state"
_ADMIN = "nova/api/openstack/compute/admin_actions.py, os-resetState"

CLASSES: Mapping[str, MismatchClass] = {
    each.name: each
    for each in (
        MismatchClass(
            "off-but-active",
            "Nova calls it ACTIVE, and its guest is off",
            "the guest was shut down inside, or its host rebooted",
            "start it, or stop it properly",
            (Mend.STOP,),
            (Mend.STOP, Mend.START),
            source=_SYNC,
        ),
        MismatchClass(
            "crashed",
            "Nova calls it ACTIVE, and its guest has crashed",
            "QEMU or the guest's kernel ended; the hypervisor's log of this guest says how",
            "start it, or stop it properly",
            (Mend.STOP,),
            (Mend.STOP, Mend.START),
            source=_SYNC,
        ),
        MismatchClass(
            "suspended-but-active",
            "Nova calls it ACTIVE, and its guest is suspended",
            "the guest put itself to sleep, or somebody suspended it behind Nova's back",
            "stop and start it; Nova itself stops it within ten minutes",
            (Mend.STOP,),
            (Mend.STOP, Mend.START),
            Risk.REBOOT,
            Risk.REBOOT,
            source=_SYNC,
        ),
        MismatchClass(
            "paused-but-active",
            "Nova calls it ACTIVE, and its guest is paused",
            "an I/O error of its storage stopped it, or somebody paused it behind Nova's back",
            "mend the storage, then let it run on; where that is hopeless, the state that is kindest to the "
            "user, perhaps ERROR",
            (Mend.PAUSE,),
            (Mend.PAUSE, Mend.UNPAUSE),
            source=_SYNC + ": ignored, as somebody may be about to go on",
        ),
        MismatchClass(
            "no-guest",
            "Nova counts it here, and the hypervisor does not know its guest",
            "its definition was lost or it was undefined by hand, or the hypervisor was not asked in time",
            "reboot it hard, which defines and starts it anew",
            (Mend.REBOOT_HARD,),
            (Mend.REBOOT_HARD,),
            Risk.REBOOT,
            Risk.REBOOT,
            source=_SYNC + ": NOSTATE is ignored",
        ),
        MismatchClass(
            "running-but-stopped",
            "Nova calls it SHUTOFF, and its guest is not off",
            "it was started behind Nova's back; Nova itself stops it within ten minutes",
            "stop it, or accept that it runs",
            (Mend.SETTLE_ACTIVE,),
            (Mend.SETTLE_ACTIVE, Mend.STOP),
            Risk.FORCE,
            Risk.FORCE,
            source=_SYNC + ", force_stop; " + _ADMIN,
        ),
        MismatchClass(
            "running-but-paused",
            "Nova calls it PAUSED, and its guest runs",
            "it was let go on behind Nova's back",
            "accept that it runs, or pause it again",
            (Mend.SETTLE_ACTIVE,),
            (Mend.SETTLE_ACTIVE, Mend.PAUSE),
            Risk.FORCE,
            Risk.FORCE,
            source=_ADMIN,
        ),
        MismatchClass(
            "off-but-paused",
            "Nova calls it PAUSED, and its guest is off",
            "the guest ended while it was paused, or its host rebooted; its memory is lost",
            "stop it, so that it can be started",
            (Mend.SETTLE_ACTIVE, Mend.STOP),
            (Mend.SETTLE_ACTIVE, Mend.STOP),
            Risk.FORCE,
            Risk.FORCE,
            source=_SYNC + ", force_stop; " + _ADMIN,
        ),
        MismatchClass(
            "running-but-suspended",
            "Nova calls it SUSPENDED, and its guest runs",
            "it was resumed behind Nova's back, or resume_guests_state_on_host_boot started it",
            "accept that it runs, or suspend it again",
            (Mend.SETTLE_ACTIVE,),
            (Mend.SETTLE_ACTIVE, Mend.SUSPEND),
            Risk.FORCE,
            Risk.FORCE,
            source=_ADMIN,
        ),
        MismatchClass(
            "off-but-rescued",
            "Nova calls it RESCUE, and its guest is off",
            "its host rebooted, or it was shut down inside the rescue system",
            "unrescue it, which starts it from its own disk: openstack server unrescue SERVER",
            source=_SYNC + ": RESCUED is not looked at",
        ),
        MismatchClass(
            "error-but-running",
            "Nova calls it ERROR, and its guest runs",
            "a task failed half way and could not be rolled back, and the guest was not touched by it",
            "look at it; when it is healthy, put its state back, never by editing the database",
            (Mend.SETTLE_ACTIVE,),
            (Mend.SETTLE_ACTIVE,),
            Risk.FORCE,
            Risk.FORCE,
            source=_ADMIN,
        ),
        MismatchClass(
            "error",
            "Nova calls it ERROR, and its guest does not run",
            "a task failed and could not be rolled back; its fault names it",
            "look at its fault, then reboot it hard, rebuild or delete it",
        ),
        MismatchClass(
            "running-but-deleted",
            "it is soft-deleted, and its guest is not off",
            "the power-off of the deletion failed",
            "restore it, or delete it for good: openstack server delete --force SERVER",
            source="nova/compute/manager.py, soft_delete_instance, _cleanup_running_deleted_instances",
        ),
        MismatchClass(
            "running-but-shelved",
            "Nova calls it SHELVED, and its guest is not off",
            "it was started behind Nova's back",
            "unshelve it: openstack server unshelve SERVER",
        ),
        MismatchClass(
            "task-stuck",
            "it is in a task, and nothing works on it any more",
            "nova-compute was killed or the message was lost; the task's own end did not come",
            "put its state back, which ends the task",
            source=_ADMIN + ": task_state none",
        ),
        MismatchClass(
            "task-long",
            "it is in a task whose work began long ago and has no end",
            "it still works, or its nova-compute was restarted meanwhile and forgot it",
            "look at the log of nova-compute of the host that the event names",
        ),
        MismatchClass(
            "delete-stuck",
            "it is being deleted, and nothing works on it any more",
            "nova-compute was down or a service it needs did not answer; the deletion is not tried again",
            "delete it again",
            (Mend.DELETE,),
            (Mend.DELETE,),
            Risk.SAFE,
            Risk.SAFE,
            source="nova/compute/api.py, _delete; nova/compute/manager.py, _init_instance",
        ),
        MismatchClass(
            "build-stuck",
            "it is being built, and nothing works on it any more",
            "its host or the message bus went away while it was built",
            "delete it and build it again",
        ),
        MismatchClass(
            "deleted-but-there",
            "Nova has deleted it, and its guest is still on the host",
            "the deletion failed on the host, or the host was away meanwhile",
            "nova-compute removes it by itself (running_deleted_instance_action = reap); else by hand on the "
            "host: virsh destroy, virsh undefine, and its directory",
            source="nova/compute/manager.py, _cleanup_running_deleted_instances",
        ),
        MismatchClass(
            "unknown-guest",
            "the hypervisor has a guest that Nova does not know",
            "it was made by hand, belongs to another cloud, or its records were purged",
            "find out whose it is before anything else",
        ),
        MismatchClass(
            "left-over-guest",
            "Nova counts it on another host, and a guest of it is defined here, off",
            "it was moved or evacuated away while this host was cut off",
            "nova-compute of this host removes it when it starts, after an evacuation; else undefine it",
            source="nova/compute/manager.py, _destroy_evacuated_instances",
        ),
        MismatchClass(
            "two-guests",
            "Nova counts it on another host, and a guest of it runs here",
            "it was evacuated while this host lived, or a live migration ended half: two guests may write to "
            "one disk",
            "destroy at once the one that is wrong: look at both consoles, then virsh destroy",
        ),
        MismatchClass(
            "power-behind",
            "Nova's power state is not what the hypervisor says",
            "Nova looks at it every ten minutes only (sync_power_state_interval)",
            "wait; Nova brings it up to date by itself",
            serious=False,
            source=_SYNC,
        ),
    )
}
"""By name, in the order of the documentation; the classes without a way to mend need a person."""

_R, _P, _S, _C, _U, _N = (
    PowerState.RUNNING,
    PowerState.PAUSED,
    PowerState.SHUTDOWN,
    PowerState.CRASHED,
    PowerState.SUSPENDED,
    PowerState.NOSTATE,
)
BY_STATES: Mapping[str, Mapping[int, str]] = {
    "active": {
        _S: "off-but-active",
        _C: "crashed",
        _U: "suspended-but-active",
        _P: "paused-but-active",
        _N: "no-guest",
    },
    "stopped": {_R: "running-but-stopped", _P: "running-but-stopped", _U: "running-but-stopped"},
    "paused": {_R: "running-but-paused", _S: "off-but-paused", _C: "off-but-paused", _N: "no-guest"},
    "suspended": {_R: "running-but-suspended", _P: "running-but-suspended"},
    "rescued": {_S: "off-but-rescued", _C: "off-but-rescued", _N: "no-guest"},
    "error": {_R: "error-but-running", _P: "error", _S: "error", _C: "error", _U: "error", _N: "error"},
    "soft-delete": {_R: "running-but-deleted", _P: "running-but-deleted"},
    "shelved": {_R: "running-but-shelved", _P: "running-but-shelved"},
}
"""vm_state to power_state to class; what is not here agrees."""

STUCK_MENDS: Mapping[tuple[str, int], tuple[Mend, ...]] = {
    ("active", _R): (Mend.SETTLE_ACTIVE,),
    ("stopped", _S): (Mend.SETTLE_ACTIVE, Mend.STOP),
    ("paused", _P): (Mend.SETTLE_ACTIVE, Mend.PAUSE),
    ("active", _S): (Mend.SETTLE_ACTIVE, Mend.STOP),
    ("error", _R): (Mend.SETTLE_ERROR,),
    ("error", _S): (Mend.SETTLE_ERROR,),
    ("error", _N): (Mend.SETTLE_ERROR,),
}
"""What ends a stuck task and leaves the server as it is; Nova puts a state back to active and error only."""
