"""One command from beginning to end: gather, plan, show, ask, run, verify, report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeops.cli import plan_file, refusal
from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import command_of
from nodeops.cli.history import find_run, refuse_other_cloud
from nodeops.cli.options import Manner
from nodeops.cli.perform import Agreed, perform
from nodeops.cli.present import Presenter
from nodeops.cli.task import Task, task_of
from nodeops.engine.journal import RunInfo
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    DeclinedError,
    NodeopsError,
    StalePlanError,
    UsageError,
)
from nodeops.plan import Plan
from nodeops.report.figures import count, moment
from nodeops.runbooks.options import cloud_key


def carry_out(desk: Desk, task: Task[Any], manner: Manner, *, approved: Plan | None = None) -> int:
    """Do it, and return the exit code; `approved` is what the plan must still come to.

    Raises `NodeopsError` for every end but the good ones; the plan or the run has been shown by then.
    """
    presenter = Presenter(desk, manner)
    before = desk.journal().unfinished(cloud_key(desk.world().identity()), task.host)
    if before and before.owner_alive and not manner.dry_run:
        raise refusal.held(f"host {before.host}", before)
    if before and before.runbook != task.runbook:
        task.refuse_place_of(before)
        presenter.say(f"run {before.id} ({before.runbook}) was not finished; this command takes its place")
        before = None
    facts = task.gather(desk, before)
    plan = refusal.with_window(task.plan(facts), manner.window)
    error = _objection(plan, task, approved, before, presenter)
    if error or manner.dry_run:
        statements = task.statements(desk, plan) if manner.dry_run else ()
        return _only_show(plan, error, presenter, manner, statements)
    if not plan.steps and not before:
        presenter.plan(plan)
        presenter.say(f"{task.host}: nothing to do")
        return 0
    presenter.plan_before_asking(plan)
    going_on = f"Continue run {before.id} of {moment(before.started)}: " if before else ""
    try:
        task.confirm(plan, going_on + task.question(plan), yes=manner.yes)
    except DeclinedError as declined:
        presenter.not_run(plan, declined)
        raise
    return perform(desk, Agreed(task, facts, plan), presenter)


def _objection(
    plan: Plan, task: Task[Any], approved: Plan | None, before: RunInfo | None, presenter: Presenter
) -> NodeopsError | None:
    going_on = before is not None and approved is not None and refusal.is_rest_of(plan, approved)
    if approved is not None and approved.digest != plan.digest and not going_on:
        lines = plan_file.difference(approved, plan)
        presenter.stale(lines)
        return StalePlanError(
            f"{plan.host}: {count(len(lines), 'thing')} changed since the plan was approved",
            hint=f"Make a new plan: nodeops plan {plan.runbook} {plan.host} -o FILE",
        )
    return refusal.objection(plan, leave_refused=task.leave_refused) or task.objection(plan)


def _only_show(
    plan: Plan,
    error: NodeopsError | None,
    presenter: Presenter,
    manner: Manner,
    statements: Sequence[str],
) -> int:
    code = PLAN_HAS_CHANGES if manner.exit_code and plan.steps else 0
    if str(manner.out) != "-" or error:
        presenter.plan(plan, error=error, code=code, statements=statements)
    if error:
        raise error
    if manner.out:
        plan_file.write(manner.out, plan)
        presenter.say(f"plan {plan.digest} is in {manner.out}")
    return code


def apply_file(desk: Desk, path: Path, manner: Manner) -> int:
    """Run an approved plan, or raise `StalePlanError` with the difference shown."""
    approved = plan_file.read(path, cloud=cloud_key(desk.world().identity()))
    return carry_out(desk, task_of(approved).answered(manner.confirm), manner, approved=approved)


def resume_run(desk: Desk, name: str, manner: Manner) -> int:
    """Plan the rest of a run anew and do it."""
    run = find_run(desk.journal(), name)
    if not run.unfinished:
        raise UsageError(
            f"run {run.id} is {run.state}: there is nothing to go on with",
            hint=f"nodeops show {run.id} tells how it ended; {command_of(run.plan)} begins anew.",
        )
    refuse_other_cloud(desk, run)
    return carry_out(desk, task_of(run.plan).answered(manner.confirm), manner)
