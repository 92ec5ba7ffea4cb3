"""Volumes attached anew, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from nodeops.cli.desk import Desk
from nodeops.cli.task import Task, looked_again
from nodeops.engine.journal import RunInfo
from nodeops.errors import RefusedError
from nodeops.gather.reattach import find_server, gather_reattach
from nodeops.model.facts import PowerState, Server
from nodeops.model.reattaching import ReattachFacts
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Action, Finding, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.reattach import Case, Standing, cases, plan_reattach, promised_of


@dataclass(frozen=True, slots=True)
class Reattach(Task[ReattachFacts]):
    """The volumes of one server, or of every server of a host."""

    runbook: ClassVar[str] = "reattach"
    host: str
    server_id: str | None = None
    leave_refused: bool = False
    parallel: int = 4

    @classmethod
    def find(cls, desk: Desk, subject: str, *, leave_refused: bool = False, parallel: int = 4) -> Self:
        """For the name of a host, or the name or id of a server. Raises `UnknownServerError`."""
        view = desk.world()
        if any(host.name == subject for host in view.hosts()):
            return cls(subject, None, leave_refused, parallel)
        server = find_server(view, subject)
        if server.host is None:
            raise RefusedError(
                f"server {server.name} ({server.id}) is on no host ({server.status})",
                hint="Its volumes are kept for it; unshelve it, which connects them.",
            )
        return cls(server.host, server.id, leave_refused, parallel)

    @property
    def limits(self) -> MoveOptions:
        return MoveOptions(canary=False, retries=1, parallel=self.parallel)

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        server = plan.options.get("server")
        return cls(plan.host, str(server) if server else None)

    def gather(self, desk: Desk, before: RunInfo | None) -> ReattachFacts:
        view = desk.world()
        promised = promised_of(before.plan.steps) if before else ()
        key = cloud_key(view.identity())
        return gather_reattach(view, self.host, self.server_id, promised=promised, cloud=key)

    def plan(self, facts: ReattachFacts) -> Plan:
        return plan_reattach(facts)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        """By looking again: every volume attached, and the server as it was."""
        facts = gather_reattach(
            desk.world(), self.host, self.server_id, promised=promised_of(plan.steps), cloud=plan.cloud
        )
        wrong: dict[str, list[Case]] = {}
        for case in cases(facts):
            if case.standing is not Standing.ATTACHED:
                wrong.setdefault(case.server.id, []).append(case)
        servers = {server.id: server for server in facts.servers}
        judged = []
        for planned in plan.servers:
            steps = [each for each in results if each.subject_id == planned.id]
            server = servers.get(planned.id)
            verdict, reason = _verdict(
                planned.action, planned.state.get("vm_state"), server, wrong.get(planned.id, []), steps
            )
            at = server.host if server else None
            judged.append(looked_again(planned, results, verdict, reason, at=at))
        return tuple(judged), ()

    def question(self, plan: Plan) -> str:
        mended = sum(server.action is Action.MEND for server in plan.servers)
        left = f", leave {len(plan.refused)} as they are" if plan.refused else ""
        return f"reattach {plan.host}: mend the volumes of {count(mended, 'server')}{left}?"

    def success(self, outcome: Outcome) -> str:
        return f"{self.host}: every volume of {count(len(outcome.servers), 'server')} is attached"


def _verdict(
    action: Action,
    vm_state: object,
    server: Server | None,
    wrong: Sequence[Case],
    steps: Sequence[StepResult],
) -> tuple[Verdict, str]:
    if server is None:
        return Verdict.LEFT, "does not exist any more"
    if action is Action.NONE:
        return Verdict.LEFT, "; ".join(case.words for case in wrong)
    unknown = [each.words for each in steps if each.state is StepState.UNKNOWN]
    if unknown or server.task_state is not None:
        return Verdict.UNKNOWN, "; ".join(unknown) or f"is in task {server.task_state}"
    if wrong:
        told = [each.words for each in steps if each.words and each.state is not StepState.DONE]
        return Verdict.LEFT, "; ".join(told or [case.words for case in wrong])
    runs = server.vm_state == "active" and server.power_state == PowerState.RUNNING
    if vm_state == "active" and not runs:
        return Verdict.LEFT, f"its volumes are attached, and it is {server.status}"
    return Verdict.DONE, ""
