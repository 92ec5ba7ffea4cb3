"""Nova's lock on a server whose disk is open for writing: its owner cannot start it meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from nodeops.cli.desk import Desk
from nodeops.cli.host_run import Changes
from nodeops.engine.record import RunRecord
from nodeops.errors import ApiError, FailedError
from nodeops.model.facts import Server
from nodeops.plan import Plan, Step
from nodeops.runbooks.inspect import LOCK, UNLOCK, WRITABLE, locked_by_run


@dataclass(frozen=True, slots=True)
class ServerLock:
    """Of one run."""

    desk: Desk
    record: RunRecord
    plan: Plan

    @contextmanager
    def held(self, may_be_open: Callable[[], bool]) -> Iterator[None]:
        """Locked within, if the plan says so; stays on as long as the disk may be open.

        Raises `FailedError` when it is locked by another or is not off any more, or when it is left locked.
        """
        steps = {step.action: step for step in self.plan.steps}
        with ExitStack() as after:
            if LOCK in steps:
                after.callback(self._take_off, steps[UNLOCK], may_be_open)
                self._put_on(steps[LOCK])
            yield

    def _put_on(self, step: Step) -> None:
        """Nova replaces a lock that is there: it is looked at before, and again afterwards."""
        world = self.desk.world()

        def lock() -> None:
            before = world.server(step.subject_id)
            words = _objection(before, "" if before is None else locked_by_run(before))
            if not words:
                world.lock(step.subject_id, self.record.reason)
                words = _objection(world.server(step.subject_id), self.record.id)
            if words:
                raise FailedError(f"{_named(step)} {words}; nothing was opened", hint="Look again.")

        self._changes.make(step, lock)

    def _take_off(self, step: Step, may_be_open: Callable[[], bool]) -> None:
        hint = f"nodeops inspect --clean {self.plan.host} takes the lock off when the disk is closed."
        if may_be_open():
            self.desk.err().print(f"{_named(step)} stays locked in Nova. {hint}", soft_wrap=True)
            return
        try:
            self._changes.make(step, lambda: take_off(self.desk, step.subject_id, self.record.id))
        except ApiError as error:
            raise FailedError(f"{_named(step)} is left locked: {error.message}", hint=hint) from error

    @property
    def _changes(self) -> Changes:
        return Changes(self.record, self.desk.now)


def take_off(desk: Desk, server_id: str, run: str) -> None:
    """The lock of that run, and no other. Raises `ApiError`."""
    found = desk.world().server(server_id)
    if found is not None and locked_by_run(found) == run:
        desk.world().unlock(server_id)


def _objection(found: Server | None, run: str) -> str:
    """Why its disk is not opened for writing with a lock of that run."""
    if found is None:
        return "is gone"
    if found.locked and (not run or locked_by_run(found) != run):
        return f"is locked by another: {found.locked_reason or 'no reason was given'}"
    if run and not found.locked:
        return "is not locked, though Nova took it"
    if found.task_state or found.vm_state not in WRITABLE:
        return f"is {found.task_state or found.vm_state} now"
    return ""


def _named(step: Step) -> str:
    return f"server {step.subject_name} ({step.subject_id})"
