"""One request's traces: where services log, what is looked for there, and what was found.

Times are seconds since the epoch by this machine's clock, the host's own skew taken out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeops.model.facts import Migration


class SourceKind(StrEnum):
    """What keeps a log."""

    FILE = "file"
    JOURNAL = "journal"
    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class LogSource:
    kind: SourceKind
    where: str
    """A path, with * for several files; a unit; a container."""

    def __str__(self) -> str:
        return self.where if self.kind is SourceKind.FILE else f"{self.kind}:{self.where}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What belongs to a story."""

    ids: tuple[str, ...]
    """Request ids: a line that has one belongs to it, whenever it was written."""
    subjects: tuple[str, ...] = ()
    """Ids of servers: a line that names one belongs to it, if it was written within the time."""
    since: float | None = None
    """Nothing older is read."""
    until: float | None = None
    seconds: float = 120.0
    """How long a host may take."""


@dataclass(frozen=True, slots=True)
class LogLine:
    at: float
    host: str
    service: str
    level: str
    module: str
    """The logger's name, such as nova.compute.manager."""
    words: str
    pid: str = ""
    request_id: str = ""
    global_id: str = ""
    """Of the request that caused this one in another service."""
    server_id: str = ""
    bare: bool = False
    """Without the brackets of a request, as lines of a traceback are."""
    more: tuple[str, ...] = ()
    """What follows of the same message: a traceback, or further lines."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log that was looked into, in whole or in the part of the time."""

    name: str
    size: int = 0
    begins: float | None = None
    """Its first line; None when that has no time."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one host's logs have."""

    host: str
    lines: tuple[LogLine, ...] = ()
    files: tuple[LogFile, ...] = ()
    missing: tuple[str, ...] = ()
    """Sources of the inventory that are not there."""
    skew: float = 0.0
    """Seconds its clock is ahead of this machine's."""
    cut: bool = False
    """There was more than was kept."""
    error: str = ""
    """Why nothing could be read."""

    @property
    def begins(self) -> float | None:
        """The oldest line that is still there."""
        known = [each.begins for each in self.files if each.begins is not None]
        return min(known, default=None)


class Logs(Protocol):
    """Hosts by Nova's name; each may be asked from a thread of its own."""

    def hosts(self) -> tuple[str, ...]:
        """Every host whose logs can be asked for."""
        ...

    def search(self, host: str, wanted: Wanted) -> Found:
        """Never raises: a host that cannot be asked has its error in words."""
        ...


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """A step of a request, as Nova keeps it (`os-instance-actions`)."""

    name: str
    host: str
    started: float
    ended: float | None
    result: str
    words: str = ""
    """Of one that failed."""

    @property
    def failed(self) -> bool:
        return self.result not in {"", "Success"}


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request as Nova's API keeps it."""

    id: str
    server_id: str
    action: str
    started: float
    updated: float
    server_name: str = ""
    message: str = ""
    """`Error` when it failed."""
    events: tuple[RequestEvent, ...] = ()
    migrations: tuple[Migration, ...] = ()
    """Of the server, begun while the request ran."""
    fault: str = ""
    """The server's, if it is as old as the request."""

    @property
    def failed(self) -> bool:
        ended_badly = any(each.status in {"error", "failed", "cancelled"} for each in self.migrations)
        told = self.message or self.fault or any(event.failed for event in self.events)
        return bool(told or ended_badly)

    @property
    def ended(self) -> float | None:
        """The end of its last event; None while one runs."""
        ends = [event.ended for event in self.events]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def hosts(self) -> frozenset[str]:
        """Those it went over."""
        moved = {host for each in self.migrations for host in (each.source, each.target) if host}
        return frozenset({event.host for event in self.events if event.host} | moved)


@dataclass(frozen=True, slots=True)
class Person:
    """A server, as far as a trace needs it."""

    id: str
    name: str
    host: str


class RequestRecords(Protocol):
    """What Nova's API knows of requests, by this machine's clock. Raises `ApiError` and its kin."""

    def computes(self) -> frozenset[str]:
        """Hosts with a nova-compute."""
        ...

    def server(self, word: str) -> Person:
        """By name or id, deleted ones by id; raises `UnknownServerError`."""
        ...

    def newest(self, server_id: str, number: int) -> tuple[RequestRecord, ...]:
        """The last requests of a server, newest first, without events."""
        ...

    def request(self, server_id: str, request_id: str) -> RequestRecord | None:
        """With its events and migrations; None when Nova keeps none."""
        ...


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """All that was asked about some requests."""

    subject: str
    """As it was named: a request, a server with its name, a run."""
    wanted: Wanted
    requests: tuple[RequestRecord, ...] = ()
    found: tuple[Found, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be asked, in words."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Server id -> name."""
    followed: Sequence[str] = ()
    """Request ids of other services that these caused, or that caused these."""

    @property
    def logs_asked(self) -> bool:
        return any(not each.error for each in self.found)
