"""Left-overs removed, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from nodeops.cli.desk import Desk
from nodeops.cli.task import Task, looked_again
from nodeops.engine.journal import RunInfo
from nodeops.errors import FindingsError, NodeopsError
from nodeops.gather.audit import gather_audit
from nodeops.model.leftovers import EVERYWHERE, AuditFacts
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Finding, Level, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.audit import leftovers
from nodeops.runbooks.mend_leftovers import left_findings, plan_audit
from nodeops.runbooks.options import MoveOptions, cloud_key


def look(desk: Desk, scope: str) -> AuditFacts:
    """All that left-overs are found in."""
    cloud = desk.world()
    return gather_audit(cloud, scope, desk.now(), cloud=cloud_key(cloud.identity()))


@dataclass(frozen=True, slots=True)
class Audit(Task[AuditFacts]):
    """Left-overs of a host, or of the cloud, that the API can remove."""

    runbook: ClassVar[str] = "audit"
    host: str = EVERYWHERE

    @property
    def limits(self) -> MoveOptions:
        return MoveOptions(canary=False, retries=1, max_failures=None)

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host)

    def gather(self, desk: Desk, before: RunInfo | None) -> AuditFacts:  # noqa: ARG002 - looked at anew
        return look(desk, self.host)

    def plan(self, facts: AuditFacts) -> Plan:
        return plan_audit(facts)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        """By looking again: what is not found any more is done."""
        facts = look(desk, self.host)
        found = leftovers(facts)
        planned = {server.id for server in plan.servers}
        judged = []
        for server in plan.servers:
            mine = [each for each in found if each.id == server.id and each.mending is not None]
            seen = facts.servers.get(server.id)
            told = next((each.words for each in results if each.subject_id == server.id and each.words), "")
            verdict, reason = (Verdict.LEFT, told or mine[0].words) if mine else (Verdict.DONE, "")
            # An id that no server has is "on no host", which is not "gone meanwhile".
            at = seen.host if seen and seen.host else "-"
            judged.append(looked_again(server, results, verdict, reason, at=at))
        left = [each for each in found if each.mending is None or each.id not in planned]
        return tuple(judged), (*left_findings(left, Level.ERROR), *_unseen(facts))

    def objection(self, plan: Plan) -> NodeopsError | None:
        """Nothing can be done, and there is something to do."""
        left = [finding for finding in plan.findings if finding.level is Level.WARNING]
        if plan.steps or not left:
            return None
        where = "the cloud" if plan.host == EVERYWHERE else plan.host
        hint = "None of them can be mended by the API alone: the lines above say what to do."
        return FindingsError(f"{where}: {count(len(left), 'finding')} left", hint=hint)

    def question(self, plan: Plan) -> str:
        where = "the cloud" if plan.host == EVERYWHERE else plan.host
        changes = count(len(plan.steps), "left-over")
        return f"audit {where}: remove {changes} of {count(len(plan.servers), 'server')}?"

    def success(self, outcome: Outcome) -> str:
        where = "the cloud" if self.host == EVERYWHERE else self.host
        return f"{where}: {count(len(outcome.plan.steps), 'left-over')} removed, nothing else was found"


def _unseen(facts: AuditFacts) -> list[Finding]:
    hint = "What cannot be seen is not called clean; look again when it answers."
    return [Finding(Level.ERROR, "unseen", f"could not be asked: {each}", hint) for each in facts.unseen]
