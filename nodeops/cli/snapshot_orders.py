"""What one command of `nodeops snapshot` asks for, and what it works with."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Any, Protocol

from nodeops.cli.site_command import Commands
from nodeops.cli.snapshot_journal import Ledger, Past
from nodeops.engine.clock import Clock
from nodeops.model.facts import Server
from nodeops.model.snapshots import GuestHosts, Promise, SnapshotWorld, Subject
from nodeops.model.tracing import Logs


class Stage(StrEnum):
    """Where one server stands."""

    WAITING = "waiting"
    PAYING = "paying"
    """The command that an earlier run owes goes first."""
    BEFORE = "before"
    ASKED = "asked"
    DISK = "disk"
    UPLOAD = "upload"
    CHECK = "check"
    CLOSING = "closing"
    """It is over but for --after."""
    ENDED = "ended"


class Background(Protocol):
    """Where calls go that may take long."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any) -> "Future[Any]": ...


@dataclass(frozen=True, slots=True)
class Item:
    """One server as it was planned."""

    subject: Subject
    name: str
    promise: Promise
    refusals: tuple[str, ...] = ()
    past: Past | None = None

    @property
    def server(self) -> Server:
        return self.subject.server


@dataclass(frozen=True, slots=True)
class Orders:
    """What is done for every server."""

    before: str = ""
    after: str = ""
    keep: int | None = None
    wait_seconds: float = 1800.0
    """How long a server's other task is waited for."""
    command_seconds: float = 300.0
    disk_seconds: float | None = None
    """None: by the size of its disk."""
    at_once: bool = False
    """Take image_snapshot's end for the end of the disk phase."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the jobs work with."""

    world: SnapshotWorld
    hosts: GuestHosts
    commands: Commands
    background: Background
    ledger: Ledger
    clock: Clock
    say: Callable[[str, str], None]
    """Tells words about a server, by its name."""
    logs: Logs | None = None
    controllers: tuple[str, ...] = ()
    """Hosts of the inventory that are no compute hosts: there is the log of Nova's API."""
    turn: Lock = field(default_factory=Lock)
    """Logs are searched over one connection a host: one question after the other."""


def environment(server: Server, subject: Subject, image_name: str, image_id: str) -> Mapping[str, str]:
    """For --before and --after; the image has no id before it was asked for."""
    return {
        "NODEOPS_SERVER": server.name,
        "NODEOPS_SERVER_ID": server.id,
        "NODEOPS_HOST": server.host or "",
        "NODEOPS_ADDRESS": next(iter(subject.addresses), ""),
        "NODEOPS_ADDRESSES": " ".join(subject.addresses),
        "NODEOPS_IMAGE": image_name,
        "NODEOPS_IMAGE_ID": image_id,
    }
