"""The failover by the database, as a task."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.inquiring import inquire
from nodeops.cli.task import Task
from nodeops.cli.tasks import host_settings
from nodeops.engine.journal import RunInfo
from nodeops.errors import UsageError
from nodeops.gather import find_host
from nodeops.gather.rewrite import gather_rewrite, gather_rewrite_evidence
from nodeops.model.records import BindingRewrite, ServerRewrite
from nodeops.model.rewriting import RewriteFacts
from nodeops.model.world import View
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action, Finding, Plan, Step, StepId, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.rewrite import plan_rewrite
from nodeops.runbooks.rewrite_scene import RewriteOptions, rewrite_options
from nodeops.runbooks.rewrite_verify import judge_rewrite

NEVER_YES = "records are rewritten, and --yes is not enough"


@dataclass(frozen=True, slots=True)
class FailoverDatabase(Task[RewriteFacts]):
    """The servers of a dead host to one other, by their rows."""

    runbook: ClassVar[str] = "failover-database"
    host: str
    options: RewriteOptions = field(default_factory=RewriteOptions)
    confirmed: str = ""
    """`HOST@DIGEST` from the command line."""

    @property
    def target(self) -> str:
        """Raises `UsageError` when there is not exactly one."""
        to = self.options.move.to
        if len(to) != 1:
            raise UsageError(
                f"--method database takes one target, {len(to)} were given",
                hint="Say --to HOST: nothing chooses one here. nodeops status shows who has room.",
            )
        if to[0] == self.host:
            raise UsageError(f"--to {self.host} is the dead host itself", hint="Name another host.")
        return to[0]

    @property
    def limits(self) -> MoveOptions:
        """There is one target: what may start at once on it is what may leave at once."""
        return replace(self.options.move, inbound=self.options.move.parallel or 1)

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host, rewrite_options(plan))

    def gather(self, desk: Desk, before: RunInfo | None) -> RewriteFacts:
        view, target = desk.world(), self.target
        hosts = view.hosts()
        for name in (self.host, target):
            find_host(name, hosts)
        earlier, sent = steps_of_run(desk, before)
        return gather_rewrite(
            view,
            self.host,
            target,
            inquire(desk, self.host),
            host_settings(desk),
            connector=connector_of(self.options.connector, target) if self.options.connector else None,
            earlier=earlier,
            sent=sent,
            also=[server.id for server in before.plan.servers] if before else (),
        )

    def plan(self, facts: RewriteFacts) -> Plan:
        return plan_rewrite(facts, self.options)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        return judge_rewrite(plan, results, gather_rewrite_evidence(desk.world(), plan, self.target))

    def statements(self, desk: Desk, plan: Plan) -> tuple[str, ...]:
        return statements_of(desk.world(), plan)

    def question(self, plan: Plan) -> str:
        servers = count(sum(each.action is Action.REWRITE for each in plan.servers), "server")
        left = f", leave {len(plan.refused)} behind" if plan.refused else ""
        return f"failover {plan.host} by the database: rewrite {servers} to {self.target}{left}?"

    def confirm(self, plan: Plan, words: str, *, yes: bool) -> None:  # noqa: ARG002 - never enough here
        confirm_rows(plan, words, self.confirmed)

    def success(self, outcome: Outcome) -> str:
        saved = count(sum(each.verdict is Verdict.MOVED for each in outcome.servers), "server")
        back = f"when it is back: nodeops readmit {self.host}"
        return f"{self.host} is given up: {saved} rewritten to {self.target} and checked; {back}"


def confirm_rows(plan: Plan, words: str, confirmed: str) -> None:
    """By the host's name, or `HOST@DIGEST`; an unknown schema has to be named too.

    Raises `DeclinedError`.
    """
    unknown = next((each.subject for each in plan.findings if each.code == "schema-unknown"), "")
    ask.confirm_by_name(plan, words, confirmed=confirmed, why=NEVER_YES, also=unknown)


def steps_of_run(desk: Desk, run: RunInfo | None) -> tuple[Mapping[StepId, Step], frozenset[StepId]]:
    """The steps of a run as they were planned or sent, and which were sent."""
    rows = desk.journal().steps(run.id) if run else ()
    return {row.step.id: row.step for row in rows}, frozenset(row.step.id for row in rows if row.attempt)


def connector_of(path: str, target: str) -> Mapping[str, Any]:
    """A connector as `nova-manage volume_attachment get_connector --json` prints it.

    Raises `UsageError` for what is none, or is of another host.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--connector {path}: {error}",
            hint=f"On {target}: nova-manage volume_attachment get_connector --json > FILE.",
        ) from None
    if not isinstance(found, dict) or found.get("host") != target:
        whose = found.get("host") if isinstance(found, dict) else None
        raise UsageError(
            f"--connector {path} is of {whose or 'no host'} and not of {target}",
            hint=f"Run nova-manage volume_attachment get_connector --json on {target} itself.",
        )
    return found


def statements_of(view: View, plan: Plan) -> tuple[str, ...]:
    """The SQL of every step that writes rows, with its values and without secrets."""
    from nodeops.actions.rewrite_bindings import binding_rewrite_of
    from nodeops.actions.rewrite_records import rewrite_of

    found: list[str] = []
    for step in plan.steps:
        what: ServerRewrite | BindingRewrite | None = None
        if step.action == "rewrite-records":
            what = rewrite_of(step)
        elif step.action == "rewrite-bindings":
            what = binding_rewrite_of(step)
        if what is not None:
            found += [f"-- {step.subject_name} {step.subject_id}"]
            found += view.records.statements(what, plan.host)
    return tuple(found)
