"""A small honest simulation of what Nova does with servers, on a clock that only moves when told.

It keeps Nova's order of things where the engine relies on it: the task state is set before the answer to a
request (`nova/compute/api.py`), refusals by the scheduler come later (`nova/conductor/manager.py`), a
server's row moves before its migration is `completed` (`nova/compute/manager.py`, `_post_live_migration`),
and a host runs only so many live migrations at once, the rest being `queued`.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from nodeops.model.facts import Explanation, Fault, Flavor, Host, Migration, PowerState, Server
from tests.fake_cinder import FakeCinder
from tests.fake_clock import FakeClock
from tests.fake_neutron import FakeNeutron
from tests.fake_placement import FakePlacement
from tests.fake_refusal import refuse
from tests.fake_tasks import SETTLED_POWER, TASKS, status_of


class Behaviour(StrEnum):
    """What becomes of a server's next live migration."""

    NORMAL = "normal"
    FAIL = "fail"
    """Rolled back at the end of the copy."""
    NEVER = "never"
    """Never converges; abort and force-complete work."""
    SPLIT = "split"
    """The migration says completed and the row stays on the source, migrating."""
    ERROR_HERE = "error-here"
    """Unexpected failure: ERROR on the source."""
    ERROR_THERE = "error-there"
    """It runs on the target and is in ERROR."""


@dataclass
class FakeNova:
    clock: FakeClock = field(default_factory=FakeClock)
    hosts: dict[str, Host] = field(default_factory=dict)
    capacity: dict[str, dict[str, int]] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    migrations: list[Migration] = field(default_factory=list)
    """Oldest first."""
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    """By server id, for its live migrations; a missing one is normal."""
    refusals: set[tuple[str, str]] = field(default_factory=set)
    """(host, server id): that host is refused at the time; server id `*` for every server."""
    explanations: dict[str, Explanation] = field(default_factory=dict)
    """By request id."""
    max_concurrent: int = 1
    """Live migrations one source runs at once (`max_concurrent_live_migrations`)."""
    schedule_seconds: float = 0.2
    task_seconds: float = 1.0
    copy_seconds: Callable[[Server], float] = lambda server: 1.0 + server.flavor.ram_mb / 1024
    arrived: list[tuple[str, str]] = field(default_factory=list)
    """Every write that took effect: (operation, subject id)."""
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    queue: dict[str, deque[int]] = field(default_factory=dict)
    running: dict[str, set[int]] = field(default_factory=dict)
    peak_running: int = 0
    peak_inbound: dict[str, int] = field(default_factory=dict)
    guests: dict[str, set[str]] = field(default_factory=dict)
    """Guests that run on a host although Nova counts them elsewhere, by server id."""
    _sequence: int = 0

    def __post_init__(self) -> None:
        self.clock.on_sleep = self.advance
        self.placement = FakePlacement(self)
        self.neutron = FakeNeutron(self)
        self.cinder = FakeCinder(self)

    # -- making a world

    def add_host(self, name: str, *, vcpus: int = 64, ram_mb: int = 262_144, disk_gb: int = 4000) -> Host:
        host = Host(
            name=name, service_id=f"service-{name}", node=f"{name}.example", provider_id=f"provider-{name}",
            hypervisor_type="fake",
        )  # fmt: skip
        self.hosts[name] = host
        self.capacity[name] = {"VCPU": vcpus, "MEMORY_MB": ram_mb, "DISK_GB": disk_gb}
        return host

    def add_server(
        self, server_id: str, host: str, *, ram_mb: int = 1024, vm_state: str = "active", **changes: object
    ) -> Server:
        server = Server(
            id=server_id,
            name=f"name-of-{server_id}",
            host=host,
            node=self.hosts[host].node,
            status=status_of(vm_state, None),
            vm_state=vm_state,
            task_state=None,
            power_state=SETTLED_POWER.get(vm_state, PowerState.SHUTDOWN),
            flavor=Flavor(name=f"m{ram_mb}", vcpus=1, ram_mb=ram_mb, disk_gb=10),
            image_id="image-1",
            zone="nova",
        )
        self.servers[server_id] = replace(server, **changes)  # type: ignore[arg-type]  # a test's own fields
        return self.servers[server_id]

    # -- time

    def at(self, seconds: float, happen: Callable[[], None]) -> None:
        """Something that happens that many seconds from now, whoever does it."""
        self._sequence += 1
        heapq.heappush(self.events, (self.clock.time + seconds, self._sequence, happen))

    def advance(self) -> None:
        """Let happen what is due by now, each at its own time."""
        now = self.clock.time
        while self.events and self.events[0][0] <= now:
            due, _, happen = heapq.heappop(self.events)
            self.clock.time = due
            happen()
        self.clock.time = now

    # -- state

    def get(self, server_id: str) -> Server:
        server = self.servers.get(server_id)
        if server is None:
            raise refuse(404, f"Instance {server_id} could not be found.")
        return server

    def change(self, server_id: str, **changes: object) -> None:
        """Set fields of a server, as Nova's database; a server that is gone is left alone."""
        server = self.servers.get(server_id)
        if server is None:
            return
        changed = replace(server, **changes)  # type: ignore[arg-type]  # the fields of Server
        status = status_of(changed.vm_state, changed.task_state)
        node = None if changed.host is None else self.hosts[changed.host].node
        self.servers[server_id] = replace(changed, status=status, node=node)
        if changed.host != server.host:
            self.placement.moved(server, changed)
            self.neutron.moved(changed)
            self.cinder.moved(changed)

    def delete(self, server_id: str) -> None:
        self.servers.pop(server_id, None)

    def migration(self, migration_id: int) -> Migration:
        return self.migrations[migration_id - 1]

    def set_migration(self, migration_id: int, **changes: object) -> None:
        changed = replace(self.migration(migration_id), updated=self.stamp(), **changes)  # type: ignore[arg-type]  # its fields
        self.migrations[migration_id - 1] = changed

    def stamp(self) -> str:
        return datetime.fromtimestamp(self.clock.time, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def used(self, host: str) -> dict[str, int]:
        flavors = [server.flavor for server in self.servers.values() if server.host == host]
        return {
            "VCPU": sum(flavor.vcpus for flavor in flavors),
            "MEMORY_MB": sum(flavor.ram_mb for flavor in flavors),
            "DISK_GB": sum(flavor.disk_gb for flavor in flavors),
        }

    # -- operations; each raises ApiError as the API would

    def task(self, operation: str, server_id: str) -> None:
        """stop, start, pause, … in `TASKS`."""
        task = TASKS[operation]
        server = self._expect(server_id, task.allowed, operation)
        self.change(server_id, task_state=task.task_state)
        self.arrived.append((operation, server_id))
        vm_state = task.vm_state
        if operation == "shelve" and server.boots_from_volume:
            vm_state = "shelved_offloaded"
        host = None if vm_state == "shelved_offloaded" else server.host
        self.at(
            self.task_seconds,
            lambda: self.change(
                server_id, task_state=None, vm_state=vm_state, power_state=task.power, host=host
            ),
        )

    def shelve_offload(self, server_id: str) -> None:
        self._expect(server_id, frozenset({"shelved"}), "shelveOffload")
        self.change(server_id, task_state="shelving_offloading")
        self.arrived.append(("shelve_offload", server_id))
        self.at(
            self.task_seconds,
            lambda: self.change(server_id, task_state=None, vm_state="shelved_offloaded", host=None),
        )

    def unshelve(self, server_id: str, target: str | None) -> None:
        server = self._expect(server_id, frozenset({"shelved", "shelved_offloaded"}), "unshelve")
        self._known(target)
        self.change(server_id, task_state="unshelving")
        self.arrived.append(("unshelve", server_id))

        def done() -> None:
            host = server.host or self.pick(server, target, "")
            if host is None:
                self.change(server_id, task_state=None)
                return
            self.change(
                server_id, task_state=None, vm_state="active", power_state=PowerState.RUNNING, host=host
            )

        self.at(self.task_seconds, done)

    def reset_state(self, server_id: str, state: str) -> None:
        self.get(server_id)
        self.change(server_id, vm_state=state, task_state=None, fault=None)
        self.arrived.append(("reset_state", server_id))

    def lock(self, server_id: str, reason: str = "") -> None:
        """With a reason; without one the lock is taken off."""
        self.get(server_id)
        self.change(server_id, locked=bool(reason), locked_reason=reason)
        self.arrived.append(("lock" if reason else "unlock", server_id))

    def live_migrate(self, server_id: str, target: str | None, request_id: str) -> None:
        """`nova/compute/api.py`, `live_migrate`; asynchronous checks (compute API 2.34)."""
        self._expect(server_id, frozenset({"active", "paused"}), "os-migrateLive")
        self._known(target)
        self.change(server_id, task_state="migrating")
        self.arrived.append(("live_migrate", server_id))
        migration_id = self.new_migration(server_id, "live-migration", "accepted", target)
        self.at(self.schedule_seconds, lambda: self._schedule(migration_id, target, request_id))

    def abort(self, server_id: str, migration_id: int) -> None:
        migration = self._in_progress(server_id, migration_id, {"running", "queued", "preparing"})
        self.arrived.append(("abort_migration", server_id))
        self._leave_line(migration)
        self.change(server_id, task_state=None)
        self.set_migration(migration_id, status="cancelled")
        self._start_next(migration.source)

    def force_complete(self, server_id: str, migration_id: int) -> None:
        self._in_progress(server_id, migration_id, {"running"})
        self.arrived.append(("force_complete_migration", server_id))
        self.at(0.2, lambda: self._arrive(migration_id))

    def cold_migrate(self, server_id: str, target: str | None, request_id: str) -> None:
        server = self._expect(server_id, frozenset({"active", "stopped"}), "migrate")
        self._known(target)
        self.change(server_id, task_state="resize_prep")
        self.arrived.append(("cold_migrate", server_id))
        migration_id = self.new_migration(server_id, "migration", "migrating", target)

        def placed() -> None:
            host = self.pick(server, target, server.host or "")
            if host is None:
                self._no_valid_host(migration_id, request_id, "conductor_migrate_server")
                return
            self.set_migration(migration_id, target=host)
            self.at(self.copy_seconds(server), lambda: moved(host))

        def moved(host: str) -> None:
            self.change(server_id, task_state=None, vm_state="resized", host=host)
            self.set_migration(migration_id, status="finished")

        self.at(self.schedule_seconds, placed)

    def confirm_resize(self, server_id: str) -> None:
        """No task state shows that a confirmation is under way (`nova/compute/api.py`, `confirm_resize`)."""
        server = self._expect(server_id, frozenset({"resized"}), "confirmResize")
        finished = [m for m in self.migrations if m.server_id == server_id and m.status == "finished"]
        if not finished:
            raise refuse(400, "Instance has not been resized.")
        self.arrived.append(("confirm_resize", server_id))
        migration_id = finished[-1].id
        self.set_migration(migration_id, status="confirming")
        off = server.power_state == PowerState.SHUTDOWN

        def confirmed() -> None:
            self.change(server_id, vm_state="stopped" if off else "active", task_state=None)
            self.set_migration(migration_id, status="confirmed")

        self.at(self.task_seconds, confirmed)

    def set_service(self, service_id: str, *, enabled: bool, reason: str) -> None:
        for host in self.hosts.values():
            if host.service_id == service_id:
                self.hosts[host.name] = replace(host, enabled=enabled, disabled_reason=reason)
                self.arrived.append(("enable" if enabled else "disable", service_id))
                return
        raise refuse(404, f"Compute service {service_id} could not be found.")

    # -- inside

    def _expect(self, server_id: str, allowed: frozenset[str], operation: str) -> Server:
        """`check_instance_state` of `nova/compute/api.py`."""
        server = self.get(server_id)
        for attribute, wrong in (
            ("vm_state", server.vm_state not in allowed),
            ("task_state", server.task_state is not None),
        ):
            if wrong:
                state = getattr(server, attribute)
                raise refuse(
                    409, f"Cannot '{operation}' instance {server_id} while it is in {attribute} {state}"
                )
        return server

    def _known(self, target: str | None) -> None:
        if target is not None and target not in self.hosts:
            raise refuse(400, f"Compute host {target} could not be found.")

    def new_migration(self, server_id: str, kind: str, status: str, target: str | None) -> int:
        number = len(self.migrations) + 1
        source = self.get(server_id).host or ""
        stamp = self.stamp()
        self.migrations.append(
            Migration(number, f"migration-{number}", server_id, kind, status, source, target, stamp, stamp)
        )
        return number

    def _in_progress(self, server_id: str, migration_id: int, allowed: set[str]) -> Migration:
        self.get(server_id)
        migration = self.migration(migration_id)
        if migration.status not in allowed:
            raise refuse(
                400, f"Migration {migration_id} of instance {server_id} is in status {migration.status}"
            )
        return migration

    def pick(self, server: Server, target: str | None, source: str) -> str | None:
        """The scheduler's answer, None when there is no valid host."""
        wanted = (
            [target]
            if target is not None
            else sorted(self.hosts, key=lambda name: self.used(name)["MEMORY_MB"])
        )
        for name in wanted:
            refused = {(name, server.id), (name, "*")} & self.refusals
            room = self.capacity[name]["MEMORY_MB"] - self.used(name)["MEMORY_MB"]
            if name != source and self.hosts[name].serves and not refused and room >= server.flavor.ram_mb:
                return name
        return None

    def _no_valid_host(self, migration_id: int, request_id: str, event: str) -> None:
        """`nova/conductor/manager.py`: the vm_state stays, the task state goes, the migration is in error."""
        server_id = self.migration(migration_id).server_id
        self.change(server_id, task_state=None)
        self.set_migration(migration_id, status="error")
        self.explanations[request_id] = Explanation(
            "No valid host was found. There are not enough hosts available.", request_id, event, "conductor"
        )

    def _schedule(self, migration_id: int, target: str | None, request_id: str) -> None:
        migration = self.migration(migration_id)
        server = self.servers.get(migration.server_id)
        if server is None:
            self.set_migration(migration_id, status="error")
            return
        host = self.pick(server, target, migration.source)
        if host is None:
            self._no_valid_host(migration_id, request_id, "conductor_live_migrate_instance")
            return
        self.set_migration(migration_id, status="queued", target=host)
        self.explanations[request_id] = Explanation(
            "Live Migration failure: the copy failed", request_id, "compute_live_migration", migration.source
        )
        self.queue.setdefault(migration.source, deque()).append(migration_id)
        self._start_next(migration.source)

    def _start_next(self, source: str) -> None:
        running = self.running.setdefault(source, set())
        waiting = self.queue.setdefault(source, deque())
        while waiting and len(running) < self.max_concurrent:
            migration_id = waiting.popleft()
            running.add(migration_id)
            self.set_migration(migration_id, status="running")
            server = self.servers.get(self.migration(migration_id).server_id)
            self._count_peaks(running, self.migration(migration_id).target or "")
            if server is None or self.behaviour.get(server.id) is not Behaviour.NEVER:
                seconds = 0.1 if server is None else self.copy_seconds(server)
                self.at(seconds, lambda number=migration_id: self._finish(number))  # type: ignore[misc]  # bound now

    def _count_peaks(self, running: set[int], target: str) -> None:
        self.peak_running = max(self.peak_running, len(running))
        inbound = sum(
            self.migration(number).target == target for each in self.running.values() for number in each
        )
        self.peak_inbound[target] = max(self.peak_inbound.get(target, 0), inbound)

    def _leave_line(self, migration: Migration) -> None:
        self.running.get(migration.source, set()).discard(migration.id)
        if migration.id in self.queue.get(migration.source, ()):
            self.queue[migration.source].remove(migration.id)

    def _finish(self, migration_id: int) -> None:
        migration = self.migration(migration_id)
        if migration.status != "running":
            return
        server_id = migration.server_id
        behaviour = self.behaviour.get(server_id, Behaviour.NORMAL)
        if server_id not in self.servers or behaviour is Behaviour.ERROR_HERE:
            self.change(
                server_id, vm_state="error", task_state=None, fault=Fault("Migration error: unexpected", 500)
            )
            self._end(migration_id, "error")
        elif behaviour is Behaviour.FAIL:
            self.change(server_id, task_state=None)
            self._end(migration_id, "failed")
        elif behaviour is Behaviour.SPLIT:
            self._end(migration_id, "completed")
        else:
            self._arrive(migration_id)

    def _arrive(self, migration_id: int) -> None:
        migration = self.migration(migration_id)
        if migration.status != "running":
            return
        there = self.behaviour.get(migration.server_id) is Behaviour.ERROR_THERE
        changes: dict[str, object] = {"vm_state": "error", "fault": Fault("post failed")} if there else {}
        self.change(migration.server_id, host=migration.target, task_state=None, **changes)
        self.at(0.3, lambda: self._end(migration_id, "error" if there else "completed"))

    def _end(self, migration_id: int, status: str) -> None:
        migration = self.migration(migration_id)
        self.set_migration(migration_id, status=status)
        self._leave_line(migration)
        self._start_next(migration.source)
