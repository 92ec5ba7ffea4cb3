"""The undo of a failover by the database, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from nodeops.cli.desk import Desk
from nodeops.cli.failover_database import confirm_rows, steps_of_run
from nodeops.cli.history import find_run, refuse_other_cloud
from nodeops.cli.task import Task
from nodeops.engine.journal import RunInfo
from nodeops.errors import UsageError
from nodeops.gather.rewrite import gather_rewrite_evidence, gather_undo, target_of
from nodeops.model import undo_file
from nodeops.model.rewriting import UndoFacts
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action, Finding, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.rewrite import RUNBOOK as REWRITE
from nodeops.runbooks.rewrite_verify import judge_rewrite
from nodeops.runbooks.undo import UndoOptions, plan_undo, undo_options


@dataclass(frozen=True, slots=True)
class Undo(Task[UndoFacts]):
    """What a run has rewritten, put back."""

    runbook: ClassVar[str] = "undo"
    host: str
    run: str = ""
    """The one that is taken back."""
    confirmed: str = ""
    """`HOST@DIGEST` from the command line."""
    options: MoveOptions = field(default_factory=lambda: MoveOptions(canary=False, max_failures=None))

    @property
    def limits(self) -> MoveOptions:
        return self.options

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        said = undo_options(plan)
        return cls(plan.host, said.run, options=said.move)

    def gather(self, desk: Desk, before: RunInfo | None) -> UndoFacts:
        """Raises `UsageError` for a run that is no failover by the database, or of another cloud."""
        run = rewriting_run(desk, self.run)
        path = undo_file.path_of(run.id)
        steps, sent = steps_of_run(desk, run)
        mine = before if before and before.plan.options.get("run") == run.id else None
        earlier, undone = steps_of_run(desk, mine)
        return gather_undo(
            desk.world(),
            whole_plan(desk, run),
            run.id,
            (str(path), undo_file.read(path)),
            steps=steps,
            sent=sent,
            earlier=earlier,
            undone=undone,
        )

    def plan(self, facts: UndoFacts) -> Plan:
        return plan_undo(facts, UndoOptions(self.run, self.options))

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        target = target_of(rewriting_run(desk, self.run).plan)
        return judge_rewrite(plan, results, gather_rewrite_evidence(desk.world(), plan, target))

    def question(self, plan: Plan) -> str:
        servers = count(sum(each.action is Action.RESTORE for each in plan.servers), "server")
        left = f", leave {len(plan.refused)} as they are" if plan.refused else ""
        return f"undo {self.run} on {plan.host}: put back {servers}{left}?"

    def confirm(self, plan: Plan, words: str, *, yes: bool) -> None:  # noqa: ARG002 - never enough here
        confirm_rows(plan, words, self.confirmed)

    def success(self, outcome: Outcome) -> str:
        back = count(sum(each.verdict is Verdict.DONE for each in outcome.servers), "server")
        return f"run {self.run} is taken back: {back} on {self.host} as before, which is as dead as before"


def rewriting_run(desk: Desk, name: str) -> RunInfo:
    """A failover by the database, by its id. Raises `UsageError` for a run of another kind."""
    run = find_run(desk.journal(), name)
    if run.runbook != REWRITE:
        raise UsageError(
            f"run {run.id} is a {run.runbook}: only a failover by the database can be undone",
            hint=f"nodeops show {run.id} tells what it did; what Nova moved is moved back by migrating it.",
        )
    refuse_other_cloud(desk, run)
    return run


def whole_plan(desk: Desk, run: RunInfo) -> Plan:
    """Its plan with the servers of earlier parts, which a resumed run does not plan again."""
    known = {server.id for server in run.plan.servers}
    others = [server for server in desk.journal().servers(run.id) if server.id not in known]
    return replace(run.plan, servers=(*run.plan.servers, *others))
