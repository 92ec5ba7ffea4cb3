"""A host that booted again: what Nova remembers of its servers, its guests, consoles and log, in memory."""

from dataclasses import dataclass, field, replace

from nodeops.inventory.variables import ServiceManager
from nodeops.model.facts import Explanation, NetworkAgent, PowerState, Resource
from nodeops.model.machine import Boot, Bus, Condition, Libvirt, Service, ServiceState, Space
from nodeops.model.readiness import ReadinessFacts
from nodeops.model.recovering import Asked
from nodeops.model.senses import Heard
from nodeops.model.states import Domain
from nodeops.model.tracing import Found, LogLine, Wanted
from tests.fake_nova import FakeNova
from tests.fake_world import FakeWorld

HOUR = 3600.0
UP = "Linux version 6.1\nlogin: "
PANIC = "Linux version 6.1\nKernel panic - not syncing: VFS: Unable to mount root fs"


@dataclass
class BootedHost:
    """`Past`, `GuestHost` and `Surroundings` of host c01, beside a `FakeWorld`."""

    world: FakeWorld
    booted_at: float = 0.0
    actions: dict[str, list[Asked]] = field(default_factory=dict)
    """By server id, newest first."""
    broken: dict[str, str] = field(default_factory=dict)
    """Server id -> why it cannot be started, in the log's words."""
    only_hard: set[str] = field(default_factory=set)
    """Servers whose start fails, and which a hard reboot mends."""
    gone: set[str] = field(default_factory=set)
    """Servers without a guest until they are rebooted hard, whatever their record says."""
    runs_anyway: set[str] = field(default_factory=set)
    """Servers whose guest runs whatever their record says, once they were started."""
    undefined: set[str] = field(default_factory=set)
    consoles: dict[str, str] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    pings: set[str] = field(default_factory=set)
    lines: list[LogLine] = field(default_factory=list)
    """What is in the log of nova-compute."""
    libvirt: bool = True
    looks: int = 0
    _seen: int = 0

    def __post_init__(self) -> None:
        self.booted_at = self.booted_at or self.nova.clock.time - 60
        self.world.before.append(self._watch)

    @property
    def nova(self) -> FakeNova:
        return self.world.nova

    # -- what happened before

    def stopped(self, server_id: str, *, by: str | None, at: float) -> None:
        """A stop, by a user or by nova-compute itself, so many seconds after the boot."""
        self.nova.change(server_id, vm_state="stopped", power_state=PowerState.SHUTDOWN)
        self.note(server_id, "stop", by=by, at=at)

    def note(self, server_id: str, action: str, *, by: str | None, at: float) -> None:
        found = self.actions.setdefault(server_id, [])
        asked = Asked(action, f"req-old-{server_id}-{len(found)}", self.booted_at + at, by)
        found.insert(0, asked)
        found.sort(key=lambda each: -each.started)

    def power_sync(self) -> None:
        """nova-compute finds every guest off, and stops its server."""
        for server in list(self.nova.servers.values()):
            if server.host == "c01" and server.vm_state == "active":
                self.stopped(server.id, by=None, at=30)

    # -- what nova makes of starts

    def _watch(self, name: str, arguments: tuple[object, ...]) -> None:
        if name not in {"start", "reboot_hard"}:
            return
        server_id = str(arguments[0])
        request_id = f"req-{len(self.world.calls)}"
        self.actions.setdefault(server_id, []).insert(
            0, Asked("start" if name == "start" else "reboot", request_id, self.nova.clock.time, "operator")
        )
        if name == "reboot_hard":
            self.gone.discard(server_id)
        if server_id in self.broken or (name == "start" and server_id in self.only_hard):
            self._will_fail(server_id, name, request_id)

    def _will_fail(self, server_id: str, name: str, request_id: str) -> None:
        words = self.broken.get(server_id, "Domain not found")
        line = LogLine(
            self.nova.clock.time, "c01", "nova-compute", "ERROR", "nova.compute.manager", words,
            request_id=request_id, server_id=server_id,
        )  # fmt: skip
        self.lines.append(line)
        self.nova.explanations[request_id] = Explanation(words, request_id)
        ends = "stopped" if name == "start" else "error"

        def fail() -> None:
            self.nova.change(server_id, vm_state=ends, power_state=PowerState.SHUTDOWN, task_state=None)

        # After the effect that the request has by itself.
        self.nova.at(self.nova.task_seconds, lambda: self.nova.at(0, fail))

    # -- Past

    def asked(self, server_id: str) -> tuple[Asked, ...]:
        return tuple(self.actions.get(server_id, ()))

    def runs(self, server_id: str) -> bool | None:
        server = self.nova.servers[server_id]
        if server_id in self.runs_anyway and server.vm_state == "active":
            return True
        return server.power_state == PowerState.RUNNING and server_id not in self.gone

    def booted(self, provider_id: str) -> float | None:
        return self.booted_at if provider_id == "provider-c01" else None

    def console(self, server_id: str) -> str | None:
        return self.consoles.get(server_id, UP)

    def addresses(self, server_id: str) -> tuple[str, ...]:
        return (f"10.0.0.{server_id.lstrip('s')}",)

    # -- GuestHost

    def domains(self) -> tuple[Domain, ...]:
        self.looks += 1
        return tuple(
            Domain(
                server.id,
                f"instance-{server.id}",
                PowerState.RUNNING if self.runs(server.id) else PowerState.SHUTDOWN,
            )
            for server in self.nova.servers.values()
            if server.host == "c01" and server.id not in self.undefined
        )

    def agent(self, server_id: str) -> Heard:
        answers = server_id in self.agents
        return Heard(answers, "its guest agent answers" if answers else "no guest agent")

    # -- Logs

    def hosts(self) -> tuple[str, ...]:
        return ("c01",)

    def search(self, host: str, wanted: Wanted) -> Found:
        mine = [line for line in self.lines if line.request_id in wanted.ids]
        return Found(host, tuple(mine))

    # -- Surroundings

    def ping(self, address: str) -> Heard:
        return Heard(address in self.pings, "")


def off_with_the_host(world: FakeWorld) -> BootedHost:
    """c01 booted a minute ago, and nova-compute has stopped what it found off."""
    host = BootedHost(world)
    host.power_sync()
    return host


def ready_host(host: BootedHost) -> ReadinessFacts:
    """All that the readiness gate asks for, as it is on a host where all is well."""
    service = host.nova.hosts["c01"]
    compute = Service("nova-compute.service", ServiceManager.SYSTEMD, ServiceState.RUNNING)
    condition = Condition(
        host="c01",
        boot=Boot("boot-2", host.booted_at),
        clock_offset=0.0,
        system_state="running",
        failed_units=(),
        compute=compute,
        bus=Bus(("bus:5672",), connections=4),
        libvirt=Libvirt(answers=True, version="11.3.0", cpu_model="EPYC"),
        instances=_space("/var/lib/nova/instances", "nfs4"),
        root=_space("/", "ext4"),
    )
    return ReadinessFacts(
        host="c01",
        at=host.nova.clock.now(),
        condition=condition if host.libvirt else None,
        service=replace(service, last_seen=host.nova.stamp()),
        agents=(NetworkAgent("a1", "Open vSwitch agent", "neutron-openvswitch-agent", "c01", alive=True),),
        resources={"VCPU": Resource(64, 3)},
        unseen=() if host.libvirt else (("host", "c01: no way to it"),),
    )


def _space(path: str, kind: str) -> Space:
    return Space(path, mounted=True, source="there", kind=kind, free_mb=9000, total_mb=9999, writable=True)
