"""A dead host whose servers are rewritten to another one, killed anywhere, gone on with or taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nodeops.actions.action import Action
from nodeops.actions.attachments import RestoreAttachments
from nodeops.actions.registry import ACTIONS
from nodeops.actions.rewrite_bindings import RestoreBindings
from nodeops.actions.rewrite_records import RestoreRecords
from nodeops.actions.save_images import SaveImages
from nodeops.engine.journal import RunInfo
from nodeops.errors import ApiError
from nodeops.gather.rewrite import gather_rewrite, gather_rewrite_evidence, gather_undo
from nodeops.model import undo_file
from nodeops.model.facts import HostSettings, Inquest, Life, Storage
from nodeops.model.rewriting import RewriteFacts
from nodeops.outcome import ServerResult
from nodeops.plan import Finding, Plan, Step, StepId
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.rewrite import plan_rewrite
from nodeops.runbooks.rewrite_scene import RewriteOptions
from nodeops.runbooks.rewrite_verify import judge_rewrite, wrong_on
from nodeops.runbooks.undo import UndoOptions, plan_undo
from tests.fake_databases import FakeRecords
from tests.fake_world import Crash, FakeNova, FakeWorld, FaultKind
from tests.unit.engine.runs import Run

OPTIONS = RewriteOptions(
    MoveOptions(
        allow=frozenset({"use-evacuate", "memory-lost"}),
        to=("c02",),
        parallel=4,
        inbound=4,
        canary=False,
        leave_refused=True,
    )
)
STATES = {"runs": "active", "off": "stopped", "err": "error", "susp": "suspended", "shelf": "shelved"}
AFTERWARDS = {
    "runs": "ACTIVE",
    "off": "SHUTOFF",
    "err": "ACTIVE",
    "susp": "ACTIVE",
    "shelf": "SHELVED",
    "vols": "ACTIVE",
}
STILL = ("off", "shelf")
"""Those that are not started on the target."""
DEAD = Inquest("c01", Life.DEAD, "power is off", ())
SHARED = {name: HostSettings(Storage.SHARED) for name in ("c01", "c02")}


SHORT = ("off", "vols")
"""Enough for a loop over every call: one that stays off, and one with everything there is to rewrite."""


def dead_host(*only: str) -> FakeNova:
    """With these servers, or all of them; `vols` is always there."""
    nova = FakeNova()
    for name in ("c01", "c02", "c03"):
        nova.add_host(name)
    for name, vm_state in STATES.items():
        if not only or name in only:
            nova.add_server(name, "c01", vm_state=vm_state)
    nova.add_server("vols", "c01", image_id=None, volume_ids=("v1", "v2"))
    nova.cinder.driver = "iscsi"
    nova.hosts["c01"] = replace(nova.hosts["c01"], up=False)
    return nova


def actions_in(directory: Path) -> Mapping[str, Action]:
    undo = directory / "undo"
    ours: tuple[Action, ...] = (
        SaveImages(directory=undo),
        RestoreRecords(directory=undo),
        RestoreBindings(directory=undo),
        RestoreAttachments(directory=undo),
    )
    return {**ACTIONS, **{each.name: each for each in ours}}


def picture(nova: FakeNova) -> dict[str, Any]:
    """Everything a rewrite touches, for each server, as it is now."""
    world = FakeWorld(nova, databases=FakeRecords(nova))
    ports = {port.server_id: (port.host, port.vif_type) for port in nova.neutron.ports()}
    found: dict[str, Any] = {}
    for server in nova.servers.values():
        record = FakeRecords(nova).server_records([server.id], "c01")[server.id]
        attachments = sorted(each.id for each in world.attachments_of([server.id]))
        named = sorted(each.attachment_id or "" for each in record.volumes)
        found[server.id] = (
            (server.host, server.node, server.status, server.task_state, int(server.power_state)),
            ports[server.id],
            nova.placement.of(server.id),
            attachments == named and len(named) == len(set(named)),
        )
    return found


@dataclass
class Trial:
    """One operator with one journal, who says the same thing again until it has come to its end."""

    directory: Path
    nova: FakeNova = field(default_factory=dead_host)
    options: RewriteOptions = OPTIONS
    crashes: int = 0
    calls: int = 0
    plan: Plan | None = None
    servers: tuple[ServerResult, ...] = ()
    findings: tuple[Finding, ...] = ()

    def rewrite(
        self,
        call: int | None = None,
        kind: FaultKind = FaultKind.CRASH_BEFORE,
        *,
        pause: float = 20.0,
        once: bool = False,
    ) -> bool:
        """Whether the fault came at all; `once`: it is not gone on with."""
        world = self.world(call, kind)
        while self.part(world, undo=False):
            self.calls = self.calls or len(world.calls)
            self.crashes += 1
            if once:
                break
            self.nova.clock.sleep(pause)
            world = self.world()
        self.calls = self.calls or len(world.calls)
        return call is not None and call <= self.calls

    def undo(
        self, call: int | None = None, kind: FaultKind = FaultKind.CRASH_BEFORE, *, pause: float = 20.0
    ) -> bool:
        """Whether the fault came at all."""
        self.calls = 0
        self.nova.clock.sleep(pause)
        world = self.world(call, kind)
        while self.part(world, undo=True):
            self.calls = self.calls or len(world.calls)
            self.crashes += 1
            self.nova.clock.sleep(pause)
            world = self.world()
        self.calls = self.calls or len(world.calls)
        return call is not None and call <= self.calls

    def world(self, call: int | None = None, kind: FaultKind = FaultKind.CRASH_BEFORE) -> FakeWorld:
        world = FakeWorld(self.nova, databases=FakeRecords(self.nova))
        if call is not None:
            world.faults[call] = kind
        return world

    def facts(self, world: FakeWorld, run: Run) -> RewriteFacts:
        before = run.journal.unfinished(cloud_key(world.identity()), "c01")
        before = before if before and before.runbook == "failover-database" else None
        earlier, sent = _steps(run, before)
        also = [server.id for server in before.plan.servers] if before else ()
        return gather_rewrite(world, "c01", "c02", DEAD, SHARED, earlier=earlier, sent=sent, also=also)

    def wrong(self) -> list[str]:
        """What of any server is neither as it was nor as it shall be."""
        world = self.world()
        assert self.plan is not None
        evidence = gather_rewrite_evidence(world, self.plan, "c02")
        return [
            f"{server.id} {words}"
            for server in self.nova.servers.values()
            if server.task_state is None
            for words in wrong_on(evidence, server, str(server.host), {})
        ]

    def part(self, world: FakeWorld, *, undo: bool = False) -> bool:
        """Whether it has to be said again: the process died, or the cloud did not answer."""
        run = Run(world, self.directory, self.options.move, actions=actions_in(self.directory))
        try:
            run.forget_dead_owners()
            plan = self._undo_plan(world, run) if undo else self._rewrite_plan(world, run)
            if plan is None:
                return True
            self.plan = plan
            execution = run.go(plan)
            record = run.record
            assert record is not None
            whole = record.whole_plan()
            evidence = gather_rewrite_evidence(world, whole, "c02")
            if evidence.unseen:
                return True
            self.servers, self.findings = judge_rewrite(whole, execution.step_results, evidence)
        except (Crash, ApiError):
            return True
        finally:
            run.journal.close()
        return False

    def _rewrite_plan(self, world: FakeWorld, run: Run) -> Plan | None:
        facts = self.facts(world, run)
        return None if facts.unseen else plan_rewrite(facts, self.options)

    def _undo_plan(self, world: FakeWorld, run: Run) -> Plan | None:
        made = next(each for each in run.journal.runs() if each.runbook == "failover-database")
        mine = run.journal.unfinished(cloud_key(world.identity()), "c01")
        mine = mine if mine and mine.runbook == "undo" else None
        steps, sent = _steps(run, made)
        earlier, undone = _steps(run, mine)
        known = {server.id for server in made.plan.servers}
        others = [each for each in run.journal.servers(made.id) if each.id not in known]
        path = undo_file.path_of(made.id, self.directory / "undo")
        facts = gather_undo(
            world,
            replace(made.plan, servers=(*made.plan.servers, *others)),
            made.id,
            (str(path), undo_file.read(path)),
            steps=steps,
            sent=sent,
            earlier=earlier,
            undone=undone,
        )
        if facts.unseen:
            return None
        move = MoveOptions(canary=False, max_failures=None, leave_refused=True)
        return plan_undo(facts, UndoOptions(made.id, move))


def _steps(run: Run, info: RunInfo | None) -> tuple[dict[StepId, Step], set[StepId]]:
    rows = run.journal.steps(info.id) if info else ()
    return {row.step.id: row.step for row in rows}, {row.step.id for row in rows if row.attempt}
