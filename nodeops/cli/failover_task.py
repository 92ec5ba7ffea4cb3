"""The failover by the API, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.inquiring import inquire
from nodeops.cli.task import Task
from nodeops.cli.tasks import host_settings, steps_sent
from nodeops.engine.journal import RunInfo
from nodeops.gather import find_host, gather_evidence
from nodeops.gather.failover import gather_failover
from nodeops.model.facts import FailoverFacts
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action, Finding, Level, Plan, Step, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.failover import (
    FailoverOptions,
    failover_options,
    plan_failover,
    replace_failover_target,
)
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.verify import judge

PROVED, CONFIRMED = "host-dead", "confirmed-before"
"""Findings of a plan whose host is dead by evidence, or was confirmed to be."""


@dataclass(frozen=True, slots=True)
class Failover(Task[FailoverFacts]):
    """Every server that Nova evacuates, off a dead host."""

    runbook: ClassVar[str] = "failover"
    host: str
    options: FailoverOptions = field(default_factory=FailoverOptions)
    confirmed: str = ""
    """`HOST@DIGEST` from the command line."""

    @property
    def limits(self) -> MoveOptions:
        return self.options.move

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host, failover_options(plan))

    def gather(self, desk: Desk, before: RunInfo | None) -> FailoverFacts:
        view, journal = desk.world(), desk.journal()
        wanted = journal.states_before(cloud_key(view.identity()), self.host)
        also = [server.id for server in before.plan.servers] if before else ()
        find_host(self.host, view.hosts())
        inquest = inquire(desk, self.host)
        settings = host_settings(desk)
        facts = gather_failover(view, self.host, inquest, settings, wanted=wanted, also=also)
        drain = replace(facts.drain, begun=steps_sent(desk, before))
        return replace(facts, drain=drain, confirmed=self._confirmed(before))

    def _confirmed(self, before: RunInfo | None) -> frozenset[str]:
        """No run begins without the word; the one that was not finished had the same."""
        if before is None or before.plan.options.get("fenced_by") != self.options.fenced_by:
            return frozenset()
        return frozenset(step.id for step in before.plan.steps)

    def plan(self, facts: FailoverFacts) -> Plan:
        """Raises `UnknownHostError` for a target that does not exist."""
        for name in self.options.move.to:
            find_host(name, facts.drain.hosts)
        plan = plan_failover(facts, self.options)
        if not facts.confirmed or not facts.confirmed.issuperset(step.id for step in plan.steps):
            return plan
        words = f"{plan.host}: what is left was confirmed with the run that was not finished"
        told = Finding(Level.INFO, CONFIRMED, words, subject=plan.host)
        return replace(plan, findings=(*plan.findings, told))

    def retarget(self, facts: FailoverFacts, plan: Plan, step: Step, refused: frozenset[str]) -> Step | None:
        return replace_failover_target(facts, plan, step, refused)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        return judge(plan, results, gather_evidence(desk.world(), plan, results))

    def question(self, plan: Plan) -> str:
        moves = sum(server.action is Action.EVACUATE for server in plan.servers)
        if not moves:
            return f"failover {plan.host}: no server to evacuate, disable it and force it down?"
        left = f", leave {len(plan.refused)} behind" if plan.refused else ""
        return f"failover {plan.host}: evacuate {count(moves, 'server')}{left}?"

    def confirm(self, plan: Plan, words: str, *, yes: bool) -> None:
        """`--yes` is enough only where the host's death is proved, or was confirmed for all that is left."""
        evacuates = any(step.action == "evacuate" for step in plan.steps)
        proved = not evacuates or any(finding.code in {PROVED, CONFIRMED} for finding in plan.findings)
        if proved and not self.confirmed:
            ask.confirm(plan, words, yes=yes)
            return
        why = f"{plan.host} is not proved dead, and --yes is not enough"
        ask.confirm_by_name(plan, words, confirmed=self.confirmed, why=why)

    def success(self, outcome: Outcome) -> str:
        saved = count(sum(each.verdict is Verdict.MOVED for each in outcome.servers), "server")
        back = f"when it is back: nodeops readmit {self.host}"
        return f"{self.host} is given up: {saved} saved and checked; {back}"
