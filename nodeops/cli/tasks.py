"""The drain and its way back, as tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from nodeops.cli.desk import Desk
from nodeops.cli.task import Facts, Task
from nodeops.engine.journal import RunInfo
from nodeops.errors import RefusedError
from nodeops.gather import find_host, gather_drain, gather_evidence, gather_return
from nodeops.model.facts import DrainFacts, HostSettings, Learnt, Moved, Server
from nodeops.model.probing import Probe
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action, Finding, Plan, Step
from nodeops.report.figures import count
from nodeops.runbooks.drain import plan_drain, replace_target
from nodeops.runbooks.maintain import RUNBOOK as MAINTAIN
from nodeops.runbooks.options import MoveOptions, cloud_key, options_of
from nodeops.runbooks.undrain import plan_undrain
from nodeops.runbooks.verify import judge


@dataclass(frozen=True, slots=True)
class MoveTask(Task[Facts]):
    """What moves of living servers have in common."""

    host: str
    options: MoveOptions = field(default_factory=MoveOptions)
    otherwise: ClassVar[str]
    """What it does when there is no server to move, as the question puts it."""

    @property
    def limits(self) -> MoveOptions:
        return self.options

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        return judge(plan, results, gather_evidence(desk.world(), plan, results))

    def living(self, facts: Facts) -> Sequence[Server]:  # noqa: ARG002 - for those that have any
        """Servers whose guests may move while they run."""
        return ()

    def probe(self, desk: Desk, facts: Facts) -> Probe | None:
        return desk.probe(self.options.probe, self.living(facts))

    def question(self, plan: Plan) -> str:
        moves = sum(not server.refused and server.action is not Action.NONE for server in plan.servers)
        if not moves:
            return f"{plan.runbook} {plan.host}: no server to move, {self.otherwise}?"
        left = f", leave {len(plan.refused)} behind" if plan.refused else ""
        return f"{plan.runbook} {plan.host}: move {count(moves, 'server')}{left}?"


@dataclass(frozen=True, slots=True)
class Drain(MoveTask[DrainFacts]):
    """Every server off a host."""

    runbook: ClassVar[str] = "drain"
    otherwise: ClassVar[str] = "disable it"

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host, options_of(plan))

    def gather(self, desk: Desk, before: RunInfo | None) -> DrainFacts:
        view, journal = desk.world(), desk.journal()
        also = [server.id for server in before.plan.servers] if before else ()
        learnt = journal.learnt(cloud_key(view.identity()))
        facts = gather_drain(view, self.host, host_settings(desk), learnt, also=also)
        return replace(facts, begun=steps_sent(desk, before))

    def plan(self, facts: DrainFacts) -> Plan:
        """Raises `UnknownHostError` for a target that does not exist."""
        for name in self.options.to:
            find_host(name, facts.hosts)
        return plan_drain(facts, self.options)

    def living(self, facts: DrainFacts) -> Sequence[Server]:
        return facts.servers

    def retarget(self, facts: DrainFacts, plan: Plan, step: Step, refused: frozenset[str]) -> Step | None:
        return replace_target(facts, plan, step, refused)

    def success(self, outcome: Outcome) -> str:
        return f"{self.host} is empty: {count(len(outcome.servers), 'server')} moved and checked"


@dataclass(frozen=True, slots=True)
class ReturnTask(MoveTask[Facts]):
    """What ways back into service have in common."""

    give_back: bool = False
    force: bool = False

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        give_back, force = bool(plan.options.get("give_back")), bool(plan.options.get("force"))
        return cls(plan.host, options_of(plan), give_back=give_back, force=force)

    def past(self, desk: Desk) -> tuple[Sequence[Moved], Learnt | None]:
        """By the journal: what comes back, and how long live migrations take."""
        journal, key = desk.journal(), cloud_key(desk.world().identity())
        moved = journal.moved_away(key, self.host) if self.give_back else ()
        return moved, journal.learnt(key)


@dataclass(frozen=True, slots=True)
class Undrain(ReturnTask[DrainFacts]):
    """A host back into service, and its servers back on it."""

    runbook: ClassVar[str] = "undrain"
    otherwise: ClassVar[str] = "enable it"

    def refuse_place_of(self, before: RunInfo) -> None:
        if before.runbook == MAINTAIN and not self.force:
            raise RefusedError(
                f"host {self.host}: its maintenance window is open: run {before.id} is not finished",
                hint=f"nodeops resume {before.id} goes on with it; --force gives it up and enables the host.",
            )

    def gather(self, desk: Desk, before: RunInfo | None) -> DrainFacts:
        moved, learnt = self.past(desk)
        facts = gather_return(desk.world(), self.host, moved, host_settings(desk), learnt)
        return replace(facts, begun=steps_sent(desk, before))

    def living(self, facts: DrainFacts) -> Sequence[Server]:
        return facts.servers

    def plan(self, facts: DrainFacts) -> Plan:
        return plan_undrain(facts, self.options, force=self.force)

    def success(self, outcome: Outcome) -> str:
        return f"{self.host} is in service: {count(len(outcome.servers), 'server')} back and checked"


def host_settings(desk: Desk) -> dict[str, HostSettings]:
    """What the inventory says of every host."""
    inventory = desk.inventory()
    return {name: inventory.settings(name) for name in inventory.places}


def steps_sent(desk: Desk, before: RunInfo | None) -> frozenset[str]:
    """Steps that an unfinished run has sent."""
    rows = desk.journal().steps(before.id) if before else ()
    return frozenset(row.step.id for row in rows if row.attempt)
