"""Snapshots: what can be promised, names, which images are too many, and when Nova is done with the disk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter

from nodeops.errors import UsageError
from nodeops.model.facts import PowerState, Server
from nodeops.model.following import power_name
from nodeops.model.snapshots import (
    AGENT_DEVICE,
    AGENT_PROPERTY,
    QUIESCE_PROPERTY,
    TRUE,
    AgentReading,
    Consistency,
    Image,
    Promise,
    Subject,
)
from nodeops.model.tracing import LogLine
from nodeops.signatures import explain

IMAGEABLE = frozenset({"active", "stopped", "paused", "suspended"})
"""`nova/compute/api.py`, `snapshot` and `snapshot_volume_backed`."""
FIELDS = frozenset({"server", "id", "host", "date", "time"})
LONGEST_NAME = 255
"""Of an image in Glance."""
PENDING, SNAPSHOT, PACKING, UPLOADING = (
    "image_snapshot_pending",
    "image_snapshot",
    "image_pending_upload",
    "image_uploading",
)
TASKS = frozenset({PENDING, SNAPSHOT, PACKING, UPLOADING})
"""`nova/compute/task_states.py`: those of an image that is made on request."""
FIRST_BYTES = frozenset({"saving", "importing", "active"})
"""Glance has been given data: Nova has a copy of the disk."""
SKIPPED = "Skipping quiescing instance"
"""`nova/virt/libvirt/driver.py`, `_live_snapshot` and `nova/compute/api.py`: only logged, even when the image
property os_require_quiesce is set and the freeze fails after all."""
IDLE_LOOKS = 3
"""So often a server is seen without a task, though its image was asked for, before that is believed."""
DISK_SECONDS, DISK_SECONDS_PER_GB = 600.0, 30.0
UPLOAD_SECONDS, UPLOAD_SECONDS_PER_GB = 900.0, 120.0
"""Budgets: 35 MiB/s out of the disk, 9 MiB/s into Glance."""


# -- what can be promised


def promise(subject: Subject, agent: AgentReading | None, silent: str = "") -> Promise:
    """By the server's state, the image properties, and what the host says of the agent.

    `agent` None: nobody could be asked, `silent` says why. Then nothing better than UNKNOWN is promised,
    because the property alone says nothing of what runs in the guest.
    """
    server = subject.server
    volumes = server.boots_from_volume
    left_out = () if volumes or not server.volume_ids else (_volumes(len(server.volume_ids)),)
    level, reasons = _off(server) or _running(subject, agent, silent)
    return Promise(level, reasons, volumes, left_out)


def _volumes(number: int) -> str:
    return f"{number} attached volume{'' if number == 1 else 's'}"


def _off(server: Server) -> tuple[Consistency, tuple[str, ...]] | None:
    """Of a server without a guest that runs; None for one that has."""
    if server.vm_state == "active":
        return None
    if server.vm_state != "stopped":
        return Consistency.CRASH, (f"vm_state is {server.vm_state}: no agent can answer",)
    running = server.power_state == PowerState.RUNNING
    power = f"vm_state is stopped, power_state is {power_name(server.power_state)}"
    return (Consistency.CRASH if running else Consistency.AT_REST), (power,)


def _running(
    subject: Subject, agent: AgentReading | None, silent: str
) -> tuple[Consistency, tuple[str, ...]]:
    said = subject.properties.get(AGENT_PROPERTY)
    where = "root volume" if subject.server.boots_from_volume else "image"
    if said is None or said.lower() not in TRUE:
        words = f"is {said}" if said is not None else "is not set"
        return Consistency.CRASH, (f"{where} property {AGENT_PROPERTY} {words}: nova asks no agent",)
    required = subject.properties.get(QUIESCE_PROPERTY, "").lower() in TRUE
    reasons: tuple[str, ...] = (
        f"{where} property {AGENT_PROPERTY} is {said}",
        *((f"{QUIESCE_PROPERTY} too",) if required else ()),
    )
    if agent is None:
        return Consistency.UNKNOWN, (*reasons, f"agent not asked: {silent or 'no way to the host'}")
    level, seen = _answering(agent)
    return level, (*reasons, *seen)


def _answering(agent: AgentReading) -> tuple[Consistency, tuple[str, ...]]:
    if not agent.device:
        return Consistency.CRASH, (f"libvirt: the guest has no device {AGENT_DEVICE}",)
    device = f"libvirt: device {AGENT_DEVICE} is there"
    if not agent.connected:
        return Consistency.CRASH, (device, "libvirt: nothing in the guest has opened it")
    if not agent.answers:
        return Consistency.CRASH, (device, f"agent does not answer: {agent.words}")
    if agent.frozen:
        return Consistency.CRASH, (device, "agent answers: file systems are frozen already")
    if not agent.freezes:
        return Consistency.CRASH, (device, "agent answers, and does not offer guest-fsfreeze-freeze")
    return Consistency.QUIESCED, (device, "agent answers and freezes")


def unimageable(server: Server) -> str:
    """Why Nova makes no image of it, in words; empty when it does."""
    if server.vm_state in IMAGEABLE:
        return ""
    return f"vm_state is {server.vm_state}: nova makes images of {', '.join(sorted(IMAGEABLE))} servers only"


# -- names


def image_name(template: str, server: Server, at: float) -> str:
    """Raises `UsageError`."""
    moment = datetime.fromtimestamp(at, UTC)
    values = {
        "server": server.name,
        "id": server.id,
        "host": server.host or "none",
        "date": moment.strftime("%Y%m%d"),
        "time": moment.strftime("%H%M%S"),
    }
    try:
        name = "".join(
            written + (values[key] if key is not None else "")
            for written, key, _, _ in Formatter().parse(template)
        ).strip()
    except (KeyError, ValueError):
        raise UsageError(
            f"--name {template!r} cannot be filled in",
            hint=f"It may have {', '.join(f'{{{each}}}' for each in sorted(FIELDS))}; the time is in UTC.",
        ) from None
    if not name:
        raise UsageError("--name leaves an empty name")
    return name[:LONGEST_NAME]


def image_names(template: str, servers: Sequence[Server], at: float) -> dict[str, str]:
    """By server id. Raises `UsageError`, also when two servers' images would have one name."""
    names = {server.id: image_name(template, server, at) for server in servers}
    if len(set(names.values())) < len(names):
        raise UsageError(
            f"--name {template!r} gives several servers' images one name",
            hint="Put {server} or {id} into it.",
        )
    return names


# -- too many


def surplus(images: Iterable[Image], keep: int, server_id: str) -> tuple[Image, ...]:
    """Images to delete so that the newest `keep` stay: complete ones that nodeops made of this server.

    What somebody made himself, renamed or protected does not count and stays.
    """
    mine = [
        image
        for image in images
        if image.ours
        and image.properties.get("instance_uuid", server_id) == server_id
        and image.status == "active"
        and not image.protected
    ]
    newest = sorted(mine, key=lambda image: (image.created, image.id), reverse=True)
    return tuple(newest[keep:])


# -- the disk


@dataclass(slots=True)
class DiskPhase:
    """Whether Nova still reads the server's disk, by the tasks and the image's states as they came.

    That image_snapshot is left does not say so: libvirt's driver writes image_pending_upload and
    image_uploading first, tries a snapshot in the storage itself, and only when there is none goes back to
    image_pending_upload, where it copies the disk and freezes the guest (`nova/virt/libvirt/driver.py`,
    `snapshot`). What does say so: Glance is given data, or image_uploading came a second time, or the task
    is over.
    """

    at_once: bool = False
    """Whoever knows that his hypervisor is done when image_snapshot is left."""
    over: bool = False
    sign: str = ""
    """By what it was seen to be over."""
    _began: bool = False
    _uploading: bool = False
    _again: bool = False
    _idle: int = 0

    def see(self, task: str | None, image: str | None) -> bool:
        """Take in one look; `image` is Glance's status, None when it has none. Returns whether it is over."""
        if not self.over:
            self.sign = self._judge(task, image)
            self.over = bool(self.sign)
        return self.over

    def _judge(self, task: str | None, image: str | None) -> str:
        if image in FIRST_BYTES:
            return f"image is {image}"
        if task not in TASKS:
            self._idle += 1
            ended = self._began or image is None or self._idle >= IDLE_LOOKS
            return f"task is {task or 'none'}" if ended else ""
        self._began = True
        if self.at_once and task not in {PENDING, SNAPSHOT}:
            return f"task is {task}"
        if task == UPLOADING and self._again:
            return "task is image_uploading again"
        self._uploading = self._uploading or task == UPLOADING
        self._again = self._again or (self._uploading and task == PACKING)
        return ""


def disk_budget(server: Server) -> float:
    """Seconds in which Nova is to be done with the disk."""
    return DISK_SECONDS + DISK_SECONDS_PER_GB * max(server.flavor.disk_gb, 1)


def upload_budget(server: Server) -> float:
    """Seconds in which packing and upload are to be over."""
    return UPLOAD_SECONDS + UPLOAD_SECONDS_PER_GB * max(server.flavor.disk_gb, 1)


# -- afterwards


def kept(promised: Promise, log: Sequence[LogLine] | None) -> tuple[Consistency, str]:
    """What the image is after all, and why; `log` None or empty: nobody could look at Nova's lines."""
    if promised.consistency not in {Consistency.QUIESCED, Consistency.UNKNOWN}:
        return promised.consistency, ""
    if not log:
        return promised.consistency, "nova does not tell whether the freeze worked, and its log was not read"
    skipped = next((line.words for line in log if SKIPPED in line.words), "")
    if skipped:
        return Consistency.CRASH, skipped[skipped.index(SKIPPED) :].rstrip(". ")
    return Consistency.QUIESCED, ""


def telling(log: Sequence[LogLine]) -> str:
    """The line that says most, with what is known of it; empty when there is none.

    An error that is known, any error, a skipped freeze, a warning.
    """
    errors = [_whole(line) for line in log if line.level in {"ERROR", "CRITICAL"}]
    known = [text for text in errors if explain(text) is not None]
    skipped = [_whole(line) for line in log if SKIPPED in line.words]
    warnings = [_whole(line) for line in log if line.level == "WARNING"]
    best = next(iter([*known, *errors, *skipped, *warnings]), "")
    signature = explain(best) if best else None
    return f"{best} ({signature.meaning})" if signature else best


def _whole(line: LogLine) -> str:
    """The message, and what a traceback ends with."""
    last = line.more[-1].strip() if line.more else ""
    return f"{line.words.strip().rstrip('. ')}{f': {last}' if last else ''}".rstrip(". ")
