"""`Machine` in memory: hosts with one service, boots and work, over the clock and services of `FakeNova`.

The protocol's own rules are kept: work of one name begins once, a boot has an id of its own, a masked
service cannot be started, and what runs at a boot is what was not masked for longer than it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from nodeops.errors import ApiError, SshError, SshReason
from nodeops.inventory.variables import ServiceManager
from nodeops.model.machine import (
    Boot,
    Bus,
    Condition,
    Libvirt,
    Service,
    ServiceState,
    Space,
    Work,
    WorkReport,
    WorkState,
)
from tests.fake_faults import Call, FaultKind, fail
from tests.fake_nova import FakeNova

Answer = TypeVar("Answer")
SPACE = Space(
    path="/var/lib/nova/instances",
    mounted=True,
    source="nfs:/instances",
    kind="nfs4",
    free_mb=90_000,
    total_mb=100_000,
    free_inodes=1_000_000,
    writable=True,
)
ROOT = Space("/", mounted=False, source="/dev/sda1", kind="ext4", free_mb=40_000, total_mb=50_000)
LIBVIRT = Libvirt(answers=True, version="11.3.0", emulator="10.0.2", cpu_model="EPYC")


@dataclass
class FakeWork:
    """What the host was given, and what becomes of it."""

    work: Work
    began: float
    boot: int
    seconds: float
    code: int | None


@dataclass
class FakeHost:
    state: ServiceState = ServiceState.RUNNING
    since: float = 0.0
    masked: bool = False
    boots: int = 1
    booted: float = 0.0
    down_until: float = 0.0
    """It cannot be reached before then."""
    stop_at: float = 0.0
    libvirt: Libvirt = LIBVIRT
    connections: int = 4
    instances: Space = SPACE
    failed_units: tuple[str, ...] = ()
    begun: dict[str, FakeWork] = field(default_factory=dict)
    starts: bool = True
    """Whether nova-compute stays up once it is started."""


@dataclass
class FakeMachine:
    nova: FakeNova
    hosts: dict[str, FakeHost] = field(default_factory=dict)
    faults: dict[int, FaultKind] = field(default_factory=dict)
    """By the number of the call, from 1."""
    calls: list[Call] = field(default_factory=list)
    errors: dict[str, SshError] = field(default_factory=dict)
    """Host -> what every call of it raises."""
    work_seconds: float = 30.0
    work_codes: list[int] = field(default_factory=list)
    """Exit codes of work, one after the other; 0 when there are none left."""
    ran: list[tuple[str, ...]] = field(default_factory=list)
    """Every command that was begun."""
    stop_seconds: float = 5.0
    boot_seconds: float = 60.0
    breaks: Callable[[FakeHost], None] = lambda _host: None
    """What each boot does to the host."""

    def host(self, name: str) -> FakeHost:
        return self.hosts.setdefault(name, FakeHost())

    @property
    def now(self) -> float:
        return self.nova.clock.now()

    # -- reading

    def boot(self, host: str) -> Boot:
        return self._call("boot", host, lambda: self._boot(host))

    def compute(self, host: str) -> Service | None:
        return self._call("compute", host, lambda: self._service(host))

    def condition(self, host: str) -> Condition:
        return self._call("condition", host, lambda: self._condition(host))

    def logs(self, host: str, *, lines: int = 50, since: float | None = None) -> tuple[str, ...]:
        said = tuple(f"line {number} of {host} since {since}" for number in range(1, 4))
        return self._call("logs", host, lambda: said[-lines:])

    def work(self, host: str, work_id: str) -> WorkReport:
        return self._call("work", host, lambda: self._report(host, work_id))

    # -- changing

    def stop(self, host: str, service: Service) -> None:  # noqa: ARG002 - there is one
        self._call("stop", host, lambda: self._stop(host), write=True)

    def start(self, host: str, service: Service) -> None:
        def start() -> None:
            if self.host(host).masked:
                raise ApiError(f"{host}: {service.name} could not be started: it is masked", status=400)
            self._set(host, ServiceState.RUNNING if self.host(host).starts else ServiceState.FAILED)

        self._call("start", host, start, write=True)

    def kill(self, host: str, service: Service) -> None:  # noqa: ARG002 - there is one
        self._call("kill", host, lambda: self._set(host, ServiceState.FAILED), write=True)

    def mask(self, host: str, service: Service) -> None:  # noqa: ARG002 - there is one
        self._call("mask", host, lambda: setattr(self.host(host), "masked", True), write=True)

    def unmask(self, host: str, service: Service) -> None:  # noqa: ARG002 - there is one
        self._call("unmask", host, lambda: setattr(self.host(host), "masked", False), write=True)

    def begin_work(self, host: str, work: Work) -> bool:
        return self._call("begin_work", host, lambda: self._begin(host, work), write=True)

    def reboot(self, host: str) -> None:
        self._call("reboot", host, lambda: self.goes_down(host), write=True)

    # -- what happens there

    def goes_down(self, name: str) -> None:
        """A boot, whoever asked for it."""
        host = self.host(name)
        host.boots += 1
        host.down_until = host.booted = self.now + self.boot_seconds
        host.masked, host.stop_at = False, 0.0
        self.breaks(host)
        self._set(name, ServiceState.RUNNING if host.starts else ServiceState.FAILED)
        host.since = host.booted

    def _set(self, name: str, state: ServiceState) -> None:
        host = self.host(name)
        host.state, host.since, host.stop_at = state, self.now, 0.0
        self._follow(name)

    def _follow(self, name: str) -> None:
        """Nova hears of it, and stamps a heartbeat while it runs."""
        host, service = self.host(name), self.nova.hosts[name]
        if host.stop_at and self.now >= host.stop_at:
            host.state, host.since, host.stop_at = ServiceState.STOPPED, host.stop_at, 0.0
        up = host.state is ServiceState.RUNNING and self.now >= host.down_until
        seen = self.nova.stamp() if up else service.last_seen
        self.nova.hosts[name] = replace(service, up=up, last_seen=seen)

    def _stop(self, name: str) -> None:
        host = self.host(name)
        if host.state is ServiceState.RUNNING:
            host.state, host.since, host.stop_at = (
                ServiceState.STOPPING,
                self.now,
                self.now + self.stop_seconds,
            )

    def _boot(self, name: str) -> Boot:
        host = self.host(name)
        return Boot(f"boot-{host.boots}-of-{name}", host.booted, "6.12")

    def _service(self, name: str) -> Service:
        self._follow(name)
        host = self.host(name)
        return Service(
            name="nova-compute",
            manager=ServiceManager.SYSTEMD,
            state=host.state,
            masked=host.masked,
            pid=100,
            since=host.since,
            age=self.now - host.since,
            stop_seconds=65.0,
            unit="nova-compute",
        )

    def _condition(self, name: str) -> Condition:
        host, service = self.host(name), self._service(name)
        return Condition(
            host=name,
            boot=self._boot(name),
            clock_offset=0.0,
            system_state="running",
            failed_units=host.failed_units,
            compute=service,
            bus=Bus(("192.0.2.1:5672",), host.connections if service.running else None),
            libvirt=host.libvirt,
            instances=host.instances,
            root=ROOT,
            guests=(),
        )

    def _begin(self, name: str, work: Work) -> bool:
        host = self.host(name)
        if work.id in host.begun and not work.again:
            return False
        self.ran.append(work.argv)
        code = self.work_codes.pop(0) if self.work_codes else 0
        host.begun[work.id] = FakeWork(work, self.now, host.boots, self.work_seconds, code)
        return True

    def _report(self, name: str, work_id: str) -> WorkReport:
        host, boot = self.host(name), self._boot(name).id
        begun = host.begun.get(work_id)
        if begun is None:
            return WorkReport(WorkState.ABSENT, now_boot_id=boot, log="/srv/out")
        state, code = WorkState.RUNNING, None
        if self.now >= begun.began + begun.seconds and host.boots == begun.boot:
            state, code = WorkState.ENDED, begun.code
        elif host.boots != begun.boot:
            over = begun.began + begun.seconds <= host.booted - self.boot_seconds
            state, code = (WorkState.ENDED, begun.code) if over else (WorkState.LOST, None)
        return WorkReport(
            state, code, "last words\n", begun.began, None, f"boot-{begun.boot}-of-{name}", boot, "/srv/out"
        )

    def _call(self, name: str, host: str, question: Callable[[], Answer], *, write: bool = False) -> Answer:
        number = len(self.calls) + 1
        self.calls.append(Call(number, name, (host,), write, self.now))
        if host in self.errors:
            raise self.errors[host]
        if self.now < self.host(host).down_until:
            raise SshError(f"{host} ({host}): no route", reason=SshReason.UNREACHABLE)
        fault = self.faults.get(number)
        fail(fault, {FaultKind.CRASH_BEFORE}, name)
        if fault is FaultKind.DROP_BEFORE:
            raise _lost(host, name)
        answer = question()
        fail(fault, {FaultKind.CRASH_AFTER}, name)
        if fault is FaultKind.DROP_AFTER:
            raise _lost(host, name)
        return answer


def _lost(host: str, name: str) -> SshError:
    return SshError(f"{host}: the connection broke during {name}", reason=SshReason.LOST, ambiguous=True)
