"""What is known of a host that has booted again: what was asked of its servers, what runs, what answers.

The protocols are the reading sides of Nova and of the host that a recovery needs beyond `View`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeops.model.facts import Host, Server
from nodeops.model.readiness import Check
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.senses import Heard
from nodeops.model.states import Domain

NO_CONSOLE = "its console shows nothing"
"""Many images have none on the serial port: that says nothing, neither good nor bad."""


class Probe(StrEnum):
    """How a guest that was started shows that it lives."""

    PING = "ping"
    """One of its addresses answers, from where nodeops runs."""
    AGENT = "agent"
    """QEMU's guest agent in it answers, over SSH to its host."""
    CONSOLE = "console"
    """Its console shows that it boots, and no panic."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Asked:
    """One action of a server, as Nova wrote it down (`os-instance-actions`)."""

    action: str
    request_id: str
    started: float
    """Seconds since the epoch."""
    user_id: str | None = None
    """Who asked for it; None: nobody, nova-compute did it by itself.

    Periodic tasks act with a context that has no user (`nova/compute/manager.py`, `_sync_power_states`).
    """
    failed: bool = False


ON = frozenset(
    {
        "create",
        "start",
        "reboot",
        "resume",
        "unpause",
        "unrescue",
        "unshelve",
        "rebuild",
        "evacuate",
        "restore",
    }
)
"""Actions after which a server is meant to run (`nova/compute/instance_actions.py`)."""
OFF = frozenset({"stop", "pause", "suspend", "rescue", "shelve", "shelveOffload", "delete"})


def switching(asked: Iterable[Asked]) -> tuple[Asked, ...]:
    """Those that turn a server on or off, in their order."""
    return tuple(each for each in asked if each.action in ON | OFF)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the journal says of a server as a maintenance of its host began."""

    run_id: str
    at: float
    vm_state: str


class Past(Protocol):
    """Nova, for what `View` does not tell. Raises `ApiError` when there is no answer."""

    def asked(self, server_id: str) -> tuple[Asked, ...]:
        """What was asked of it, newest first."""
        ...

    def runs(self, server_id: str) -> bool | None:
        """Whether its guest runs, by its hypervisor and not by the record; None when that is not told."""
        ...

    def booted(self, provider_id: str) -> float | None:
        """When the host booted, to the minute, as its hypervisor tells Nova; None when it does not."""
        ...

    def console(self, server_id: str) -> str | None:
        """The end of its console; None when it has none."""
        ...

    def addresses(self, server_id: str) -> tuple[str, ...]:
        """Floating ones first."""
        ...


class GuestHost(Protocol):
    """The host itself, over SSH. Raises `SshError`, and `ApiError` for a program that does not answer."""

    def domains(self) -> tuple[Domain, ...]: ...

    def agent(self, server_id: str) -> Heard:
        """Whether the guest agent answers."""
        ...


class Surroundings(Protocol):
    """Where nodeops runs."""

    def ping(self, address: str) -> Heard: ...


class GuestSight(Protocol):
    """What the steps of a recovery look at. Raises `ApiError` when there is no answer."""

    def runs(self, server_id: str, *, fresh: bool = False) -> bool | None:
        """Whether its guest runs, by its hypervisor; a few seconds old unless `fresh`; None: not told."""
        ...

    def newest(self, server_id: str) -> Asked | None:
        """The newest action that turns it on or off."""
        ...

    def life(self, server_id: str, probe: Probe) -> "Life":
        """Whether the guest shows that it lives."""
        ...


class Sign(StrEnum):
    """What a probe sees."""

    LIVES = "lives"
    SILENT = "silent"
    """Nothing yet; it may come."""
    DEAD = "dead"
    """It will not come: a panic, a disk that does not boot."""
    STIRS = "stirs"
    """It boots; nothing says that it is through, and nothing that it is not."""


@dataclass(frozen=True, slots=True)
class Life:
    sign: Sign
    words: str


@dataclass(frozen=True, slots=True)
class RecoverFacts:
    """All that a recovery is planned from."""

    cloud: str
    now: float
    """The cloud's time."""
    host: Host
    servers: tuple[Server, ...]
    """Those that Nova has on the host."""
    checks: tuple[Check, ...] = ()
    """What the readiness gate says of it."""
    booted: float | None = None
    """When it booted; None when nobody can tell."""
    runs: Mapping[str, bool] = field(default_factory=dict)
    """Server id -> whether its guest runs, by the hypervisor; a missing one is not known."""
    domains: tuple[Domain, ...] | None = None
    """As libvirt has them; None when it could not be asked."""
    asked: Mapping[str, Sequence[Asked]] = field(default_factory=dict)
    """By server id, newest first, those that turn it on or off; a missing one could not be asked."""
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    """By server id."""
    promised: Mapping[str, float] = field(default_factory=dict)
    """Servers that an unfinished recovery of this host was to bring back, and when it began."""
    volumes: ReattachFacts | None = None
    """None: Cinder was not asked, or could not be."""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What nova-compute's log says of a server that did not come up."""

    request_id: str
    """Empty: nobody asked for it, and its lines were found by the server's id."""
    lines: tuple[str, ...]
    """In their order; those of errors begin with their level."""


@dataclass(frozen=True, slots=True)
class RecoverEvidence:
    """What is seen after a recovery."""

    servers: Mapping[str, Server | None]
    """Every server of the plan, fresh; None when it does not exist any more."""
    runs: Mapping[str, bool]
    """By the hypervisor; a missing one is not known."""
    traces: Mapping[str, Trace] = field(default_factory=dict)
    """Of those that do not run."""
    volumes: ReattachFacts | None = None
    unseen: tuple[str, ...] = ()
