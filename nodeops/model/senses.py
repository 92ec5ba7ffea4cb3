"""What is asked of a host itself, past the cloud: its power, its address, its shell, its hypervisor.

Every question has a time limit of its own and answers in words instead of raising: that a host is silent is
an answer too. What is not configured answers None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeops.model.facts import Attachment, Host, NetworkAgent, Port, Server

SOURCES: Mapping[str, str] = {
    "nova-compute": "nova-compute",
    "network-agent": "network agent",
    "ping": "ping",
    "ssh": "ssh",
    "libvirt": "libvirt",
    "power": "power",
    "ports": "ports",
    "volumes": "volumes",
    "hook": "site's command",
}
"""`Sign.source` -> its name for people."""


class Power(StrEnum):
    """What a management controller says."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"
    """It did not answer, or not in words that are understood."""


class PowerAction(StrEnum):
    """What {action} of a fence command becomes."""

    STATUS = "status"
    OFF = "off"
    ON = "on"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class PowerReading:
    state: Power
    words: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Whether something answered at a host's address."""

    answered: bool
    words: str
    stranger: bool = False
    """What answered is not this host, by its host key."""


@dataclass(frozen=True, slots=True)
class Guests:
    """What the hypervisor says runs there."""

    running: tuple[str, ...] | None
    """Uuids of domains that run; None when it could not be asked."""
    words: str
    defined: tuple[str, ...] = ()
    """Uuids of every domain, those that are off included."""


class Word(StrEnum):
    """What a site's own command says of a host."""

    ALIVE = "alive"
    DEAD = "dead"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class HookWord:
    word: Word
    words: str


class Senses(Protocol):
    """Hosts by Nova's name; each question may be asked from a thread of its own."""

    def power(self, host: str) -> PowerReading | None:
        """None: no command is configured that asks for it."""
        ...

    def ping(self, host: str) -> Heard: ...

    def ssh(self, host: str) -> Heard:
        """Whether an SSH server answers, and lets us in."""
        ...

    def guests(self, host: str) -> Guests | None:
        """Domains of libvirt, over SSH; None for a host that the inventory does not have."""
        ...

    def hook(self, host: str) -> HookWord | None: ...


class PowerSwitch(Protocol):
    """The writing side: only the action `fence` holds one."""

    def power(self, host: str) -> PowerReading | None: ...

    def switch(self, host: str, action: PowerAction) -> str:
        """Have the host powered off, on, or off and on; what the command said.

        Raises `ConfigurationError` when no command is configured, `ApiError` when it fails; `ambiguous`
        when it may have taken effect.
        """
        ...


@dataclass(frozen=True, slots=True)
class Clues:
    """All that was asked about a host's life, as it was answered; what was not is None."""

    host: str
    at: float
    """By the cloud's clock, in seconds since the epoch."""
    service: Host | None = None
    agents: tuple[NetworkAgent, ...] | None = None
    servers: tuple[Server, ...] | None = None
    ports: tuple[Port, ...] | None = None
    attachments: tuple[Attachment, ...] | None = None
    powers: tuple[PowerReading, ...] | None = None
    """As often as it was asked, some seconds apart; empty: no command is configured."""
    ping: Heard | None = None
    ssh: Heard | None = None
    guests: Guests | None = None
    hook: HookWord | None = None
    silent: Mapping[str, str] = field(default_factory=dict)
    """Source -> why there is no answer: not in time, or the cloud's words."""
