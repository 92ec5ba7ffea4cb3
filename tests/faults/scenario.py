"""A host with a server of each kind of move, and how it looks when it was drained."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import event

from nodeops.model.facts import Server
from nodeops.plan import Plan, Step
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import Crash, FakeNova, FakeWorld, FaultKind
from tests.unit.engine.plans import cold, disable, drain, live, suspended
from tests.unit.engine.runs import Run, any_other_target

DRAINED = {
    "run1": ("c02", "ACTIVE"),
    "run2": ("c03", "ACTIVE"),
    "off1": ("c02", "SHUTOFF"),
    "susp": ("c03", "SUSPENDED"),
}
ONCE = [
    ("cold_migrate", "off1"),
    ("confirm_resize", "off1"),
    ("disable", "service-c01"),
    ("live_migrate", "run1"),
    ("live_migrate", "run2"),
    ("live_migrate", "susp"),
    ("resume", "susp"),
    ("suspend", "susp"),
]
"""Every request that a drain takes, each of which may take effect once only."""


def full_host() -> FakeNova:
    nova = FakeNova()
    for name in ("c01", "c02", "c03"):
        nova.add_host(name)
    nova.add_server("run1", "c01")
    nova.add_server("run2", "c01", ram_mb=2048)
    nova.add_server("off1", "c01", vm_state="stopped")
    nova.add_server("susp", "c01", vm_state="suspended")
    return nova


def planned(nova: FakeNova) -> Plan:
    """What a runbook would plan for the world as it is now; it knows nothing of earlier parts of the run."""
    steps: list[Step] = [disable()]
    for server in nova.servers.values():
        if server.host == "c01":
            steps.extend(_steps_for(server))
    return drain(*steps)


def _steps_for(server: Server) -> tuple[Step, ...]:
    target = DRAINED.get(server.id, ("c02", ""))[0]
    if server.vm_state == "stopped":
        return cold(server.id, target)
    if server.vm_state == "suspended":
        return suspended(server.id, target)
    return (live(server.id, target),) if server.vm_state == "active" else ()


def state_of(nova: FakeNova) -> dict[str, tuple[str | None, str]]:
    return {server.id: (server.host, server.status) for server in nova.servers.values()}


@dataclass
class Trial:
    """One drain, with a fault in it, gone on with until it comes to its end."""

    directory: Path
    nova: FakeNova = field(default_factory=full_host)
    crashes: int = 0
    calls: int = 0
    last: Run | None = None

    def drain(
        self,
        *,
        call: int | None = None,
        kind: FaultKind = FaultKind.CRASH_BEFORE,
        commit: int | None = None,
        pause: float = 5.0,
    ) -> bool:
        """Whether the fault came at all; later parts of the run have none."""
        world = FakeWorld(self.nova)
        if call is not None:
            world.faults[call] = kind
        fired = self._part(world, commit)
        while fired is Crash:
            self.nova.clock.sleep(pause)
            fired = self._part(FakeWorld(self.nova), None)
        if commit is not None:
            return self.crashes > 0
        return call is not None and call <= self.calls

    def _part(self, world: FakeWorld, commit: int | None) -> type[Crash] | None:
        run = Run(world, self.directory, MoveOptions(canary=False))
        run.retarget = any_other_target("c02", "c03")
        self.last = run
        if commit is not None:
            _crash_at_commit(run, commit)
        try:
            run.go(planned(self.nova))
        except Crash:
            self.crashes += 1
            return Crash
        finally:
            self.calls = self.calls or len(world.calls)
            run.journal.close()
        return None


def _crash_at_commit(run: Run, number: int) -> None:
    """The process dies before the n-th write to the journal is on the disk."""
    seen = 0

    def commit(_connection: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Crash("commit")

    event.listen(run.journal.engine, "commit", commit)
