"""What Nova does with a server by a simple request, from which states, and what it calls the state."""

from collections.abc import Mapping
from dataclasses import dataclass

from nodeops.model.facts import PowerState


@dataclass(frozen=True)
class Task:
    """One of Nova's simple operations."""

    allowed: frozenset[str]
    task_state: str
    vm_state: str
    power: PowerState


TASKS: Mapping[str, Task] = {
    "stop": Task(frozenset({"active", "error"}), "powering-off", "stopped", PowerState.SHUTDOWN),
    "start": Task(frozenset({"stopped"}), "powering-on", "active", PowerState.RUNNING),
    "pause": Task(frozenset({"active"}), "pausing", "paused", PowerState.PAUSED),
    "unpause": Task(frozenset({"paused"}), "unpausing", "active", PowerState.RUNNING),
    "suspend": Task(frozenset({"active"}), "suspending", "suspended", PowerState.SHUTDOWN),
    "resume": Task(frozenset({"suspended"}), "resuming", "active", PowerState.RUNNING),
    "rescue": Task(frozenset({"active", "stopped", "error"}), "rescuing", "rescued", PowerState.RUNNING),
    "unrescue": Task(frozenset({"rescued"}), "unrescuing", "active", PowerState.RUNNING),
    "shelve": Task(
        frozenset({"active", "stopped", "paused", "suspended"}), "shelving", "shelved", PowerState.SHUTDOWN
    ),
}

STATUS = {
    "active": "ACTIVE",
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "resized": "VERIFY_RESIZE",
    "error": "ERROR",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
    "building": "BUILD",
}
SETTLED_POWER = {
    "active": PowerState.RUNNING,
    "paused": PowerState.PAUSED,
    "rescued": PowerState.RUNNING,
    "error": PowerState.RUNNING,
}


def status_of(vm_state: str, task_state: str | None) -> str:
    """`nova/api/openstack/common.py`, `_STATE_MAP`."""
    if task_state == "migrating":
        return "MIGRATING"
    if task_state is not None and task_state.startswith("resize_"):
        return "RESIZE"
    return STATUS[vm_state]
