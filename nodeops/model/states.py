"""What is known of servers' states: Nova's records, what is behind their tasks, the hypervisors' own view."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from nodeops.model.facts import Host, Migration, Server


@dataclass(frozen=True, slots=True)
class Deed:
    """The newest action that was asked of a server (`os-instance-actions`)."""

    action: str
    request_id: str
    started: float
    """Seconds since the epoch."""
    open_on: str | None = None
    """Host of an event that began and has no end; empty when Nova does not tell it, None without one."""
    open_event: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Domain:
    """A guest as the hypervisor has it."""

    server_id: str
    """Its UUID, which is the server's."""
    name: str
    power_state: int
    """As `nodeops.model.facts.PowerState`; SHUTDOWN for one that is defined and off."""
    reason: str = ""
    """The hypervisor's, such as `I/O error`."""


class Hypervisors(Protocol):
    """The hosts themselves. Raises a `NodeopsError` when a host cannot be asked."""

    def domains(self, host: str) -> tuple[Domain, ...] | None:
        """Every guest there, running or not; None when nobody is configured to look at this host."""
        ...


class StateRecords(Protocol):
    """What the comparison asks of Nova: three calls for a whole host; `ApiError` when there is no answer."""

    def now(self) -> float: ...

    def hosts(self) -> tuple[Host, ...]:
        """Every compute service, without figures, in one call."""
        ...

    def servers(self, host: str | None) -> tuple[Server, ...]: ...

    def migrations(self, host: str | None) -> tuple[Migration, ...]:
        """Those that changed within a day, out of the host or into it."""
        ...

    def deed(self, server_id: str) -> Deed | None:
        """Two calls; only for tasks that are old."""
        ...

    def imaged(self) -> frozenset[str]:
        """Servers of which an image is being made; one call, only for old tasks of that kind."""
        ...

    def server(self, server_id: str) -> Server | None: ...


@dataclass(frozen=True, slots=True)
class StatesFacts:
    """All that the states of servers are judged by."""

    now: float
    """The cloud's time."""
    host: str | None
    """None: the whole cloud."""
    hosts: Mapping[str, Host]
    servers: tuple[Server, ...]
    migrations: tuple[Migration, ...] = ()
    """Not ended."""
    deeds: Mapping[str, Deed | None] = field(default_factory=dict)
    """By server id, for tasks that are old; None: nothing was ever asked of it."""
    imaged: frozenset[str] | None = frozenset()
    """Servers of which Glance has an image that is not complete; None: it could not be asked.

    Nova makes images beside its events, which end at once (`nova/compute/manager.py`, `snapshot_instance`).
    """
    domains: Mapping[str, tuple[Domain, ...]] = field(default_factory=dict)
    """By host, for those that were looked at."""
    strangers: Mapping[str, Server | None] = field(default_factory=dict)
    """What Nova says of guests that it does not count on the host they are on; None: it knows none."""
    cloud: str = ""
    unseen: tuple[str, ...] = ()


def moment(text: str) -> float:
    """Seconds since the epoch of one of Nova's times, which are UTC with `Z` or without; 0 for none."""
    if not text:
        return 0.0
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def updated(server: Server) -> float:
    """When Nova last wrote anything about it: a task is no younger than that says."""
    return moment(server.updated or server.created)


def makes_image(server: Server) -> bool:
    """Whether its task is one of those of an image."""
    return (server.task_state or "").startswith("image_")


def old_tasks(servers: Iterable[Server], before: float) -> list[Server]:
    """Servers in a task about which nothing was written since then, the oldest first."""
    waiting = [server for server in servers if server.task_state is not None and updated(server) <= before]
    return sorted(waiting, key=updated)
