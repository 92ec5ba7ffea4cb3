"""nova-compute of several hosts: looked at, or changed, each in a run of its own."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from nodeops.actions.compute_service import KeepStopped, StartCompute, StopCompute
from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.perform import command_line
from nodeops.cli.showing import Shown, show
from nodeops.engine.executor import execute
from nodeops.engine.journal import Who
from nodeops.engine.signals import Stop
from nodeops.errors import (
    SIGNAL_BASE,
    ApiError,
    FailedError,
    FindingsError,
    HostBusyError,
    InterruptedRunError,
    NodeopsError,
    PartlyDoneError,
    RefusedError,
)
from nodeops.events import Event, Noted, StepEnded
from nodeops.gates import GATES
from nodeops.model.machine import Condition, Machine
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Level, Plan
from nodeops.report.console import line
from nodeops.report.figures import count
from nodeops.report.host_view import (
    condition_document,
    condition_lines,
    conditions_markdown,
    conditions_table,
)
from nodeops.report.plan_view import finding_lines
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.service import Verb, plan_service

Value = TypeVar("Value")
GOOD = frozenset({StepState.DONE, StepState.SKIPPED})
DONE = {Verb.STOP: "stopped", Verb.START: "started", Verb.RESTART: "restarted"}


def on_all(
    hosts: Sequence[str], question: Callable[[str], Value], at_once: int
) -> dict[str, Value | ApiError]:
    """Ask many hosts, so many at once; each answers, or has its error."""

    def ask_one(host: str) -> Value | ApiError:
        try:
            return question(host)
        except ApiError as error:
            return error

    with ThreadPoolExecutor(max(1, min(at_once, len(hosts)))) as pool:
        return dict(zip(hosts, pool.map(ask_one, hosts), strict=True))


def show_conditions(desk: Desk, hosts: Sequence[str], output: Format, *, at_once: int) -> None:
    """Raises the error of a host that could not be looked at, and `FindingsError` for one that is down."""
    answers = on_all(hosts, desk.machine().condition, at_once)
    seen = [each for each in answers.values() if isinstance(each, Condition)]
    errors = {host: each for host, each in answers.items() if isinstance(each, ApiError)}

    def parts(_width: int) -> Sequence[Any]:
        found: list[Any] = [conditions_table(seen)] if seen else []
        found += ["", *condition_lines(seen[0])] if len(seen) == 1 else []
        return [*found, *(line((each.message, "bad")) for each in errors.values())]

    document = {
        "hosts": [condition_document(each) for each in seen],
        "errors": {host: each.message for host, each in errors.items()},
    }
    show(desk, output, Shown(lambda: document, lambda: conditions_markdown(seen), parts))
    if errors:
        raise next(iter(errors.values()))
    down = [each.host for each in seen if not (each.compute and each.compute.running)]
    if down:
        raise FindingsError(
            f"nova-compute does not run on {', '.join(down)}", hint=f"nodeops host {down[0]} start"
        )


def show_logs(
    desk: Desk, hosts: Sequence[str], output: Format, *, lines: int, seconds: float | None, at_once: int
) -> None:
    """Raises the error of a host that could not be looked at, once the others were shown."""
    machine, since = desk.machine(), None if seconds is None else time.time() - seconds
    answers = on_all(hosts, lambda host: machine.logs(host, lines=lines, since=since), at_once)
    seen = {host: each for host, each in answers.items() if not isinstance(each, ApiError)}

    def parts(_width: int) -> Sequence[str]:
        mark = len(hosts) > 1
        return [f"{host}: {text}" if mark else text for host, each in seen.items() for text in each]

    document = {"logs": {host: list(each) for host, each in seen.items()}}
    show(desk, output, Shown(lambda: document, lambda: "\n".join(parts(0)) + "\n", parts))
    for each in answers.values():
        if isinstance(each, ApiError):
            raise each


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done, and to whom."""

    hosts: tuple[str, ...]
    verb: Verb
    keep: bool = False
    at_once: int = 8


def change_services(desk: Desk, change: Change, manner: Manner) -> int:
    """Look, show, ask, and change each in a run of its own; the exit code.

    Raises `NodeopsError` when a host cannot be looked at (then none is touched) or was not changed.
    """
    plans = _plans(desk, change)
    out = desk.out() if manner.output is Format.TABLE else desk.err()
    for plan in plans:
        for finding in plan.findings:
            out.print(finding_lines(finding))
        steps = ", then ".join(step.action for step in plan.steps) or "nothing to do"
        out.print(line((f"{plan.host}: ", "host"), steps), soft_wrap=True)
    for plan in plans:
        for finding in plan.findings:
            if finding.level is Level.ERROR:
                raise RefusedError(finding.words, hint=finding.hint)
    changing = [plan for plan in plans if plan.steps]
    if manner.dry_run or not changing:
        return 0
    names = ", ".join(plan.host for plan in changing)
    ask.confirm(changing[0], f"{change.verb} nova-compute on {names}?", yes=manner.yes)
    return _conclude(desk, change, manner, _run(desk, changing, change.at_once))


def _plans(desk: Desk, change: Change) -> list[Plan]:
    cloud = cloud_key(desk.world().identity())
    for host in change.hosts:
        run = desk.journal().unfinished(cloud, host)
        if run is not None and run.owner_alive:
            raise HostBusyError(
                f"host {host} is held by run {run.id} ({run.runbook}) of {run.user}@{run.machine}",
                hint=f"Wait for it; nodeops show {run.id} tells what it does.",
            )
    answers = on_all(change.hosts, desk.machine().compute, change.at_once)
    plans = []
    for host, answer in answers.items():
        if isinstance(answer, ApiError):
            raise answer
        plans.append(plan_service(host, change.verb, answer, cloud, keep=change.keep))
    return plans


def _run(desk: Desk, plans: Sequence[Plan], at_once: int) -> Mapping[str, StepResult | NodeopsError]:
    """The last result of each host, or why it has none."""
    err, lock = desk.err(), Lock()
    machine, world, journal = desk.machine(), desk.world(), desk.journal()
    who = Who.here(world.identity().user, command_line())

    def tell(event: Event) -> None:
        if isinstance(event, StepEnded):
            words = (
                f"  {event.step.subject_name}: {event.step.action} {event.result.state}: {event.result.words}"
            )
        elif isinstance(event, Noted):
            words = f"  {event.words}"
        else:
            return
        with lock:
            err.print(words, soft_wrap=True)

    with Stop().listening() as stop:

        def change_one(plan: Plan) -> StepResult | NodeopsError:
            try:
                record = journal.begin(plan, who)
                execution = execute(
                    record,
                    plan,
                    world,
                    actions=service_actions(machine),
                    gates=GATES,
                    options=MoveOptions(canary=False, retries=1, max_failures=None),
                    listener=tell,
                    stop=stop,
                    clock=desk.clock(stop),
                    retarget=lambda _step, _refused: None,
                )
            except NodeopsError as error:
                return error
            outcome = Outcome(record.id, plan, (), (), execution.started, execution.ended)
            bad = [each for each in execution.step_results if each.state not in GOOD]
            if execution.interrupted_by is not None:
                number = execution.interrupted_by
                record.leave(SIGNAL_BASE + number, f"stopped by signal {number}", outcome)
                return InterruptedRunError(f"{plan.host}: interrupted", signal_number=number)
            record.finish(outcome, FailedError.exit_code if bad else 0)
            return bad[0] if bad else execution.step_results[-1]

        with ThreadPoolExecutor(max(1, min(at_once, len(plans)))) as pool:
            results = list(pool.map(change_one, plans))
    return dict(zip((plan.host for plan in plans), results, strict=True))


def service_actions(machine: Machine) -> Mapping[str, Any]:
    """By the names that steps use."""
    every = (StopCompute(machine), KeepStopped(machine), StartCompute(machine))
    return {action.name: action for action in every}


def _conclude(
    desk: Desk, change: Change, manner: Manner, results: Mapping[str, StepResult | NodeopsError]
) -> int:
    done = DONE[change.verb]
    wrong = {host: _words(each) for host, each in results.items() if _words(each)}
    good = [host for host in results if host not in wrong]
    words = f"nova-compute {done} on {count(len(good), 'host')}: {', '.join(good)}" if good else ""
    document = {"verb": str(change.verb), "done": good, "failed": wrong}
    shown = Shown(lambda: document, lambda: f"{words}\n", lambda _width: [words] if words else [])
    show(desk, manner.output, shown)
    for each in results.values():
        if isinstance(each, NodeopsError):
            raise each
    if not wrong:
        return 0
    host, why = next(iter(wrong.items()))
    kind = PartlyDoneError if good else FailedError
    raise kind(f"{host}: nova-compute was not {done}: {why}", hint=f"nodeops host {host} logs shows why.")


def _words(result: StepResult | NodeopsError) -> str:
    """What went wrong; empty when nothing did."""
    if isinstance(result, NodeopsError):
        return result.message
    return "" if result.state in GOOD else result.words or str(result.state)
