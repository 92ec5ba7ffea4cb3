"""The real runbook through faults: gathered, planned, run, killed at every call, planned again, verified.

A host with a server in every state that a drain can be allowed to touch. Whatever happens, each request takes
effect once, every server ends as the first plan said, and the check afterwards finds nothing wrong.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from nodeops.cli.perform import judge_settled
from nodeops.gather import gather_drain, gather_evidence
from nodeops.model.facts import DrainFacts, Flavor, HostSettings, ServerGroup, Storage
from nodeops.plan import Risk, Verdict
from nodeops.runbooks.drain import plan_drain, replace_target
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.verify import judge
from tests.fake_world import Crash, FakeNova, FakeWorld, FaultKind
from tests.faults.said_again import Operator, check_at_every_call
from tests.unit.engine.runs import Run

OPTIONS = MoveOptions(risk=Risk.FORCE, canary=False)
STATES = {
    "runs": "active",
    "off": "stopped",
    "paused": "paused",
    "suspended": "suspended",
    "rescued": "rescued",
    "error": "error",
    "shelved": "shelved",
    "together-1": "active",
    "together-2": "stopped",
    "device": "active",
}
AFTERWARDS = {
    "runs": "ACTIVE",
    "off": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "error": "ACTIVE",
    "shelved": "SHELVED_OFFLOADED",
    "together-1": "ACTIVE",
    "together-2": "SHUTOFF",
    "device": "ACTIVE",
}


def full_host() -> FakeNova:
    nova = FakeNova()
    for name in ("c01", "c02", "c03"):
        nova.add_host(name)
    for name, vm_state in STATES.items():
        nova.add_server(name, "c01", vm_state=vm_state)
    device = nova.servers["device"]
    passed = replace(device.flavor, extra_specs={"pci_passthrough:alias": "nic:1"})
    nova.servers["device"] = replace(device, flavor=passed)
    assert isinstance(passed, Flavor)
    return nova


def a_group(nova: FakeNova) -> list[ServerGroup]:
    members = ("together-1", "together-2")
    return [ServerGroup("group", "group", "affinity", members)]


@dataclass
class Trial(Operator):
    """One drain."""

    afterwards = AFTERWARDS
    nova: FakeNova = field(default_factory=full_host)

    def world(self) -> FakeWorld:
        return FakeWorld(self.nova, group_list=a_group(self.nova))

    def part(self, world: FakeWorld) -> bool:
        """Whether the process died."""
        run = Run(world, self.directory, OPTIONS)
        try:
            run.forget_dead_owners()
            facts = self._facts(world, run)
            plan = plan_drain(facts, OPTIONS)
            self.first = self.first or plan
            assert not plan.refused, [(each.name, each.refusals) for each in plan.refused]
            run.retarget = lambda step, refused: replace_target(facts, plan, step, refused)
            run.go(plan)
            self._verify(world, run)
        except Crash:
            return True
        finally:
            self.calls = self.calls or len(world.calls)
            run.journal.close()
        return False

    def _facts(self, world: FakeWorld, run: Run) -> DrainFacts:
        before = run.journal.unfinished(cloud_key(world.identity()), "c01")
        also = [server.id for server in before.plan.servers] if before else ()
        shared = {"c01": HostSettings(Storage.SHARED)}
        facts = gather_drain(world, "c01", shared, also=also)
        sent = [row.step.id for row in run.journal.steps(before.id) if row.attempt] if before else ()
        return replace(facts, begun=frozenset(sent))

    def _verify(self, world: FakeWorld, run: Run) -> None:
        assert run.record is not None
        whole, results = run.record.whole_plan(), run.record.step_results()
        self.servers, self.findings = judge_settled(
            lambda: judge(whole, results, gather_evidence(world, whole, results)), world.nova.clock
        )


def trial_in(tmp_path: Path, number: int) -> Trial:
    directory = tmp_path / str(number)
    directory.mkdir()
    return Trial(directory)


def test_without_a_fault(tmp_path: Path) -> None:
    trial = trial_in(tmp_path, 0)
    assert not trial.go()
    trial.check("no fault")
    assert {each.verdict for each in trial.servers} == {Verdict.MOVED}
    together = {trial.nova.servers[name].host for name in ("together-1", "together-2")}
    assert len(together) == 1


def test_again_there_is_nothing_to_do(tmp_path: Path) -> None:
    trial = trial_in(tmp_path, 0)
    trial.go()
    arrived = list(trial.nova.arrived)
    facts = gather_drain(trial.world(), "c01")
    assert plan_drain(facts, OPTIONS).steps == ()
    trial.go()
    assert trial.nova.arrived == arrived


@pytest.mark.parametrize(
    ("kind", "pause"),
    [(FaultKind.CRASH_BEFORE, 30.0), (FaultKind.CRASH_AFTER, 0.1)],
    ids=["before-it-and-resumed-later", "after-it-and-resumed-at-once"],
)
def test_killed_at_every_call(tmp_path: Path, kind: FaultKind, pause: float) -> None:
    check_at_every_call(partial(trial_in, tmp_path), kind, pause)
