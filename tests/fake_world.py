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
from typing import Any, TypeVar, cast

from nodeops.clients.no_records import NoRecords
from nodeops.model.facts import (
    Aggregate,
    Allocation,
    AttachedVolume,
    Attachment,
    Explanation,
    Host,
    Identity,
    Migration,
    NetworkAgent,
    Port,
    PortBinding,
    Progress,
    Resource,
    Server,
    ServerGroup,
    Volume,
)
from nodeops.model.records import Records
from tests import fake_evacuation
from tests.fake_clock import FakeClock
from tests.fake_faults import Call, Crash, FaultKind, fail
from tests.fake_nova import Behaviour, FakeNova

__all__ = ["Behaviour", "Call", "Crash", "FakeClock", "FakeNova", "FakeWorld", "FaultKind", "small_cloud"]

Answer = TypeVar("Answer")


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
    databases: Records | None = None
    """Such as `FakeRecords(nova)`; without them every question about records is refused."""

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
            "hosts", (), lambda: tuple(self._counted(_shown(host)) for host in self.nova.hosts.values())
        )

    def host(self, name: str) -> Host | None:
        return self._read(
            "host", (name,), lambda: _shown(self.nova.hosts[name]) if name in self.nova.hosts else None
        )

    def servers_on(self, host: str) -> tuple[Server, ...]:
        return self._read("servers_on", (host,), lambda: self._on(host))

    def server(self, server_id: str) -> Server | None:
        return self._read("server", (server_id,), lambda: self.nova.servers.get(server_id))

    def servers(self) -> tuple[Server, ...]:
        return self._read("servers", (), lambda: tuple(self.nova.servers.values()))

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

    def evacuations_from(self, host: str) -> tuple[Migration, ...]:
        return self._read(
            "evacuations_from",
            (host,),
            lambda: tuple(
                m for m in reversed(self.nova.migrations) if (m.source, m.type) == (host, "evacuation")
            ),
        )

    def unfinished_migrations(self) -> tuple[Migration, ...]:
        return self._read(
            "unfinished_migrations",
            (),
            lambda: tuple(
                m
                for m in reversed(self.nova.migrations)
                if not m.ended or (m.type, m.status) == ("evacuation", "done")
            ),
        )

    def progress(self, server_id: str) -> Progress | None:
        return self._read("progress", (server_id,), lambda: self._progress(server_id))

    def explain(self, server_id: str, request_id: str) -> Explanation | None:
        return self._read("explain", (server_id, request_id), lambda: self._explain(server_id, request_id))

    def groups(self) -> tuple[ServerGroup, ...]:
        return self._read("groups", (), lambda: tuple(self.group_list))

    def aggregates(self) -> tuple[Aggregate, ...]:
        return self._read("aggregates", (), lambda: tuple(self.aggregate_list))

    def ports(self) -> tuple[Port, ...]:
        return self._read("ports", (), self.nova.neutron.ports)

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]:
        wanted = set(server_ids)
        return self._read(
            "ports_of",
            tuple(server_ids),
            lambda: tuple(p for p in self.nova.neutron.ports() if p.server_id in wanted),
        )

    def ports_bound_to(self, host: str) -> tuple[Port, ...]:
        return self._read("ports_bound_to", (host,), lambda: self.nova.neutron.bound_to(host))

    def agents_on(self, host: str) -> tuple[NetworkAgent, ...]:
        return self._read("agents_on", (host,), lambda: self.nova.neutron.agents_on(host))

    def attachments(self) -> tuple[Attachment, ...]:
        return self._read("attachments", (), self.nova.cinder.attachments)

    def attachments_of(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]:
        return self._read(
            "attachments_of",
            tuple(server_ids),
            lambda: tuple(a for a in self.nova.cinder.attachments() if a.server_id in server_ids),
        )

    def volumes(self) -> tuple[Volume, ...]:
        return self._read("volumes", (), self.nova.cinder.volumes)

    def volume(self, volume_id: str) -> Volume | None:
        return self._read("volume", (volume_id,), lambda: self.nova.cinder.volume(volume_id))

    def volumes_of(self, server_id: str) -> tuple[AttachedVolume, ...]:
        return self._read("volumes_of", (server_id,), lambda: self.nova.cinder.volumes_of(server_id))

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        return self._read("allocations_on", (provider_id,), lambda: self.nova.placement.on(provider_id))

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        return self._read("allocation", (server_id,), lambda: self.nova.placement.of(server_id))

    def holding(self, server_id: str) -> Allocation:
        return self._read("holding", (server_id,), lambda: self.nova.placement.holding(server_id))

    def tree(self, provider_id: str) -> frozenset[str]:
        return self._read("tree", (provider_id,), lambda: frozenset({provider_id}))

    def resources_of(self, provider_id: str) -> Mapping[str, Resource]:
        return self._read("resources_of", (provider_id,), lambda: self._resources(provider_id))

    def _resources(self, provider_id: str) -> dict[str, Resource]:
        host = next(each.name for each in self.nova.hosts.values() if each.provider_id == provider_id)
        used = self.nova.used(host)
        return {name: Resource(most, used.get(name, 0)) for name, most in self.nova.capacity[host].items()}

    @property
    def records(self) -> Records:
        """Its calls count with all others."""
        if self.databases is None:
            return NoRecords()
        return cast("Records", _Counted(self.databases, self._call))

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

    def lock(self, server_id: str, reason: str) -> str:
        return self._write("lock", (server_id, reason), lambda _: self.nova.lock(server_id, reason))

    def unlock(self, server_id: str) -> str:
        return self._write("unlock", (server_id,), lambda _: self.nova.lock(server_id))

    def delete(self, server_id: str) -> str:
        return self._write("delete", (server_id,), lambda _: self.nova.delete(server_id))

    def force_down(self, service_id: str, *, forced: bool) -> str:
        return self._write(
            "force_down",
            (service_id, forced),
            lambda _: fake_evacuation.force_down(self.nova, service_id, forced=forced),
        )

    def evacuate(self, server_id: str, target: str | None) -> str:
        return self._write(
            "evacuate",
            (server_id, target),
            lambda request_id: fake_evacuation.evacuate(self.nova, server_id, target, request_id),
        )

    def reboot_hard(self, server_id: str) -> str:
        return self._write(
            "reboot_hard", (server_id,), lambda _: fake_evacuation.reboot_hard(self.nova, server_id)
        )

    def attach_volume(
        self,
        server_id: str,
        volume_id: str,
        device: str | None,
        *,
        tag: str = "",
        delete_on_termination: bool = False,
    ) -> str:
        return self._write(
            "attach_volume",
            (server_id, volume_id, device, tag, delete_on_termination),
            lambda _: self.nova.cinder.attach(server_id, volume_id, device),
        )

    def detach_volume(self, server_id: str, volume_id: str) -> str:
        return self._write(
            "detach_volume", (server_id, volume_id), lambda _: self.nova.cinder.detach(server_id, volume_id)
        )

    def set_allocation(self, allocation: Allocation) -> str:
        return self._write(
            "set_allocation", (allocation,), lambda _: self.nova.placement.replace_all(allocation)
        )

    def bind_port(self, port_id: str, host: str, device_owner: str | None = None) -> PortBinding:
        return self._call(
            "bind_port",
            (port_id, host, device_owner),
            lambda _: self.nova.neutron.bind(port_id, host, device_owner),
            write=True,
        )

    def delete_binding(self, port_id: str, host: str) -> str:
        return self._write(
            "delete_binding", (port_id, host), lambda _: self.nova.neutron.delete_binding(port_id, host)
        )

    def create_attachment(
        self, volume_id: str, server_id: str, connector: Mapping[str, Any] | None, device: str
    ) -> tuple[str, Mapping[str, Any]]:
        return self._call(
            "create_attachment",
            (volume_id, server_id),
            lambda _: self.nova.cinder.create(volume_id, server_id, connector, device),
            write=True,
        )

    def connect_attachment(self, attachment_id: str, connector: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._call(
            "connect_attachment",
            (attachment_id,),
            lambda _: self.nova.cinder.connect(attachment_id, connector),
            write=True,
        )

    def complete_attachment(self, attachment_id: str) -> str:
        return self._write(
            "complete_attachment", (attachment_id,), lambda _: self.nova.cinder.complete(attachment_id)
        )

    def delete_attachment(self, attachment_id: str) -> str:
        return self._write(
            "delete_attachment", (attachment_id,), lambda _: self.nova.cinder.delete(attachment_id)
        )

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
        fail(fault, {FaultKind.CRASH_BEFORE, FaultKind.DROP_BEFORE, FaultKind.UNAVAILABLE}, name)
        result = answer(f"req-{number}")
        self.nova.advance()
        fail(fault, {FaultKind.CRASH_AFTER, FaultKind.DROP_AFTER}, name)
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


def _shown(host: Host) -> Host:
    """One that is forced down is down, whatever runs there (`nova/servicegroup/api.py`)."""
    return replace(host, up=host.up and not host.forced_down)


@dataclass
class _Counted:
    records: Records
    call: Callable[..., Any]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        asked = getattr(self.records, name)
        write = name.startswith(("rewrite_", "restore_"))
        return lambda *args, **kw: self.call(name, args, lambda _: asked(*args, **kw), write=write)


def small_cloud(*, servers: int = 3, hosts: int = 3, ram_mb: int = 1024) -> FakeWorld:
    """Hosts c01, c02, …; servers s01, s02, … on c01."""
    nova = FakeNova()
    for number in range(1, hosts + 1):
        nova.add_host(f"c{number:02}")
    for number in range(1, servers + 1):
        nova.add_server(f"s{number:02}", "c01", ram_mb=ram_mb)
    return FakeWorld(nova)
