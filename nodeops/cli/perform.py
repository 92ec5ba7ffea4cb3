"""A plan that was agreed to: run it, look at what came of it, say so."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from nodeops.actions.registry import ACTIONS
from nodeops.cli.desk import Desk
from nodeops.cli.diagnosing import diagnosed
from nodeops.cli.exit_codes import exit_code
from nodeops.cli.present import Presenter
from nodeops.cli.task import Task
from nodeops.engine.clock import Clock
from nodeops.engine.executor import Execution, execute
from nodeops.engine.journal import Who
from nodeops.engine.record import RunRecord
from nodeops.engine.signals import Stop
from nodeops.errors import (
    ApiError,
    AuthenticationError,
    InterruptedRunError,
    NodeopsError,
    NotVerifiedError,
    OutcomeUnknownError,
    WindowOpenError,
)
from nodeops.events import Event, Listener
from nodeops.gates import GATES
from nodeops.log import redact
from nodeops.model.blackout import Blackout
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Finding, Level, Plan, Verdict

Judgement: TypeAlias = tuple[tuple[ServerResult, ...], tuple[Finding, ...]]
SETTLE_LOOKS = 10
SETTLE_PAUSE = 2.0
UNSETTLED = frozenset({"migrations-running", "ports-coming-up", "port-down"})
"""Findings that go away by themselves, as a rule soon."""
TO_BE_RESUMED = (InterruptedRunError, OutcomeUnknownError, NotVerifiedError, WindowOpenError)
UNTOUCHED = frozenset({StepState.PENDING, StepState.SKIPPED, StepState.BLOCKED})


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was planned, out of what, as it was approved."""

    task: Task[Any]
    facts: Any
    """What `task.gather` found."""
    plan: Plan


def perform(desk: Desk, agreed: Agreed, presenter: Presenter) -> int:
    """Run it and return 0; raises `NodeopsError` for every other end, when the result has been shown.

    From the first line of the journal on, no error is one of those after which nothing was changed.
    """
    who = Who.here(desk.world().identity().user, command_line())
    record = desk.journal().begin(agreed.plan, who)
    if record.resumed:
        presenter.say(f"continuing run {record.id}")
    try:
        with Stop().listening() as stop:
            execution, blackouts = _execute(desk, agreed, record, presenter, stop)
            clock = desk.clock(stop)
            blind, outcome = _verify(desk, agreed.task, record, execution, clock)
            outcome = diagnosed(desk, with_blackouts(outcome, blackouts), presenter.say)
    except OutcomeUnknownError:
        raise
    except NodeopsError as error:
        record.leave(OutcomeUnknownError.exit_code, error.message)
        raise OutcomeUnknownError(f"run {record.id}: {error.message}", hint=_again(record)) from error
    wrong = blind or _end(record, agreed.task, outcome, execution)
    return _conclude(record, outcome, wrong, presenter, agreed.task.success(outcome))


def command_line() -> str:
    """As it was typed, without secrets."""
    return redact(shlex.join(["nodeops", *sys.argv[1:]]))


def _execute(
    desk: Desk, agreed: Agreed, record: RunRecord, presenter: Presenter, stop: Stop
) -> tuple[Execution, Mapping[str, Blackout]]:
    whole = record.whole_plan()
    probe = agreed.task.probe(desk, agreed.facts)
    with presenter.watcher(whole) as watcher, probe or nullcontext():
        watcher.watch.seed(record.step_results())
        execution = execute(
            record,
            agreed.plan,
            desk.world(),
            actions={**ACTIONS, **agreed.task.actions(desk)},
            gates=GATES,
            options=agreed.task.limits,
            listener=both(watcher, probe) if probe else watcher,
            stop=stop,
            clock=desk.clock(stop),
            retarget=partial(agreed.task.retarget, agreed.facts, agreed.plan),
            want_progress=presenter.live,
        )
    return execution, probe.blackouts() if probe else {}


def both(first: Listener, second: Listener) -> Listener:
    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell


def with_blackouts(outcome: Outcome, blackouts: Mapping[str, Blackout]) -> Outcome:
    """With what was measured of each server; a warning for one that answered before and is silent now."""
    return replace(
        outcome,
        servers=tuple(
            _with_blackout(result, blackouts[result.id]) if result.id in blackouts else result
            for result in outcome.servers
        ),
    )


def _with_blackout(result: ServerResult, blackout: Blackout) -> ServerResult:
    if not blackout.silent:
        return replace(result, blackout=blackout)
    words = f"server {result.name} ({result.id}): {blackout.words}"
    hint = "See whether it runs and can be reached: its console, its port, and its network."
    finding = Finding(Level.WARNING, "silent-since-move", words, hint, result.id)
    return replace(result, blackout=blackout, findings=(*result.findings, finding))


def _verify(
    desk: Desk, task: Task[Any], record: RunRecord, execution: Execution, clock: Clock
) -> tuple[NodeopsError | None, Outcome]:
    """Verdicts from what is seen now, and an error when nothing can be seen."""
    plan, results = record.whole_plan(), record.step_results()
    error: NodeopsError | None = None
    try:
        servers, findings = judge_settled(partial(task.judge, desk, plan, results), clock)
    except (ApiError, AuthenticationError) as blind:
        servers, findings = _unseen(plan, results, blind.message), ()
        words = f"{plan.host}: what came of it could not be looked at: {blind.message}"
        error = NotVerifiedError(words, hint=_again(record))
    return error, Outcome(
        run_id=record.id,
        plan=plan,
        servers=servers,
        findings=findings,
        started=execution.started,
        ended=execution.ended,
        interrupted_by=execution.interrupted_by,
        still_running=execution.still_running,
    )


def judge_settled(judge: Callable[[], Judgement], clock: Clock) -> Judgement:
    """The judgement once Nova has closed its records, and network agents have seen to their ports.

    A moved server shows on its new host a moment before its migration is `completed`
    (`nova/compute/manager.py`, `_post_live_migration`), and a port that is bound elsewhere is DOWN until the
    agent there has reported it (`neutron/plugins/ml2/rpc.py`, `update_device_up`).
    """
    servers, findings = judge()
    for _ in range(SETTLE_LOOKS):
        of_servers = (finding for server in servers for finding in server.findings)
        if not any(finding.code in UNSETTLED for finding in (*findings, *of_servers)):
            break
        clock.sleep(SETTLE_PAUSE)
        servers, findings = judge()
    return servers, findings


def _unseen(plan: Plan, results: Sequence[StepResult], words: str) -> tuple[ServerResult, ...]:
    """LEFT for what nothing was sent for, UNKNOWN for the rest."""
    touched = {result.subject_id for result in results if result.state not in UNTOUCHED}
    return tuple(
        ServerResult(
            id=server.id,
            name=server.name,
            action=str(server.action),
            verdict=Verdict.UNKNOWN if server.id in touched else Verdict.LEFT,
            reason=words if server.id in touched else "not begun",
        )
        for server in plan.servers
    )


def _again(record: RunRecord) -> str:
    return f"nodeops resume {record.id} looks again and goes on."


def _end(record: RunRecord, task: Task[Any], outcome: Outcome, execution: Execution) -> NodeopsError | None:
    error = task.ending(outcome)
    if execution.lost and not isinstance(error, InterruptedRunError):
        return OutcomeUnknownError(execution.lost, hint=_again(record))
    return error


def _conclude(
    record: RunRecord, outcome: Outcome, error: NodeopsError | None, presenter: Presenter, success: str
) -> int:
    code = exit_code(error) if error else 0
    if isinstance(error, TO_BE_RESUMED):
        record.leave(code, error.message, outcome)
    else:
        record.finish(outcome, code)
    presenter.outcome(outcome, error.message if error else success, error)
    if error:
        raise error
    return 0
