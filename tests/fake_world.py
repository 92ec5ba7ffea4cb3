"""`World` in memory, over `FakeNova`, with faults at the n-th call and other people's interference.

    nova = FakeNova()
    nova.add_host("c01"), nova.add_host("c02")
    nova.add_server("s1", "c01", ram_mb=2048)
    world = FakeWorld(nova)
    world.faults[3] = FaultKind.DROP_AFTER      # the third call takes effect and its answer is lost
    nova.at(5, lambda: nova.delete("s1"))       # somebody deletes it five seconds from now
    nova.clock.sleep(10)                        # time moves only so

`tests/contract` holds it to a real cloud.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from nodeops.errors import ApiError
from nodeops.facts import (
    Aggregate,
    Attachment,
    Explanation,
    Host,
    Identity,
    Migration,
    Port,
    Progress,
    Resource,
    Server,
    ServerGroup,
)
from tests.fake_nova import Behaviour, FakeClock, FakeNova

__all__ = ["Behaviour", "Call", "Crash", "FakeClock", "FakeNova", "FakeWorld", "FaultKind", "small_cloud"]

Answer = TypeVar("Answer")


class Crash(BaseException):
    """The process dies here (kill -9): nothing in nodeops may catch it."""


class FaultKind(StrEnum):
    """What happens to one call."""

    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"
    DROP_BEFORE = "drop-before"
    """The connection is lost on the way there: ambiguous, without effect."""
    DROP_AFTER = "drop-after"
    """The connection is lost on the way back: ambiguous, with effect."""
    UNAVAILABLE = "unavailable"
    """503: certainly without effect."""


@dataclass(frozen=True)
class Call:
    number: int
    name: str
    arguments: tuple[object, ...]
    write: bool
    at: float


@dataclass
class FakeWorld:
    nova: FakeNova = field(default_factory=FakeNova)
    faults: dict[int, FaultKind] = field(default_factory=dict)
    """By the number of the call, reads and writes counted together from 1."""
    down: Callable[[float], bool] = lambda _: False
    """Whether the link is down at that time: every call is then dropped on the way there."""
    before: list[Callable[[str, tuple[object, ...]], None]] = field(default_factory=list)
    """Called with each call's name and arguments before it is answered: interference to the point."""
    latency: float = 0.0
    """Seconds that each call takes."""
    calls: list[Call] = field(default_factory=list)
    group_list: list[ServerGroup] = field(default_factory=list)
    aggregate_list: list[Aggregate] = field(default_factory=list)

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.write]

    def named(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]

    # -- reads

    def identity(self) -> Identity:
        return self._read(
            "identity", (), lambda: Identity("fake", "http://fake", "RegionOne", "admin", "admin", "2.104")
        )

    def hosts(self) -> tuple[Host, ...]:
        return self._read(
            "hosts", (), lambda: tuple(self._counted(host) for host in self.nova.hosts.values())
        )

    def host(self, name: str) -> Host | None:
        return self._read("host", (name,), lambda: self.nova.hosts.get(name))

    def servers_on(self, host: str) -> tuple[Server, ...]:
        return self._read("servers_on", (host,), lambda: self._on(host))

    def server(self, server_id: str) -> Server | None:
        return self._read("server", (server_id,), lambda: self.nova.servers.get(server_id))

    def migrations_from(self, host: str, *, server_id: str | None = None) -> tuple[Migration, ...]:
        return self._read(
            "migrations_from",
            (host, server_id),
            lambda: tuple(
                migration
                for migration in reversed(self.nova.migrations)
                if migration.source == host and server_id in {None, migration.server_id}
            ),
        )

    def migrations_of(self, server_id: str) -> tuple[Migration, ...]:
        return self._read(
            "migrations_of",
            (server_id,),
            lambda: tuple(m for m in reversed(self.nova.migrations) if m.server_id == server_id),
        )

    def progress(self, server_id: str) -> Progress | None:
        return self._read("progress", (server_id,), lambda: self._progress(server_id))

    def explain(self, server_id: str, request_id: str) -> Explanation | None:
        return self._read("explain", (server_id, request_id), lambda: self._explain(server_id, request_id))

    def groups(self) -> tuple[ServerGroup, ...]:
        return self._read("groups", (), lambda: tuple(self.group_list))

    def aggregates(self) -> tuple[Aggregate, ...]:
        return self._read("aggregates", (), lambda: tuple(self.aggregate_list))

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]:
        wanted = set(server_ids)
        return self._read(
            "ports_of", tuple(server_ids), lambda: tuple(p for p in self._ports() if p.server_id in wanted)
        )

    def ports_bound_to(self, host: str) -> tuple[Port, ...]:
        return self._read(
            "ports_bound_to", (host,), lambda: tuple(p for p in self._ports() if p.host == host)
        )

    def attachments_of(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]:
        return self._read("attachments_of", tuple(server_ids), lambda: self._attachments(server_ids))

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        return self._read(
            "allocations_on",
            (provider_id,),
            lambda: {
                server.id: _shape(server)
                for server in self.nova.servers.values()
                if server.host is not None and self.nova.hosts[server.host].provider_id == provider_id
            },
        )

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        return self._read("allocation", (server_id,), lambda: self._allocation(server_id))

    def candidates(
        self,
        resources: Mapping[str, int],
        *,
        required: Sequence[str] = (),  # noqa: ARG002 - the protocol's; no host of the fake has traits
        forbidden: Sequence[str] = (),  # noqa: ARG002 - as above
    ) -> Mapping[str, Mapping[str, Resource]]:
        return self._read("candidates", (dict(resources),), lambda: self._candidates(resources))

    def traits(self, required: Sequence[str]) -> frozenset[str]:
        return self._read(
            "traits",
            tuple(required),
            lambda: frozenset(h.provider_id for h in self.nova.hosts.values() if h.provider_id),
        )

    def image_properties(self, image_id: str) -> Mapping[str, str]:
        return self._read("image_properties", (image_id,), dict)

    # -- writes

    def disable(self, service_id: str, reason: str) -> str:
        return self._write(
            "disable",
            (service_id, reason),
            lambda _: self.nova.set_service(service_id, enabled=False, reason=reason),
        )

    def enable(self, service_id: str) -> str:
        return self._write(
            "enable", (service_id,), lambda _: self.nova.set_service(service_id, enabled=True, reason="")
        )

    def live_migrate(self, server_id: str, target: str | None, *, block: bool | None = None) -> str:
        return self._write(
            "live_migrate",
            (server_id, target, block),
            lambda request_id: self.nova.live_migrate(server_id, target, request_id),
        )

    def cold_migrate(self, server_id: str, target: str | None) -> str:
        return self._write(
            "cold_migrate",
            (server_id, target),
            lambda request_id: self.nova.cold_migrate(server_id, target, request_id),
        )

    def confirm_resize(self, server_id: str) -> str:
        return self._write("confirm_resize", (server_id,), lambda _: self.nova.confirm_resize(server_id))

    def abort_migration(self, server_id: str, migration_id: int) -> str:
        return self._write(
            "abort_migration", (server_id, migration_id), lambda _: self.nova.abort(server_id, migration_id)
        )

    def force_complete_migration(self, server_id: str, migration_id: int) -> str:
        return self._write(
            "force_complete_migration",
            (server_id, migration_id),
            lambda _: self.nova.force_complete(server_id, migration_id),
        )

    def stop(self, server_id: str) -> str:
        return self._task("stop", server_id)

    def start(self, server_id: str) -> str:
        return self._task("start", server_id)

    def pause(self, server_id: str) -> str:
        return self._task("pause", server_id)

    def unpause(self, server_id: str) -> str:
        return self._task("unpause", server_id)

    def suspend(self, server_id: str) -> str:
        return self._task("suspend", server_id)

    def resume(self, server_id: str) -> str:
        return self._task("resume", server_id)

    def rescue(self, server_id: str) -> str:
        return self._task("rescue", server_id)

    def unrescue(self, server_id: str) -> str:
        return self._task("unrescue", server_id)

    def shelve(self, server_id: str) -> str:
        return self._task("shelve", server_id)

    def shelve_offload(self, server_id: str) -> str:
        return self._write("shelve_offload", (server_id,), lambda _: self.nova.shelve_offload(server_id))

    def unshelve(self, server_id: str, target: str | None) -> str:
        return self._write("unshelve", (server_id, target), lambda _: self.nova.unshelve(server_id, target))

    def reset_state(self, server_id: str, state: str) -> str:
        return self._write(
            "reset_state", (server_id, state), lambda _: self.nova.reset_state(server_id, state)
        )

    def delete(self, server_id: str) -> str:
        return self._write("delete", (server_id,), lambda _: self.nova.delete(server_id))

    # -- inside

    def _task(self, operation: str, server_id: str) -> str:
        return self._write(operation, (server_id,), lambda _: self.nova.task(operation, server_id))

    def _read(self, name: str, arguments: tuple[object, ...], answer: Callable[[], Answer]) -> Answer:
        return self._call(name, arguments, lambda _: answer(), write=False)

    def _write(self, name: str, arguments: tuple[object, ...], effect: Callable[[str], None]) -> str:
        def act(request_id: str) -> str:
            effect(request_id)
            return request_id

        return self._call(name, arguments, act, write=True)

    def _call(
        self, name: str, arguments: tuple[object, ...], answer: Callable[[str], Answer], *, write: bool
    ) -> Answer:
        number = len(self.calls) + 1
        self.nova.clock.time += self.latency
        self.calls.append(Call(number, name, arguments, write, self.nova.clock.time))
        self.nova.advance()
        for interfere in self.before:
            interfere(name, arguments)
        fault = self.faults.get(number)
        if self.down(self.nova.clock.time):
            fault = FaultKind.DROP_BEFORE
        _fail(fault, {FaultKind.CRASH_BEFORE, FaultKind.DROP_BEFORE, FaultKind.UNAVAILABLE}, name)
        result = answer(f"req-{number}")
        self.nova.advance()
        _fail(fault, {FaultKind.CRASH_AFTER, FaultKind.DROP_AFTER}, name)
        return result

    def _on(self, host: str) -> tuple[Server, ...]:
        return tuple(server for server in self.nova.servers.values() if server.host == host)

    def _counted(self, host: Host) -> Host:
        return replace(host, servers=len(self._on(host.name)))

    def _progress(self, server_id: str) -> Progress | None:
        for migration in reversed(self.nova.migrations):
            if migration.server_id == server_id and not migration.ended:
                total = self.nova.get(server_id).flavor.ram_mb * 1024 * 1024
                return Progress(migration.id, migration.status, total, total // 2, total - total // 2)
        return None

    def _explain(self, server_id: str, request_id: str) -> Explanation | None:
        fault = self.nova.get(server_id).fault if server_id in self.nova.servers else None
        known = self.nova.explanations.get(request_id)
        return known if fault is None else Explanation(fault.message, request_id)

    def _ports(self, host: str | None = None) -> tuple[Port, ...]:
        return tuple(
            Port(f"port-{server.id}", server.id, server.host, "ACTIVE", "ovs")
            for server in self.nova.servers.values()
            if server.host is not None and host in {None, server.host}
        )

    def _attachments(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]:
        servers = [self.nova.servers[each] for each in server_ids if each in self.nova.servers]
        return tuple(
            Attachment(f"attachment-{volume}-{server.id}", volume, server.id, "attached", server.host)
            for server in servers
            for volume in server.volume_ids
        )

    def _allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        server = self.nova.servers.get(server_id)
        if server is None or server.host is None:
            return {}
        return {f"provider-{server.host}": _shape(server)}

    def _candidates(self, resources: Mapping[str, int]) -> Mapping[str, Mapping[str, Resource]]:
        found: dict[str, Mapping[str, Resource]] = {}
        for name, host in self.nova.hosts.items():
            used = self.nova.used(name)
            figures = {
                key: Resource(capacity, used[key]) for key, capacity in self.nova.capacity[name].items()
            }
            if all(key in figures and figures[key].free >= need for key, need in resources.items()):
                found[host.provider_id or name] = figures
        return found


def _shape(server: Server) -> dict[str, int]:
    flavor = server.flavor
    return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.ram_mb, "DISK_GB": flavor.disk_gb}


def _fail(fault: FaultKind | None, here: set[FaultKind], name: str) -> None:
    if fault is None or fault not in here:
        return
    if fault in {FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER}:
        raise Crash(name)
    if fault is FaultKind.UNAVAILABLE:
        raise ApiError(f"{name}: service unavailable", status=503, request_id="req-503")
    raise ApiError(f"{name}: connection lost", ambiguous=True)


def small_cloud(*, servers: int = 3, hosts: int = 3, ram_mb: int = 1024) -> FakeWorld:
    """Hosts c01, c02, …; servers s01, s02, … on c01."""
    nova = FakeNova()
    for number in range(1, hosts + 1):
        nova.add_host(f"c{number:02}")
    for number in range(1, servers + 1):
        nova.add_server(f"s{number:02}", "c01", ram_mb=ram_mb)
    return FakeWorld(nova)
