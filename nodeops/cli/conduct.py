"""One command from beginning to end: gather, plan, show, ask, run, verify, report."""

from dataclasses import dataclass, replace
from pathlib import Path

from nodeops import plan_file
from nodeops.cli import ask, refusal
from nodeops.cli.desk import Desk
from nodeops.cli.history import find_run
from nodeops.cli.options import Manner
from nodeops.cli.perform import Agreed, perform
from nodeops.cli.present import Presenter
from nodeops.engine.journal import RunInfo
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    DeclinedError,
    HostBusyError,
    NodeopsError,
    StalePlanError,
    UsageError,
)
from nodeops.facts import DrainFacts
from nodeops.gather import find_host, gather_drain, gather_return
from nodeops.plan import Action, Plan
from nodeops.report.figures import count, moment
from nodeops.runbooks.drain import plan_drain
from nodeops.runbooks.options import MoveOptions, cloud_key, options_of
from nodeops.runbooks.undrain import plan_undrain


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done: a runbook on a host."""

    runbook: str
    host: str
    options: MoveOptions
    give_back: bool = False
    force: bool = False
    approved: Plan | None = None
    """What the plan must still come to."""


def carry_out(desk: Desk, task: Task, manner: Manner) -> int:
    """Do it, and return the exit code.

    Raises `NodeopsError` for every end but the good ones; the plan or the run has been shown by then.
    """
    presenter = Presenter(desk, manner)
    before = desk.journal().unfinished(cloud_key(desk.world().identity()), task.host)
    if before and before.owner_alive and not manner.dry_run:
        raise _busy(before)
    if before and before.runbook != task.runbook:
        presenter.say(f"run {before.id} ({before.runbook}) was not finished; this command takes its place")
        before = None
    facts = gather(desk, task, before)
    plan = refusal.with_window(make_plan(task, facts), manner.window)
    error = _objection(plan, task, before, presenter)
    if error or manner.dry_run:
        return _only_show(plan, error, presenter, manner)
    if not plan.steps and not before:
        presenter.plan(plan)
        presenter.say(f"{task.host}: nothing to do")
        return 0
    presenter.plan_before_asking(plan)
    try:
        ask.confirm(plan, _question(plan, before), yes=manner.yes)
    except DeclinedError as declined:
        presenter.not_run(plan, declined)
        raise
    return perform(desk, Agreed(facts, plan, task.options), presenter)


def gather(desk: Desk, task: Task, before: RunInfo | None) -> DrainFacts:
    """The facts for the task, with what the journal and the inventory know."""
    view, journal = desk.world(), desk.journal()
    key = cloud_key(view.identity())
    settings = {name: desk.inventory().settings(name) for name in desk.inventory().places}
    if task.runbook == "undrain":
        moved = journal.moved_away(key, task.host) if task.give_back else ()
        facts = gather_return(view, task.host, moved, settings, journal.learnt(key))
    else:
        also = [server.id for server in before.plan.servers] if before else ()
        facts = gather_drain(view, task.host, settings, journal.learnt(key), also=also)
    sent = [row.step.id for row in journal.steps(before.id) if row.attempt] if before else ()
    return replace(facts, begun=frozenset(sent))


def make_plan(task: Task, facts: DrainFacts) -> Plan:
    """The runbook's plan; raises `UnknownHostError` for a target that does not exist."""
    for name in task.options.to:
        find_host(name, facts.hosts)
    if task.runbook == "undrain":
        return plan_undrain(facts, task.options, force=task.force)
    return plan_drain(facts, task.options)


def _objection(plan: Plan, task: Task, before: RunInfo | None, presenter: Presenter) -> NodeopsError | None:
    approved = task.approved
    going_on = before is not None and approved is not None and refusal.is_rest_of(plan, approved)
    if approved is not None and approved.digest != plan.digest and not going_on:
        lines = plan_file.difference(approved, plan)
        presenter.stale(lines)
        return StalePlanError(
            f"{plan.host}: {count(len(lines), 'thing')} changed since the plan was approved",
            hint=f"Make a new plan: nodeops plan {plan.runbook} {plan.host} -o FILE",
        )
    return refusal.objection(plan, leave_refused=task.options.leave_refused)


def _only_show(plan: Plan, error: NodeopsError | None, presenter: Presenter, manner: Manner) -> int:
    code = PLAN_HAS_CHANGES if manner.exit_code and plan.steps else 0
    if str(manner.out) != "-" or error:
        presenter.plan(plan, error=error, code=code)
    if error:
        raise error
    if manner.out:
        plan_file.write(manner.out, plan)
        presenter.say(f"plan {plan.digest} is in {manner.out}")
    return code


def _busy(run: RunInfo) -> HostBusyError:
    who = run.owner.words if run.owner else run.user
    return HostBusyError(
        f"host {run.host} is held by run {run.id} ({run.runbook}) of {who} since {moment(run.owner_since)}",
        hint=f"Wait for it; nodeops show {run.id} tells what it does.",
    )


def _question(plan: Plan, before: RunInfo | None) -> str:
    moves = sum(not server.refused and server.action is not Action.NONE for server in plan.servers)
    going_on = f"Continue run {before.id} of {moment(before.started)}: " if before else ""
    if not moves:
        change = "disable it" if plan.runbook == "drain" else "enable it"
        return f"{going_on}{plan.runbook} {plan.host}: no server to move, {change}?"
    left = f", leave {len(plan.refused)} behind" if plan.refused else ""
    return f"{going_on}{plan.runbook} {plan.host}: move {count(moves, 'server')}{left}?"


def apply_file(desk: Desk, path: Path, manner: Manner) -> int:
    """Run an approved plan, or raise `StalePlanError` with the difference shown."""
    approved = plan_file.read(path, cloud=cloud_key(desk.world().identity()))
    return carry_out(desk, _task_of(approved, approved), manner)


def resume_run(desk: Desk, name: str, manner: Manner) -> int:
    """Plan the rest of a run anew and do it."""
    run = find_run(desk.journal(), name)
    if not run.unfinished:
        raise UsageError(
            f"run {run.id} is {run.state}: there is nothing to go on with",
            hint=f"nodeops show {run.id} tells how it ended; nodeops {run.runbook} {run.host} begins anew.",
        )
    key = cloud_key(desk.world().identity())
    if run.cloud != key:
        raise UsageError(
            f"run {run.id} is of {run.cloud}, this is {key}", hint="Choose its cloud with --os-cloud."
        )
    return carry_out(desk, _task_of(run.plan, None), manner)


def _task_of(plan: Plan, approved: Plan | None) -> Task:
    return Task(
        plan.runbook,
        plan.host,
        options_of(plan),
        give_back=bool(plan.options.get("give_back")),
        force=bool(plan.options.get("force")),
        approved=approved,
    )
