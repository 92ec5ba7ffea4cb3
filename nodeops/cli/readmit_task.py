"""The way back into service of a host that was dead, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from nodeops.cli.desk import Desk
from nodeops.cli.tasks import ReturnTask, host_settings, steps_sent
from nodeops.engine.journal import RunInfo
from nodeops.gather.failover import gather_readmit
from nodeops.model.facts import ReadmitFacts, Server
from nodeops.outcome import Outcome
from nodeops.plan import Action, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.readmit import plan_readmit


@dataclass(frozen=True, slots=True)
class Readmit(ReturnTask[ReadmitFacts]):
    """A host that is clean serves again."""

    runbook: ClassVar[str] = "readmit"

    def gather(self, desk: Desk, before: RunInfo | None) -> ReadmitFacts:
        moved, learnt = self.past(desk)
        facts = gather_readmit(desk.world(), self.host, moved, host_settings(desk), learnt)
        drain = replace(facts.drain, begun=steps_sent(desk, before))
        return replace(facts, drain=drain, guests=_guests(desk, self.host))

    def plan(self, facts: ReadmitFacts) -> Plan:
        return plan_readmit(facts, self.options, force=self.force)

    def living(self, facts: ReadmitFacts) -> Sequence[Server]:
        return facts.drain.servers

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
