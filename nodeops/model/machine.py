"""A host as a machine: its boot, its services, what they are connected to; and work that is run on it.

What is read comes as values; a `MachineView` reads, a `Machine` also changes. The wire is
`nodeops.clients.machine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeops.inventory.variables import ServiceManager


class ServiceState(StrEnum):
    """A service as its manager sees it."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """Ended by itself, or killed since it would not stop."""
    ABSENT = "absent"
    """The manager has no unit or container of this name."""


@dataclass(frozen=True, slots=True)
class Service:
    """One unit or container."""

    name: str
    """As its manager knows it, such as `nova-compute.service` or `nova_compute`."""
    manager: ServiceManager
    state: ServiceState
    masked: bool = False
    """Nothing can start it: a masked unit, or a container that is not restarted."""
    pid: int | None = None
    since: float | None = None
    """When it came into this state, by the host's clock in seconds since the epoch."""
    age: float | None = None
    """Seconds it has been in this state, by the host's clock."""
    stop_seconds: float | None = None
    """How long its manager lets it stop gracefully before it is killed; None: for ever, or not known."""
    result: str = ""
    """Why it failed, in the manager's word: `timeout`, `exit-code`, `signal`."""
    unit: str = ""
    """The systemd unit that keeps a container running, as kolla has one since 2023.1; empty: none."""

    @property
    def running(self) -> bool:
        return self.state is ServiceState.RUNNING

    @property
    def down(self) -> bool:
        return self.state in {ServiceState.STOPPED, ServiceState.FAILED}

    @property
    def words(self) -> str:
        kept = ", masked" if self.masked else ""
        why = f" ({self.result})" if self.result and self.state is ServiceState.FAILED else ""
        return f"{self.name} is {self.state}{why}{kept}"


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of a host."""

    id: str
    """`/proc/sys/kernel/random/boot_id`: no two boots have the same."""
    at: float
    """By the host's clock, in seconds since the epoch."""
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """A file system, where something is kept."""

    path: str
    mounted: bool
    """It is a mount point of its own, or lies below one that is not `/`."""
    source: str = ""
    kind: str = ""
    """ext4, nfs4, ceph …"""
    free_mb: int = 0
    total_mb: int = 0
    free_inodes: int | None = None
    """None where the file system counts none."""
    writable: bool | None = None
    """A file was written and removed as the owner of the path; None when it was not tried."""
    trouble: str = ""
    """Why it cannot be used, in the system's words; `hangs` when it did not answer."""


@dataclass(frozen=True, slots=True)
class Bus:
    """nova-compute and the message bus."""

    wanted: tuple[str, ...] = ()
    """`ADDRESS:PORT` of `transport_url`, without who logs in."""
    connections: int | None = None
    """Established TCP connections of the process to one of them; None when it could not be seen."""
    line: str = ""
    """The newest line of nova-compute's log since it started that tells of the bus."""
    connected: bool | None = None
    """What that line says; None: the log level shows none."""


@dataclass(frozen=True, slots=True)
class Libvirt:
    answers: bool
    version: str = ""
    """Of the library, such as 11.3.0."""
    emulator: str = ""
    """Of QEMU."""
    cpu_model: str = ""
    """As libvirt tells guests of it (`virsh capabilities`)."""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """All that one visit to a host reads."""

    host: str
    boot: Boot
    clock_offset: float
    """How far the host's clock is ahead of this machine's, in seconds; the way there and back is halved."""
    clock_slack: float = 0.0
    """How far that may be wrong."""
    synchronised: bool | None = None
    """What the host's own clock service says; None when there is none to ask."""
    system_state: str = ""
    """`systemctl is-system-running`: running, degraded, starting …; empty without systemd."""
    failed_units: tuple[str, ...] | None = None
    compute: Service | None = None
    """None: no manager has one."""
    services: tuple[Service, ...] = ()
    """Others of a compute host that are there: libvirt's, Neutron's agents."""
    bus: Bus = field(default_factory=Bus)
    libvirt: Libvirt | None = None
    instances: Space | None = None
    root: Space | None = None
    guests: tuple[str, ...] | None = None
    """Uuids of the domains that run; None when libvirt did not tell."""

    @property
    def booted_at(self) -> float:
        """By this machine's clock."""
        return self.boot.at - self.clock_offset


class WorkState(StrEnum):
    """Work that was given to a host."""

    ABSENT = "absent"
    """Nothing of it is on the host: it was never begun there, or its traces are gone."""
    RUNNING = "running"
    ENDED = "ended"
    """`exit_code` says how."""
    LOST = "lost"
    """It began, and neither runs nor left an exit code: it was killed, or the host went down under it."""


@dataclass(frozen=True, slots=True)
class WorkReport:
    state: WorkState
    exit_code: int | None = None
    output: str = ""
    """The last lines it printed, both streams."""
    began: float | None = None
    ended: float | None = None
    """By the host's clock."""
    boot_id: str = ""
    """Of the boot it began in."""
    now_boot_id: str = ""
    log: str = ""
    """Path on the host of all it printed."""


@dataclass(frozen=True, slots=True)
class Work:
    """A command, or a script for the shell; the same `id` is never begun twice on a host."""

    id: str
    argv: tuple[str, ...] = ()
    script: str = field(default="", repr=False)
    """Run with `argv` as its arguments, when it is not empty; by sh, unless it begins with `#!`."""
    again: bool = False
    """Begin it although it was begun before and is over; the traces of the other are kept aside."""


class MachineView(Protocol):
    """Hosts by Nova's name, read only. Every method raises `SshError` when there is no way to the host.

    `ApiError` when the host answers and cannot say.
    """

    def boot(self, host: str) -> Boot: ...

    def compute(self, host: str) -> Service | None:
        """nova-compute's unit or container; None when the host has neither."""
        ...

    def condition(self, host: str) -> Condition: ...

    def logs(self, host: str, *, lines: int = 50, since: float | None = None) -> tuple[str, ...]:
        """Of nova-compute, the newest last; `since` in seconds since the epoch, by the host's clock."""
        ...

    def work(self, host: str, work_id: str) -> WorkReport: ...


class Machine(MachineView, Protocol):
    """The writing side; only actions hold one. `SshError.ambiguous` when it may have taken effect."""

    def stop(self, host: str, service: Service) -> None:
        """Ask for it and return at once."""
        ...

    def start(self, host: str, service: Service) -> None: ...

    def kill(self, host: str, service: Service) -> None:
        """At once, without a graceful stop."""
        ...

    def mask(self, host: str, service: Service) -> None:
        """Keep it from being started, until unmasked or until the next boot; stopped if it runs."""
        ...

    def unmask(self, host: str, service: Service) -> None: ...

    def begin_work(self, host: str, work: Work) -> bool:
        """Have the host run it, detached from the connection; whether it was not begun before."""
        ...

    def reboot(self, host: str) -> None:
        """Ask for an orderly reboot and return at once."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What a host was like before, to be found again afterwards; kept in a plan as JSON."""

    libvirt: str = ""
    cpu_model: str = ""
    instances: str = ""
    """Source and kind of the instances path's file system."""
    failed_units: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    """Resource class -> capacity in Placement."""
