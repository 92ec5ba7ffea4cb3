"""A whole maintenance window, as a task."""

import hashlib
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from nodeops.actions.action import Action
from nodeops.actions.compute_service import KeepStopped, StartCompute, StopCompute
from nodeops.actions.host_work import RebootHost, RunWork
from nodeops.actions.window import Hook, Pause, WaitHost, WaitReady
from nodeops.cli.desk import Desk
from nodeops.cli.person import TerminalPerson, marker_of
from nodeops.cli.readying import assess
from nodeops.cli.task import Task
from nodeops.cli.tasks import host_settings
from nodeops.engine.journal import RunInfo
from nodeops.engine.lock import this_process
from nodeops.errors import (
    ApiError,
    ConfigurationError,
    InterruptedRunError,
    NodeopsError,
    UsageError,
    WindowOpenError,
)
from nodeops.gather import find_host, gather_drain, gather_evidence, gather_return
from nodeops.gather.readiness import before_of, gather_readiness
from nodeops.inventory import Place
from nodeops.log import redact
from nodeops.model.facts import DrainFacts, Moved
from nodeops.model.machine import Before, Condition
from nodeops.model.maintaining import MaintainFacts, Reset
from nodeops.model.maintaining import Task as HostTask
from nodeops.model.probing import Probe
from nodeops.model.readiness import Check
from nodeops.model.world import View
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Action as ServerAction
from nodeops.plan import Finding, Json, Level, Plan, Step, Verdict
from nodeops.report.figures import count
from nodeops.runbooks.drain import replace_target
from nodeops.runbooks.maintain import (
    MaintainOptions,
    before_in,
    before_of_json,
    maintain_options,
    plan_maintain,
)
from nodeops.runbooks.maintain_verify import judge_window, parts_of, window_failure
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.verify import judge

ENDED = frozenset({StepState.DONE, StepState.SKIPPED})
OPEN = frozenset({StepState.SENT, StepState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Maintain(Task[MaintainFacts]):
    """One host, from service to service."""

    runbook: ClassVar[str] = "maintain"
    host: str
    options: MaintainOptions = field(default_factory=lambda: MaintainOptions(HostTask(), MoveOptions()))
    before: tuple[str, ...] = ()
    """Hooks of the command line; the inventory's come on top."""
    after: tuple[str, ...] = ()

    @property
    def limits(self) -> MoveOptions:
        return self.options.move

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        """Raises `UsageError` when its script is not what it was."""
        said = plan.options
        options = maintain_options(plan)
        _script(options.task)
        before, after = said.get("before"), said.get("after")
        return cls(
            plan.host,
            options,
            tuple(str(each) for each in before) if isinstance(before, list) else (),
            tuple(str(each) for each in after) if isinstance(after, list) else (),
        )

    def gather(self, desk: Desk, before: RunInfo | None) -> MaintainFacts:
        """Raises `SshError` for a host that cannot be looked at, unless a window of it is under way.

        `UsageError` for a command that is a host, `ConfigurationError` for a power that cannot be cycled.
        """
        view, journal = desk.world(), desk.journal()
        key = cloud_key(view.identity())
        hosts = view.hosts()
        find_host(self.host, hosts)
        if self.options.task.argv[:1] and self.options.task.argv[0] in {host.name for host in hosts}:
            raise UsageError(
                f"maintain takes one host, and {self.options.task.argv[0]} is another one",
                hint="Take one after the other: a host that is away must not be given servers.",
            )
        place = desk.inventory().place(self.host) or Place(self.host, self.host, self.host)
        if self.options.task.reset is Reset.POWER_CYCLE and not place.fence_command:
            raise ConfigurationError(
                f"{self.host}: no fence command is configured",
                hint="Write nodeops_fence_command in the inventory, or use --pause and do it by hand.",
            )
        rows = journal.steps(before.id) if before else ()
        sent = frozenset(row.step.id for row in rows if row.state in OPEN)
        done = frozenset(row.step.id for row in rows if row.state in ENDED)
        learnt = journal.learnt(key)
        also = [server.id for server in before.plan.servers] if before and not done else ()
        drain = gather_drain(view, self.host, host_settings(desk), learnt, also=also)
        condition, seen = self._look(desk, before)
        return MaintainFacts(
            drain=replace(drain, begun=sent | done),
            condition=condition,
            before=(before_in(before.plan) if before else None) or seen,
            hooks_before=_filled((*self.before, place.before_maintenance or ""), place),
            hooks_after=_filled((*self.after, place.after_maintenance or ""), place),
            done=done,
            sent=sent,
            failed=frozenset(row.step.id for row in rows if row.state is StepState.FAILED),
            unknown=frozenset(row.step.id for row in rows if row.result.verdict is Verdict.UNKNOWN),
            away=self._away(desk, key, before) if before or not drain.host.enabled else None,
        )

    def _look(self, desk: Desk, before: RunInfo | None) -> tuple[Condition | None, Before | None]:
        """The host now; of a window under way it may be down, and what it was like is in the journal."""
        if before is None:
            desk.machine().boot(self.host)
        facts = gather_readiness(desk.world(), desk.machine(), self.host, now=time.time())
        if before is None and facts.condition is None:
            raise ApiError(facts.why_unseen("host"))
        return facts.condition, before_of(facts) if before is None else None

    def _away(self, desk: Desk, key: str, before: RunInfo | None) -> DrainFacts | None:
        """What was moved away, by this run and by a drain before it."""
        if not self.options.manners.give_back:
            return None
        moved = {each.server_id: each for each in desk.journal().moved_away(key, self.host)}
        for each in self._arrived(desk, before):
            moved.setdefault(each.server_id, each)
        if not moved:
            return None
        return gather_return(desk.world(), self.host, tuple(moved.values()), host_settings(desk))

    def _arrived(self, desk: Desk, before: RunInfo | None) -> Iterator[Moved]:
        """Servers whose move was sent and not seen to end, and which are elsewhere now."""
        if before is None:
            return
        states = {server.id: server.state for server in desk.journal().servers(before.id)}
        for row in desk.journal().steps(before.id):
            step = row.step
            if row.state not in OPEN or step.source != self.host:
                continue
            server = desk.world().server(step.subject_id)
            if server is not None and server.host not in {None, self.host}:
                state = states.get(server.id, {})
                yield Moved(server.id, server.name, self.host, str(server.host), dict(state))

    def plan(self, facts: MaintainFacts) -> Plan:
        for name in self.options.move.to:
            find_host(name, facts.drain.hosts)
        plan = plan_maintain(facts, self.options)
        hooks: dict[str, Json] = {"before": [*self.before], "after": [*self.after]}
        return replace(plan, options={**plan.options, **hooks})

    def retarget(self, facts: MaintainFacts, plan: Plan, step: Step, refused: frozenset[str]) -> Step | None:
        away = parts_of(plan).away
        if step.id not in {each.id for each in away.steps}:
            return None
        return replace_target(facts.drain, replace(away, runbook="drain"), step, refused)

    def probe(self, desk: Desk, facts: MaintainFacts) -> Probe | None:
        return desk.probe(self.options.move.probe, facts.drain.servers)

    def actions(self, desk: Desk) -> Mapping[str, Action]:
        machine = desk.machine()
        every: tuple[Action, ...] = (
            StopCompute(machine),
            KeepStopped(machine),
            StartCompute(machine),
            RunWork(machine, _script(self.options.task)),
            RebootHost(machine),
            RebootHost(machine, desk.power_switch()),
            Hook(run_hook),
            Pause(TerminalPerson(marker_of(self.host), partial(desk.err().print, soft_wrap=True))),
            WaitHost(machine),
            WaitReady(partial(self._assess, desk)),
        )
        return {action.name: action for action in every}

    def _assess(self, desk: Desk, view: View, step: Step) -> Sequence[Check]:
        said, accept = step.params.get("before"), step.params.get("accept")
        before = before_of_json(said) if isinstance(said, dict) else None
        let = [str(each) for each in accept] if isinstance(accept, list) else []
        return assess(view, desk.machine(), step.subject_id, time.time(), before, let)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        """Servers as after a drain or its way back; the host by how its own steps ended and how it stands."""
        view, parts = desk.world(), parts_of(plan, results)
        servers: list[ServerResult] = []
        findings: list[Finding] = []
        for part in (parts.away, parts.home):
            if part.servers:
                judged, wrong = judge(part, results, gather_evidence(view, part, results))
                servers += judged
                findings += wrong if part is parts.home else ()
        service = None
        try:
            service = desk.machine().compute(self.host)
        except ApiError as error:
            found = Finding(Level.WARNING, "host-unseen", error.message, error.hint, self.host)
            findings.append(found)
        order = {server.id: at for at, server in enumerate(plan.servers)}
        servers.sort(key=lambda result: order.get(result.id, 0))
        window = judge_window(plan, results, view.host(self.host), service)
        return tuple(servers), (*window, *findings)

    def question(self, plan: Plan) -> str:
        moves = sum(not each.refused and each.action is not ServerAction.NONE for each in plan.servers)
        stays = sum(each.refused or each.action is ServerAction.NONE for each in plan.servers)
        left = f", {stays} stay" if stays else ""
        return f"maintain {plan.host}: move {count(moves, 'server')}{left}, and do what is said above?"

    def ending(self, outcome: Outcome) -> NodeopsError | None:
        failed = window_failure(outcome.findings)
        again = (
            f"nodeops resume {outcome.run_id} tries it again; nodeops maintain {self.host} --finish goes on"
        )
        if outcome.interrupted_by is not None:
            goes_on = "; ".join(f"{words}" for words in outcome.still_running.values())
            return InterruptedRunError(
                f"{self.host}: interrupted; {goes_on or 'nothing goes on by itself'}",
                signal_number=outcome.interrupted_by,
                hint=f"nodeops resume {outcome.run_id} goes on with it.",
            )
        if failed is not None:
            return WindowOpenError(failed.words, hint=f"{failed.hint} {again} without the work.".strip())
        return Task.ending(self, outcome)

    def success(self, outcome: Outcome) -> str:
        moved = count(sum(each.verdict.good for each in outcome.servers), "server")
        home = "moved and back" if self.options.manners.give_back else "moved and checked"
        return f"{self.host} is through its window: {moved} {home}"


def task_said(
    argv: tuple[str, ...], script: str | None, *, pause: bool, reboot: bool, power_cycle: bool
) -> HostTask:
    """As it was typed. Raises `UsageError` for a script that cannot be read, or a secret in the command."""
    line = shlex.join(argv)
    if redact(line) != line:
        raise UsageError(
            "the command has a secret in it, which the journal would keep",
            hint="Put it into a script (--script FILE), or into a file on the host.",
        )
    reset = Reset.REBOOT if reboot else Reset.POWER_CYCLE if power_cycle else Reset.NONE
    if script is None:
        return HostTask(argv, pause=pause, reset=reset)
    path = Path(script).expanduser().resolve()
    digest = hashlib.sha256(_content(path).encode()).hexdigest()
    return HostTask(argv, str(path), digest, pause, reset)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is no text"
        raise UsageError(f"--script {path}: {str(words).lower()}", hint="Name a script of text.") from None


def _script(task: HostTask) -> str:
    """What it holds. Raises `UsageError` when it is not what was planned."""
    if not task.script:
        return ""
    content = _content(Path(task.script))
    if hashlib.sha256(content.encode()).hexdigest() != task.script_sha256:
        raise UsageError(
            f"--script {task.script} was changed since it was planned",
            hint="Plan anew with it, or put back the one that was approved.",
        )
    return content


def _filled(commands: Sequence[str], place: Place) -> tuple[str, ...]:
    filled = (
        each.replace("{host}", place.nova_host).replace("{address}", place.address) for each in commands
    )
    return tuple(each for each in filled if each.strip())


def run_hook(command: str) -> str:
    """Its last words. Raises `ApiError` when it fails or does not end in time."""
    from nodeops.clients.power import run

    words = shlex.split(command)
    try:
        ended = run(words, HOOK_SECONDS)
    except ConfigurationError as error:
        raise ApiError(error.message, status=400) from None
    if ended.code != 0:
        how = f"did not end within {HOOK_SECONDS:.0f} s" if ended.code is None else f"ended with {ended.code}"
        raise ApiError(f"{ended.program} {how}: {ended.words}", status=400)
    return ""


HOOK_SECONDS = 120.0


def go_on(desk: Desk, host: str) -> None:
    """Tell the run that pauses on this host that the person is done. Raises `UsageError` when none does."""
    run = desk.journal().unfinished(cloud_key(desk.world().identity()), host)
    rows = desk.journal().steps(run.id) if run else ()
    if not any(row.step.action == "pause-for-work" and row.state in OPEN for row in rows):
        raise UsageError(f"no run pauses on {host}", hint=f"nodeops runs --host {host} lists them.")
    owner = this_process()
    marker_of(host).write_text(f"{owner.user}@{owner.machine}")
    desk.err().print(f"{host}: its run goes on", soft_wrap=True)
