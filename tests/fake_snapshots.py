"""`SnapshotWorld`, guests' hosts and commands in memory; Nova's task states come in libvirt's order."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nodeops.errors import UnknownServerError
from nodeops.model.facts import Server
from nodeops.model.following import Sighting
from nodeops.model.snapshots import AgentReading, Image, SnapshotState, Subject
from nodeops.model.tracing import Found, LogLine, Wanted
from tests.fake_clock import EPOCH
from tests.fake_nova import FakeNova
from tests.fake_refusal import refuse

READY = AgentReading(device=True, connected=True, answers=True, freezes=True)
AGENT = {"hw_qemu_guest_agent": "yes"}
DISK_READ = 10.0
"""Seconds after which Nova has its copy of the disk."""
REQUEST = "req-image"


class Course(StrEnum):
    """What becomes of an image that is asked for."""

    WELL = "well"
    VANISHES = "vanishes"
    """The task ends, and the image was deleted."""
    IDLE = "idle"
    """The task ends, and the image stays queued."""
    STUCK = "stuck"
    """Nova never comes to the end of the disk."""


@dataclass
class FakeSnapshots:
    nova: FakeNova
    course: Course = Course.WELL
    properties: dict[str, str] = field(default_factory=lambda: dict(AGENT))
    image_list: dict[str, Image] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    """Volume snapshots."""
    calls: list[str] = field(default_factory=list)
    faults: dict[str, Callable[[], None]] = field(default_factory=dict)
    """By the name of the call: called before its effect, may raise; once."""
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    """As above, after its effect."""
    most_at_once: int = 0
    _known: dict[str, Server] = field(default_factory=dict)

    def _fault(self, call: str, faults: dict[str, Callable[[], None]]) -> None:
        fault = faults.pop(call, None)
        if fault is not None:
            fault()

    # -- reads

    def now(self) -> float:
        return self.nova.clock.now()

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        by_word = {word: server for server in self.nova.servers.values() for word in (server.id, server.name)}
        for word in words:
            if word not in by_word:
                raise UnknownServerError(f"server {word}: does not exist")
        return self._seen([by_word[word] for word in words])

    def on(self, host: str) -> tuple[Sighting, ...]:
        return self._seen([server for server in self.nova.servers.values() if server.host == host])

    def changed(self, since: float) -> tuple[Sighting, ...]:  # noqa: ARG002 - the overlap may be anything
        self.calls.append("changed")
        self.nova.advance()
        self._fault("changed", self.faults)
        gone = [Sighting(s, gone=True) for key, s in self._known.items() if key not in self.nova.servers]
        return (*self._seen(list(self.nova.servers.values())), *gone)

    def subject(self, server: Server) -> Subject:
        return Subject(server, self.properties, ("10.0.0.5",))

    def image(self, image_id: str) -> Image | None:
        self.nova.advance()
        self._fault("image", self.faults)
        return self.image_list.get(image_id)

    def images_of(self, server_id: str) -> tuple[Image, ...]:
        found = [i for i in self.image_list.values() if i.properties.get("nodeops_snapshot_of") == server_id]
        return tuple(sorted(found, key=lambda image: image.created, reverse=True))

    def volume_snapshots(self, snapshot_ids: Sequence[str]) -> tuple[SnapshotState, ...]:
        self.nova.advance()
        return tuple(
            SnapshotState(each, self.states[each], 1) for each in snapshot_ids if each in self.states
        )

    # -- writes

    def create_image(self, server_id: str, name: str, properties: Mapping[str, str]) -> tuple[str, str]:
        self.calls.append(f"create {server_id}")
        self._fault("create", self.faults)
        server = self.nova.get(server_id)
        if server.task_state is not None:
            raise refuse(409, f"Cannot 'createImage' instance {server_id} while it is in task_state")
        image = Image(
            f"image-{len(self.image_list) + 1}",
            name,
            "queued",
            created=self.nova.stamp(),
            properties={**properties, "instance_uuid": server_id},
        )
        if server.boots_from_volume:
            self._of_volumes(image, server)
        else:
            self._of_disk(image, server_id)
        self._fault("create", self.after)
        return image.id, REQUEST

    def delete_image(self, image_id: str) -> None:
        self.calls.append(f"delete {image_id}")
        self._fault("delete", self.faults)
        del self.image_list[image_id]

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        self.calls.append(f"delete {snapshot_id}")
        del self.states[snapshot_id]

    # -- what Nova does

    def _of_disk(self, image: Image, server_id: str) -> None:
        """`nova/virt/libvirt/driver.py`, `snapshot`: the storage's own way is tried first."""
        self.image_list[image.id] = image
        self._task(server_id, "image_snapshot_pending")
        for at, task in (
            (1, "image_snapshot"),
            (3, "image_pending_upload"),
            (3.6, "image_uploading"),
            (4.2, "image_pending_upload"),
        ):
            self.nova.at(at, lambda task=task: self._task(server_id, task))  # type: ignore[misc]
        if self.course is Course.STUCK:
            return
        if self.course is Course.WELL:
            self.nova.at(DISK_READ, lambda: self._task(server_id, "image_uploading"))
            self.nova.at(DISK_READ + 0.2, lambda: self._image(image.id, status="saving"))
            self.nova.at(25, lambda: self._image(image.id, status="active", size=18_743_296))
        elif self.course is Course.VANISHES:
            self.nova.at(6, lambda: self._lose(image.id))
        self.nova.at(25 if self.course is Course.WELL else 6, lambda: self._task(server_id, None))

    def _of_volumes(self, image: Image, server: Server) -> None:
        """In the API's own time, without a task (`nova/compute/api.py`, `snapshot_volume_backed`)."""
        ids = tuple(f"snapshot-of-{volume}" for volume in server.volume_ids)
        self.states |= dict.fromkeys(ids, "creating")
        self.image_list[image.id] = replace(image, status="active", volume_snapshots=ids)
        for each in ids:
            self.nova.at(4, lambda each=each: self.states.update({each: "available"}))  # type: ignore[misc]

    def _task(self, server_id: str, task: str | None) -> None:
        if server_id in self.nova.servers:
            self.nova.change(server_id, task_state=task)
            busy = [s for s in self.nova.servers.values() if str(s.task_state).startswith("image_")]
            self.most_at_once = max(self.most_at_once, len(busy))

    def _image(self, image_id: str, **changes: Any) -> None:
        if image_id in self.image_list:
            self.image_list[image_id] = replace(self.image_list[image_id], **changes)

    def _lose(self, image_id: str) -> None:
        self.image_list.pop(image_id, None)

    def _seen(self, servers: list[Server]) -> tuple[Sighting, ...]:
        self._known |= {server.id: server for server in servers}
        return tuple(map(Sighting, servers))


@dataclass
class FakeGuestHosts:
    reading: AgentReading | None = READY
    error: Exception | None = None

    def agent(self, host: str, server_id: str) -> AgentReading | None:  # noqa: ARG002 - all are alike
        if self.error is not None:
            raise self.error
        return self.reading


@dataclass
class FakeLogs:
    """What each host's log has of the request."""

    lines: dict[str, tuple[LogLine, ...]] = field(default_factory=lambda: {"c01": (said("c01", "Took"),)})
    error: str = ""
    asked: list[tuple[str, Wanted]] = field(default_factory=list)

    def hosts(self) -> tuple[str, ...]:
        return tuple(self.lines)

    def search(self, host: str, wanted: Wanted) -> Found:
        self.asked.append((host, wanted))
        return Found(host, error=self.error) if self.error else Found(host, self.lines.get(host, ()))


def said(host: str, words: str, level: str = "INFO") -> LogLine:
    return LogLine(EPOCH, host, "nova-compute", level, "nova.virt.libvirt.driver", words)


@dataclass
class FakeRunning:
    nova: FakeNova
    due: float
    code: int
    ended: bool = False

    def poll(self) -> int | None:
        if self.ended:
            return -15
        return self.code if self.nova.clock.now() >= self.due else None

    def end(self) -> None:
        self.ended = True


@dataclass
class FakeCommands:
    """Each command takes some seconds and ends with a code."""

    nova: FakeNova
    codes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    started: list[tuple[str, float]] = field(default_factory=list)
    """Each with its moment."""
    environments: list[Mapping[str, str]] = field(default_factory=list)
    running: list[FakeRunning] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    """The system cannot start these."""

    def start(self, words: str, environment: Mapping[str, str]) -> FakeRunning:
        if words in self.missing:
            raise FileNotFoundError(2, "No such file or directory")
        now = self.nova.clock.now()
        self.started.append((words, now))
        self.environments.append(environment)
        made = FakeRunning(self.nova, now + self.seconds.get(words, 0.0), self.codes.get(words, 0))
        self.running.append(made)
        return made

    @property
    def words(self) -> list[str]:
        return [words for words, _ in self.started]


class Inline:
    """A pool that does it at once."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any) -> "Future[Any]":
        made: Future[Any] = Future()
        try:
            made.set_result(call(*arguments))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            made.set_exception(error)
        return made
