"""The way back into service of a host that was dead, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from nodeops.cli.desk import Desk
from nodeops.cli.task import Task
from nodeops.cli.tasks import host_settings, steps_sent
from nodeops.engine.journal import RunInfo
from nodeops.facts import ReadmitFacts
from nodeops.gather import gather_evidence
from nodeops.gather.failover import gather_readmit
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action, Finding, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.options import MoveOptions, cloud_key, options_of
from nodeops.runbooks.readmit import plan_readmit
from nodeops.runbooks.verify import judge


@dataclass(frozen=True, slots=True)
class Readmit(Task[ReadmitFacts]):
    """A host that is clean serves again."""

    runbook: ClassVar[str] = "readmit"
    host: str
    options: MoveOptions = field(default_factory=MoveOptions)
    give_back: bool = False
    force: bool = False

    @property
    def limits(self) -> MoveOptions:
        return self.options

    @property
    def leave_refused(self) -> bool:
        return self.options.leave_refused

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        give_back, force = bool(plan.options.get("give_back")), bool(plan.options.get("force"))
        return cls(plan.host, options_of(plan), give_back=give_back, force=force)

    def gather(self, desk: Desk, before: RunInfo | None) -> ReadmitFacts:
        view, journal = desk.world(), desk.journal()
        key = cloud_key(view.identity())
        moved = journal.moved_away(key, self.host) if self.give_back else ()
        facts = gather_readmit(view, self.host, moved, host_settings(desk), journal.learnt(key))
        drain = replace(facts.drain, begun=steps_sent(desk, before))
        return replace(facts, drain=drain, guests=_guests(desk, self.host))

    def plan(self, facts: ReadmitFacts) -> Plan:
        return plan_readmit(facts, self.options, force=self.force)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        return judge(plan, results, gather_evidence(desk.world(), plan, results))

    def question(self, plan: Plan) -> str:
        moves = sum(not server.refused and server.action is not Action.NONE for server in plan.servers)
        if not moves:
            return f"readmit {plan.host}: put it back into service?"
        left = f", leave {len(plan.refused)} behind" if plan.refused else ""
        return f"readmit {plan.host}: put it back into service, bring back {count(moves, 'server')}{left}?"

    def success(self, outcome: Outcome) -> str:
        back = sum(each.verdict is Verdict.MOVED for each in outcome.servers)
        if not back:
            return f"{self.host} is in service again"
        return f"{self.host} is in service again: {count(back, 'server')} back and checked"


def _guests(desk: Desk, host: str) -> tuple[str, ...] | None:
    """Domains that the hypervisor has there, off or running; None when nobody could look."""
    found = desk.senses().guests(host)
    if found is None or found.running is None:
        return None
    return tuple(sorted({*found.defined, *found.running}))
