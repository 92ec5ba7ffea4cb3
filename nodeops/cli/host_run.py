"""The journal around changes on one host: each is written down before it is made."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from nodeops.cli.desk import Desk
from nodeops.cli.perform import command_line
from nodeops.engine.journal import Who
from nodeops.engine.record import RunRecord
from nodeops.errors import HostBusyError, NodeopsError, OutcomeUnknownError
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Plan, Step
from nodeops.report.figures import moment

Value = TypeVar("Value")


@dataclass
class HostRun:
    record: RunRecord
    desk: Desk
    failed: list[str] = field(default_factory=list)

    def make(self, step: Step, change: Callable[[], Value]) -> Value | None:
        """One change; None when it failed, which the run goes on after. Raises what leaves it unknown."""
        at = self.desk.now()
        self.record.sending(step, 1, at)
        try:
            made = change()
        except NodeopsError as error:
            unknown = isinstance(error, OutcomeUnknownError) or getattr(error, "ambiguous", False)
            self._ended(step, StepState.UNKNOWN if unknown else StepState.FAILED, error.message, at)
            self.failed.append(f"{step.subject_name}: {error.message}")
            if unknown:
                raise OutcomeUnknownError(error.message, hint="The same command again looks.") from error
            return None
        self._ended(step, StepState.DONE, "", at)
        return made

    def _ended(self, step: Step, state: StepState, words: str, at: float) -> None:
        seconds = round(self.desk.now() - at, 3)
        result = StepResult(step.id, step.subject_id, step.action, state, words, attempts=1, seconds=seconds)
        self.record.ended(step, result)


def refuse_busy(desk: Desk, key: str, host: str) -> None:
    """Raises `HostBusyError` while another run works on the host."""
    before = desk.journal().unfinished(key, host)
    if before and before.owner_alive:
        who = before.owner.words if before.owner else before.user
        raise HostBusyError(
            f"host {host} is held by run {before.id} ({before.runbook}) of {who} "
            f"since {moment(before.owner_since)}",
            hint=f"Wait for it; nodeops show {before.id} tells what it does.",
        )


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
