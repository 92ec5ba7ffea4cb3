"""What a command has to do, whatever it is: the parts in which one runbook differs from another."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import Any, ClassVar, Generic, Self, TypeVar

from nodeops.actions.action import Action
from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import ending
from nodeops.engine.journal import RunInfo
from nodeops.errors import NodeopsError, UsageError
from nodeops.model.probing import Probe
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Finding, Plan, ServerPlan, Step, Verdict
from nodeops.runbooks.options import MoveOptions

Facts = TypeVar("Facts")


class Task(ABC, Generic[Facts]):
    """A runbook on a host, as somebody asked for it. Subclasses are frozen dataclasses.

    `nodeops.cli.conduct.carry_out` takes it from gathering to the report.
    """

    runbook: ClassVar[str]
    """Its name in plans, in the journal and in messages."""

    @property
    @abstractmethod
    def host(self) -> str: ...

    @property
    @abstractmethod
    def limits(self) -> MoveOptions:
        """What the executor keeps to."""

    @property
    def leave_refused(self) -> bool:
        """Whether to go on although some servers are refused."""
        return self.limits.leave_refused

    @classmethod
    @abstractmethod
    def of_plan(cls, plan: Plan) -> Self:
        """The task that made this plan, to be planned again: to resume a run, or to apply a plan file."""

    @abstractmethod
    def gather(self, desk: Desk, before: RunInfo | None) -> Facts:
        """Look at the world; `before` is an unfinished run of this runbook on this host."""

    @abstractmethod
    def plan(self, facts: Facts) -> Plan:
        """The runbook's plan: the same for the same facts."""

    def retarget(self, facts: Facts, plan: Plan, step: Step, refused: frozenset[str]) -> Step | None:  # noqa: ARG002 - for those that can
        """The step with another target after Nova refused those; None when there is none."""
        return None

    @abstractmethod
    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        """Verdicts and findings by what is seen after the run. Raises `ApiError` when nothing can be seen."""

    @abstractmethod
    def question(self, plan: Plan) -> str:
        """What is asked before anything is changed, ending in `?`."""

    def confirm(self, plan: Plan, words: str, *, yes: bool) -> None:
        """Ask; raises `DeclinedError`."""
        ask.confirm(plan, words, yes=yes)

    def answered(self, confirmed: str) -> Self:
        """The same, with `HOST@DIGEST` from the command line; raises `UsageError` where none is asked for."""
        if not confirmed:
            return self
        if not is_dataclass(self) or "confirmed" not in {field.name for field in fields(self)}:
            raise UsageError(f"{self.runbook} asks for no --confirm", hint="Say --yes to go ahead.")
        return replace(self, confirmed=confirmed)

    def actions(self, desk: Desk) -> Mapping[str, Action]:  # noqa: ARG002 - for those that have any
        """Actions that need more than the cloud, by the name that steps use."""
        return {}

    def probe(self, desk: Desk, facts: Facts) -> Probe | None:  # noqa: ARG002 - for those that have one
        """What listens to the run and measures how long guests are not there; None: nobody does."""
        return None

    def statements(self, desk: Desk, plan: Plan) -> tuple[str, ...]:  # noqa: ARG002 - for those that have any
        """SQL that the plan stands for, for who asks for a dry run."""
        return ()

    def refuse_place_of(self, before: RunInfo) -> None:
        """Raises `RefusedError` where it must not take the place of an unfinished run of another runbook."""

    def objection(self, plan: Plan) -> NodeopsError | None:  # noqa: ARG002 - for those that have one
        """Why this plan must not be run, besides refused servers and findings of level ERROR."""
        return None

    def ending(self, outcome: Outcome) -> NodeopsError | None:
        """What the run comes down to; None when all went well."""
        return ending(outcome)

    @abstractmethod
    def success(self, outcome: Outcome) -> str:
        """The sentence for a run in which all went well."""


def looked_again(
    planned: ServerPlan, results: Sequence[StepResult], verdict: Verdict, reason: str, *, at: str | None
) -> ServerResult:
    """One server as it was found after the run, with what its steps took; `at` is its host then."""
    steps = [each for each in results if each.subject_id == planned.id]
    return ServerResult(
        id=planned.id,
        name=planned.name,
        action=str(planned.action),
        verdict=verdict,
        target=at,
        reason=reason,
        request_id=next((each.request_id for each in steps if each.request_id), ""),
        seconds=round(sum(each.seconds for each in steps), 3),
        attempts=max((each.attempts for each in steps), default=0),
    )


TASKS: Mapping[str, str] = {
    "drain": "nodeops.cli.tasks:Drain",
    "undrain": "nodeops.cli.tasks:Undrain",
    "states": "nodeops.cli.states_task:MendStates",
    "failover": "nodeops.cli.failover_task:Failover",
    "failover-database": "nodeops.cli.failover_database:FailoverDatabase",
    "undo": "nodeops.cli.undo_task:Undo",
    "readmit": "nodeops.cli.readmit_task:Readmit",
    "fence": "nodeops.cli.fence_task:Fencing",
    "audit": "nodeops.cli.audit_task:Audit",
    "reattach": "nodeops.cli.reattach_task:Reattach",
    "maintain": "nodeops.cli.maintain_task:Maintain",
    "recover": "nodeops.cli.recover_task:Recover",
}
"""By the name of the runbook; imported when needed."""


def own_command(runbook: str) -> bool:
    """Whether a run of it is gone on with by giving its command again, and by nothing else."""
    return runbook.startswith("address-") or runbook == "snapshot"


def task_class(runbook: str) -> "type[Task[Any]]":
    """Raises `UsageError` for a runbook this nodeops does not know."""
    if own_command(runbook):
        raise UsageError(
            f"a run of {runbook.replace('-', ' ')} is gone on with by its own command",
            hint="Give the same command again: nodeops show RUN tells it.",
        )
    if runbook == "inspect":
        raise UsageError(
            "a look into a disk is not gone on with, the host ends it by itself",
            hint="nodeops inspect --clean HOST shows what it has left, and takes it down.",
        )
    if runbook in {"disks", "salvage"}:
        raise UsageError(
            "a run of disks is gone on with by its own command",
            hint="Give the same command again: nodeops show RUN tells it.",
        )
    if runbook == "service":
        raise UsageError(
            "a change of one service is gone on with by its own command",
            hint="Say the same again: nodeops host HOST stop, start or restart.",
        )
    if runbook not in TASKS:
        raise UsageError(f"runbook {runbook} is not known here", hint="Use the nodeops that made this plan.")
    module, _, name = TASKS[runbook].partition(":")
    found: type[Task[Any]] = getattr(import_module(module), name)
    return found


def task_of(plan: Plan) -> "Task[Any]":
    """The task that made a plan. Raises `UsageError` for a runbook this nodeops does not know."""
    return task_class(plan.runbook).of_plan(plan)
