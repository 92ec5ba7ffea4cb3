"""Looking at the states of servers, and mending them as a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from nodeops.actions.action import Action
from nodeops.actions.guests import RebootGuest
from nodeops.cli.desk import Desk
from nodeops.cli.guests import guests_of
from nodeops.cli.task import Task, looked_again
from nodeops.engine.journal import RunInfo
from nodeops.gather.guests import Guests
from nodeops.gather.states import gather_states
from nodeops.model.states import Hypervisors, StateRecords, StatesFacts
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Finding, Level, Plan, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.contradictions import Mismatch, contradictions
from nodeops.runbooks.mend_states import StatesOptions, left_findings, plan_states
from nodeops.runbooks.options import MoveOptions, cloud_key


def nova_records(desk: Desk) -> StateRecords:
    from nodeops.clients.state_records import NovaRecords

    return NovaRecords(desk.cloud())


def configured_hypervisors(desk: Desk) -> Hypervisors | None:
    """Those of hosts that the inventory has; None without an inventory."""
    inventory = desk.inventory()
    if not inventory.places:
        return None
    from nodeops.clients.domains import LibvirtDomains

    return LibvirtDomains(inventory)


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked; tests put theirs here."""

    records: Callable[[Desk], StateRecords] = nova_records
    hypervisors: Callable[[Desk], Hypervisors | None] = configured_hypervisors
    guests: Callable[[Desk, str], Guests] = guests_of

    def gather(self, desk: Desk, host: str | None, older_than: float) -> StatesFacts:
        """A hypervisor is asked only for one host: one that is away takes seconds."""
        return gather_states(
            self.records(desk),
            host,
            None if host is None else self.hypervisors(desk),
            older_than=older_than,
            cloud=cloud_key(desk.world().identity()),
        )


@dataclass(frozen=True, slots=True)
class MendStates(Task[StatesFacts]):
    """Contradictions of one host that the API can end."""

    runbook: ClassVar[str] = "states"
    host: str
    options: StatesOptions = field(default_factory=StatesOptions)
    sources: Sources = field(default_factory=Sources)

    @property
    def limits(self) -> MoveOptions:
        return MoveOptions(canary=False, retries=0, max_failures=None)

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        said = plan.options
        older_than = said.get("older_than")
        seconds = float(older_than) if isinstance(older_than, int | float) else StatesOptions().older_than
        return cls(plan.host, StatesOptions(bool(said.get("nova_is_right")), seconds))

    def actions(self, desk: Desk) -> Mapping[str, Action]:
        """Nova's record goes on saying RUNNING of a guest that is gone, until its power sync comes by."""
        return {"reboot-guest": RebootGuest(self.sources.guests(desk, self.host))}

    def gather(self, desk: Desk, before: RunInfo | None) -> StatesFacts:  # noqa: ARG002 - looked at anew
        return self.sources.gather(desk, self.host, self.options.older_than)

    def plan(self, facts: StatesFacts) -> Plan:
        return plan_states(facts, self.options)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        """By looking again: what contradicts itself no more is done."""
        facts = self.gather(desk, None)
        left = {each.id: each for each in contradictions(facts, older_than=self.options.older_than)}
        servers = {server.id: server for server in facts.servers}
        told = {each.subject_id: each for each in results if each.words}
        judged = []
        for planned in plan.servers:
            found, seen = left.get(planned.id), servers.get(planned.id)
            verdict, reason = _verdict(found, told.get(planned.id), busy=bool(seen and seen.task_state))
            at = seen.host if seen else None
            judged.append(looked_again(planned, results, verdict, reason, at=at))
        mended = {planned.id for planned in plan.servers}
        others = [each for key, each in left.items() if key not in mended]
        return tuple(judged), tuple(left_findings(others, Level.ERROR))

    def question(self, plan: Plan) -> str:
        changes = count(len(plan.steps), "change")
        return f"states {plan.host}: make {changes} to {count(len(plan.servers), 'server')}?"

    def success(self, outcome: Outcome) -> str:
        return f"{self.host}: the states of {count(len(outcome.servers), 'server')} agree again"


def _verdict(found: Mismatch | None, told: StepResult | None, *, busy: bool) -> tuple[Verdict, str]:
    if found is not None:
        return Verdict.LEFT, (told.words if told and told.words else found.words)
    if busy:
        untouched = told is not None and told.state is StepState.BLOCKED
        return (Verdict.LEFT, told.words) if told and untouched else (Verdict.UNKNOWN, "is in a task")
    return Verdict.DONE, ""
