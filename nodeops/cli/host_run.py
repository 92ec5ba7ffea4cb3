"""The journal around changes: each is written down before it is made."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from nodeops.cli import refusal
from nodeops.cli.desk import Desk
from nodeops.cli.perform import command_line
from nodeops.engine.journal import Who
from nodeops.engine.record import RunRecord
from nodeops.errors import NodeopsError, OutcomeUnknownError
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Plan, Step

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Changes:
    """Those of one run."""

    record: RunRecord
    now: Callable[[], float]

    def make(self, step: Step, change: Callable[[], Value]) -> Value:
        """One change; raises what it raises."""
        at = self.now()
        self.record.sending(step, 1, at)
        try:
            made = change()
        except NodeopsError as error:
            state = StepState.UNKNOWN if _unsure(error) else StepState.FAILED
            self._ended(step, state, error.message, at)
            raise
        self._ended(step, StepState.DONE, "", at)
        return made

    def _ended(self, step: Step, state: StepState, words: str, at: float) -> None:
        seconds = round(self.now() - at, 3)
        result = StepResult(step.id, step.subject_id, step.action, state, words, attempts=1, seconds=seconds)
        self.record.ended(step, result)


@dataclass
class HostRun:
    """Changes on one host that go on when one of them fails."""

    record: RunRecord
    desk: Desk
    failed: list[str] = field(default_factory=list)

    def make(self, step: Step, change: Callable[[], Value]) -> Value | None:
        """One change; None when it failed. Raises `OutcomeUnknownError`."""
        try:
            return Changes(self.record, self.desk.now).make(step, change)
        except NodeopsError as error:
            self.failed.append(f"{step.subject_name}: {error.message}")
            if _unsure(error):
                raise OutcomeUnknownError(error.message, hint="The same command again looks.") from error
            return None


def _unsure(error: NodeopsError) -> bool:
    """Whether the change may have been made all the same."""
    return isinstance(error, OutcomeUnknownError) or bool(getattr(error, "ambiguous", False))


def refuse_busy(desk: Desk, key: str, host: str) -> None:
    """Raises `HostBusyError` while another run works on the host."""
    before = desk.journal().unfinished(key, host)
    if before and before.owner_alive:
        raise refusal.held(f"host {host}", before)


@contextmanager
def running(desk: Desk, plan: Plan, exit_code: Callable[[HostRun], int]) -> Iterator[HostRun]:
    """Finished when it comes to its end, whatever failed in it; left to be gone on with else."""
    who = Who.here(desk.world().identity().user, command_line())
    record, began = desk.journal().begin(plan, who), desk.now()
    run = HostRun(record, desk)
    with ExitStack() as otherwise:
        otherwise.callback(record.leave, OutcomeUnknownError.exit_code, "ended in the middle")
        yield run
        otherwise.pop_all()
    record.finish(Outcome(record.id, plan, (), started=began, ended=desk.now()), exit_code(run))
