"""Images of servers before a maintenance: what can be promised, what is seen of one, who is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeops.model.facts import Server
from nodeops.model.following import Sighting

OF_SERVER, UNDER_NAME, OF_RUN = "nodeops_snapshot_of", "nodeops_snapshot_name", "nodeops_run"
"""Properties of the images nodeops makes. A server that boots of one hands them on to its own images."""
AGENT_PROPERTY, QUIESCE_PROPERTY = "hw_qemu_guest_agent", "os_require_quiesce"
AGENT_DEVICE = "org.qemu.guest_agent.0"
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
"""`oslo_utils.strutils`: words that are true."""


class Consistency(StrEnum):
    """How much of what the guest wrote its image holds, best first."""

    QUIESCED = "quiesced"
    """The guest agent freezes the file systems."""
    AT_REST = "at rest"
    """The server is shut off: nothing writes."""
    CRASH = "crash-consistent"
    """As after a power failure."""
    UNKNOWN = "unknown"

    @property
    def consistent(self) -> bool:
        return self in {Consistency.QUIESCED, Consistency.AT_REST}


@dataclass(frozen=True, slots=True)
class AgentReading:
    """What a host says of the guest agent of one of its guests."""

    device: bool
    """The guest has the agent's channel."""
    connected: bool = False
    """Something in the guest has opened it."""
    answers: bool = False
    freezes: bool = False
    """It offers `guest-fsfreeze-freeze`."""
    frozen: bool = False
    """The file systems are frozen already."""
    words: str = ""
    """Why it does not answer."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What can be said of an image beforehand, and by what."""

    consistency: Consistency
    reasons: tuple[str, ...]
    """How each part of it was found out."""
    volume_backed: bool = False
    """The image is of volume snapshots and holds no data itself."""
    left_out: tuple[str, ...] = ()
    """What of the server's data is not in the image."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image as Glance has it."""

    id: str
    name: str
    status: str
    size: int = 0
    """Bytes in Glance; 0 for one of volume snapshots."""
    created: str = ""
    protected: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    volume_snapshots: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Made by nodeops of the very server it is of, and not renamed since.

        The properties alone prove nothing: Nova copies those of the image a server was booted from into
        every image of that server (`nova/compute/utils.py`, `initialize_instance_snapshot_metadata`).
        """
        server = self.properties.get("instance_uuid") or self.properties.get(OF_SERVER)
        made_of = self.properties.get(OF_SERVER)
        return bool(made_of) and made_of == server and self.properties.get(UNDER_NAME) == self.name


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that an image is wanted of."""

    server: Server
    properties: Mapping[str, str]
    """Of the image it was booted from, or of its root volume's."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """A volume snapshot, as Cinder has it."""

    id: str
    status: str
    size_gb: int = 0


class SnapshotView(Protocol):
    """What is asked of the cloud; every method raises `ApiError` when there is no answer."""

    def now(self) -> float: ...

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        """Servers by id or exact name; `UnknownServerError` for a word that means none or several."""
        ...

    def on(self, host: str) -> tuple[Sighting, ...]: ...

    def changed(self, since: float) -> tuple[Sighting, ...]:
        """Every server of the cloud that changed after then, in one list call."""
        ...

    def subject(self, server: Server) -> Subject:
        """With what decides about the guest agent."""
        ...

    def image(self, image_id: str) -> Image | None: ...

    def images_of(self, server_id: str) -> tuple[Image, ...]:
        """Those nodeops says it made of this server, the newest first."""
        ...

    def volume_snapshots(self, snapshot_ids: Sequence[str]) -> tuple[SnapshotState, ...]:
        """Those that exist."""
        ...


class SnapshotWorld(SnapshotView, Protocol):
    """The writing side."""

    def create_image(self, server_id: str, name: str, properties: Mapping[str, str]) -> tuple[str, str]:
        """The image's id and the request's. Of a volume-backed server it answers when Cinder has begun.

        `ambiguous` also for Nova's 500: a volume-backed server that could not be quiesced is one.
        """
        ...

    def delete_image(self, image_id: str) -> None: ...

    def delete_volume_snapshot(self, snapshot_id: str) -> None: ...


class GuestHosts(Protocol):
    """Hosts themselves. None from a host that the inventory does not have; `SshError` when it is silent."""

    def agent(self, host: str, server_id: str) -> AgentReading | None: ...
