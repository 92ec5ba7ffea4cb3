"""A failover through faults: gathered, planned, run, killed at every call, planned again, verified.

A dead host with a server in every state that a failover can be allowed to touch. Whatever happens, each
request takes effect once, every server ends as the first plan said, and the check afterwards finds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nodeops.errors import ApiError
from nodeops.gather import gather_evidence
from nodeops.gather.failover import gather_failover
from nodeops.model.facts import FailoverFacts, HostSettings, Inquest, Life, Migration, Storage
from nodeops.plan import Risk, Verdict
from nodeops.runbooks.failover import FailoverOptions, plan_failover, replace_failover_target
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.verify import judge
from tests.fake_world import Crash, FakeNova, FakeWorld, FaultKind
from tests.faults.said_again import Operator, check_at_every_call
from tests.unit.engine.runs import Run

OPTIONS = FailoverOptions(
    MoveOptions(risk=Risk.FORCE, allow=frozenset({"resize-open"}), parallel=4, canary=False)
)
STATES = {
    "runs": "active",
    "off": "stopped",
    "error": "error",
    "paused": "paused",
    "suspended": "suspended",
    "rescued": "rescued",
    "shelved": "shelved",
    "resized": "resized",
    "cut-off": "active",
}
AFTERWARDS = {
    "runs": "ACTIVE",
    "off": "SHUTOFF",
    "error": "ACTIVE",
    "paused": "SHUTOFF",
    "suspended": "SHUTOFF",
    "rescued": "RESCUE",
    "shelved": "SHUTOFF",
    "resized": "SHUTOFF",
    "cut-off": "ACTIVE",
}
DEAD = Inquest("c01", Life.DEAD, "power is off", ())


def dead_host() -> FakeNova:
    nova = FakeNova()
    for name in ("c01", "c02", "c03"):
        nova.add_host(name)
    for name, vm_state in STATES.items():
        nova.add_server(name, "c01", vm_state=vm_state)
    nova.change("cut-off", task_state="image_uploading")
    nova.migrations.append(Migration(1, "m1", "resized", "resize", "finished", "c03", "c01"))
    nova.hosts["c01"] = replace(nova.hosts["c01"], up=False)
    return nova


@dataclass
class Trial(Operator):
    """One failover."""

    afterwards = AFTERWARDS
    nova: FakeNova = field(default_factory=dead_host)
    options: FailoverOptions = OPTIONS
    notes: str = ""

    def facts(self, world: FakeWorld, run: Run) -> FailoverFacts:
        key = cloud_key(world.identity())
        before = run.journal.unfinished(key, "c01")
        also = [server.id for server in before.plan.servers] if before else ()
        shared = {"c01": HostSettings(Storage.SHARED)}
        wanted = run.journal.states_before(key, "c01")
        facts = gather_failover(world, "c01", DEAD, shared, wanted=wanted, also=also)
        sent = [row.step.id for row in run.journal.steps(before.id) if row.attempt] if before else ()
        return replace(facts, drain=replace(facts.drain, begun=frozenset(sent)))

    def part(self, world: FakeWorld) -> bool:
        """Whether it has to be said again: the process died, or the cloud did not answer."""
        run = Run(world, self.directory, self.options.move)
        try:
            run.forget_dead_owners()
            facts = self.facts(world, run)
            plan = plan_failover(facts, self.options)
            if facts.drain.unseen:
                return True
            self.first = self.first or plan
            assert not plan.refused, [(each.name, each.refusals) for each in plan.refused]
            run.retarget = lambda step, refused: replace_failover_target(facts, plan, step, refused)
            run.go(plan)
            self._verify(world, run)
            if any(finding.code == "unseen" for finding in self.findings):
                return True
        except (Crash, ApiError):
            return True
        finally:
            self.calls = self.calls or len(world.calls)
            self.notes += run.notes()
            run.journal.close()
        return False

    def _verify(self, world: FakeWorld, run: Run) -> None:
        assert run.record is not None
        whole, results = run.record.whole_plan(), run.record.step_results()
        self.servers, self.findings = judge(whole, results, gather_evidence(world, whole, results))


@pytest.fixture
def trial_in(tmp_path: Path) -> Callable[[int], Trial]:
    def make(number: int) -> Trial:
        directory = tmp_path / str(number)
        directory.mkdir()
        return Trial(directory)

    return make


Make = Callable[[int], Trial]


def test_without_a_fault(trial_in: Make) -> None:
    trial = trial_in(0)
    assert not trial.go()
    trial.check("no fault")
    assert {each.verdict for each in trial.servers} == {Verdict.MOVED}
    assert [finding.code for finding in trial.findings] == ["held-until-return"]
    dead = trial.nova.hosts["c01"]
    assert (dead.enabled, dead.forced_down) == (False, True)


def test_again_there_is_nothing_to_do(trial_in: Make) -> None:
    trial = trial_in(0)
    trial.go()
    arrived = list(trial.nova.arrived)
    facts = gather_failover(FakeWorld(trial.nova), "c01", DEAD)
    assert plan_failover(facts, OPTIONS).steps == ()
    trial.go()
    assert trial.nova.arrived == arrived


def test_a_target_that_refuses_is_replaced_and_the_state_kept(trial_in: Make) -> None:
    """No valid host sets a server to ERROR; the one that was off is off again afterwards."""
    trial = trial_in(0)
    trial.nova.refusals |= {("c02", "*")}
    trial.go()
    trial.check("c02 refuses everything")
    assert {server.host for server in trial.nova.servers.values()} == {"c03"}


def test_a_second_run_knows_what_a_failed_one_found(trial_in: Make) -> None:
    trial = trial_in(0)
    trial.nova.refusals |= {("c02", "*"), ("c03", "*")}
    trial.options = replace(OPTIONS, move=replace(OPTIONS.move, max_failures=None))
    trial.go()
    assert trial.nova.servers["off"].vm_state == "error"
    assert {each.verdict for each in trial.servers} == {Verdict.LEFT}
    trial.nova.refusals.clear()
    trial.go()
    assert {server.id: server.status for server in trial.nova.servers.values()} == AFTERWARDS


def test_the_source_comes_back_to_life(trial_in: Make) -> None:
    """Somebody takes force-down back and starts it: nothing more is sent."""
    trial = trial_in(0)

    def lives() -> None:
        trial.nova.hosts["c01"] = replace(trial.nova.hosts["c01"], up=True, forced_down=False)

    trial.options = replace(OPTIONS, move=replace(OPTIONS.move, parallel=1))
    trial.nova.at(8, lives)
    trial.go()
    evacuated = [name for operation, name in trial.nova.arrived if operation == "evacuate"]
    assert 0 < len(evacuated) < len(STATES)
    assert "source-silent" in trial.notes
    left = [each for each in trial.servers if each.verdict is not Verdict.MOVED]
    assert len(left) == len(STATES) - len(evacuated)


@pytest.mark.parametrize(
    ("kind", "pause"),
    [
        (FaultKind.CRASH_BEFORE, 30.0),
        (FaultKind.CRASH_AFTER, 0.1),
        (FaultKind.DROP_BEFORE, 5.0),
        (FaultKind.DROP_AFTER, 5.0),
        (FaultKind.UNAVAILABLE, 5.0),
    ],
    ids=[
        *("killed-before-it-and-resumed-later", "killed-after-it-and-resumed-at-once"),
        *("lost-before-it", "lost-after-it", "unavailable"),
    ],
)
def test_killed_or_cut_off_at_every_call(trial_in: Make, kind: FaultKind, pause: float) -> None:
    check_at_every_call(trial_in, kind, pause)
