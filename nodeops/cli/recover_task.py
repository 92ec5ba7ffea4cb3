"""The recovery after a boot, as a task."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from nodeops.actions.action import Action
from nodeops.actions.guests import ProbeGuest, RebootGuest, StartGuest
from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import ending
from nodeops.cli.guests import guests_of, nova_past
from nodeops.cli.readying import remembered
from nodeops.cli.task import Task
from nodeops.engine.journal import RunInfo
from nodeops.engine.signals import Stop
from nodeops.errors import FailedError, InterruptedRunError, NodeopsError, PartlyDoneError
from nodeops.gather.guests import Guests
from nodeops.gather.hosts import find_host
from nodeops.gather.readiness import gather_readiness
from nodeops.gather.recover import Known, gather_recover, gather_recover_evidence
from nodeops.model.readiness import Check, ReadinessFacts
from nodeops.model.recovering import Past, RecoverFacts, Remembered
from nodeops.model.tracing import Logs
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Action as ServerAction
from nodeops.plan import Finding, Plan
from nodeops.report.figures import count
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.readiness import judge_readiness
from nodeops.runbooks.reattach import promised_of
from nodeops.runbooks.recover import RecoverOptions, holding_up, plan_recover, recover_options
from nodeops.runbooks.recover_verify import judge_recovery

PAUSE = 5.0
AWAY = frozenset({"drain", "maintain"})
"""Runbooks with which a maintenance begins; what they found tells what ran before it."""
BACK = frozenset({"undrain", "readmit"})


def readiness_of(desk: Desk, host: str) -> ReadinessFacts:
    return gather_readiness(
        desk.world(), desk.machine(), host, now=time.time(), before=remembered(desk, host)
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked; tests put theirs here."""

    past: Callable[[Desk], Past] = nova_past
    guests: Callable[[Desk, str], Guests] = guests_of
    readiness: Callable[[Desk, str], ReadinessFacts] = readiness_of
    logs: Callable[[Desk], Logs | None] = lambda desk: desk.logs()


@dataclass(frozen=True, slots=True)
class Recover(Task[RecoverFacts]):
    """What ran on a host before it booted runs again."""

    runbook: ClassVar[str] = "recover"
    host: str
    options: RecoverOptions = field(default_factory=RecoverOptions)
    wait: float = 0.0
    """Seconds to wait for the host to be ready."""
    sources: Sources = field(default_factory=Sources)

    @property
    def limits(self) -> MoveOptions:
        return self.options.move

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host, recover_options(plan))

    def actions(self, desk: Desk) -> Mapping[str, Action]:
        sight = self.sources.guests(desk, self.host)
        every: tuple[Action, ...] = (StartGuest(sight), RebootGuest(sight), ProbeGuest(sight))
        return {each.name: each for each in every}

    def gather(self, desk: Desk, before: RunInfo | None) -> RecoverFacts:
        view = desk.world()
        find_host(self.host, view.hosts())
        cloud = cloud_key(view.identity())
        facts, checks = self._ready(desk)
        condition = facts.condition
        known = Known(
            cloud=cloud,
            checks=checks,
            booted=self.options.booted or (condition.booted_at if condition else None),
            remembered=_states_before(desk, cloud, self.host),
            promised=_promised(before),
            detached=promised_of(before.plan.steps) if before else (),
        )
        return gather_recover(
            view,
            self.sources.past(desk),
            self.sources.guests(desk, self.host),
            self.host,
            now=desk.now(),
            known=known,
            volumes=self.options.volumes,
        )

    def _ready(self, desk: Desk) -> tuple[ReadinessFacts, tuple[Check, ...]]:
        """What the gate says, once nothing that a start needs holds it up, or the waiting is over."""
        told = ""
        with Stop().listening() as stop:
            clock = desk.clock(stop)
            begun = clock.now()
            while True:
                facts = self.sources.readiness(desk, self.host)
                checks = judge_readiness(facts)
                wrong = holding_up(checks)
                if stop.number is not None:
                    words = f"{self.host}: interrupted while it was waited for; nothing was changed"
                    raise InterruptedRunError(words, signal_number=stop.number)
                if not wrong or clock.now() - begun >= self.wait:
                    return facts, checks
                words = f"{self.host}: waiting for {wrong[0].words}"
                if words != told:
                    desk.err().print(words, soft_wrap=True, markup=False)
                    told = words
                clock.sleep(PAUSE)

    def plan(self, facts: RecoverFacts) -> Plan:
        return plan_recover(facts, self.options)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        guests = self.sources.guests(desk, self.host)
        evidence = gather_recover_evidence(
            desk.world(),
            guests,
            self.sources.logs(desk),
            plan,
            results,
            now=time.time(),
            volumes=self.options.volumes,
        )
        return judge_recovery(plan, results, evidence)

    def question(self, plan: Plan) -> str:
        number = sum(server.action is ServerAction.START for server in plan.servers)
        left = f", leave {len(plan.refused)} as they are" if plan.refused else ""
        return f"recover {plan.host}: start {count(number, 'server')}{left}?"

    def ending(self, outcome: Outcome) -> NodeopsError | None:
        error = ending(outcome)
        if not isinstance(error, PartlyDoneError | FailedError):
            return error
        started = {each.id for each in outcome.plan.servers if each.action is not ServerAction.NONE}
        back = sum(each.verdict.good for each in outcome.servers)
        off = sum(not each.verdict.good for each in outcome.servers if each.id in started)
        words = f"{self.host}: {count(off, 'server')} not back, {back} back"
        if outcome.plan.refused:
            words += f", {len(outcome.plan.refused)} refused"
        return type(error)(words, hint=error.hint)

    def success(self, outcome: Outcome) -> str:
        back = sum(each.verdict.good for each in outcome.servers)
        left = len(outcome.servers) - back
        others = f"; {left} were left as they are" if left else ""
        return f"{self.host}: {count(back, 'server')} back and checked{others}"


def _promised(before: RunInfo | None) -> dict[str, float]:
    if before is None:
        return {}
    ids = {step.subject_id for step in before.plan.steps if step.action in {"start-guest", "reboot-guest"}}
    return dict.fromkeys(sorted(ids), before.started)


def _states_before(desk: Desk, cloud: str, host: str) -> dict[str, Remembered]:
    """As the newest maintenance of this host found its servers, when it has not come to its end since."""
    journal = desk.journal()
    for run in journal.runs(cloud=cloud, host=host):
        if run.runbook in BACK:
            break
        if run.runbook in AWAY:
            return {
                server.id: Remembered(run.id, run.started, str(state))
                for server in journal.servers(run.id)
                if (state := server.state.get("vm_state"))
            }
    return {}
