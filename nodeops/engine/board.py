"""Where every step of a run stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nodeops.actions.action import Sent
from nodeops.engine.record import StepRow
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Plan, Step, StepId

OVERDUE_FACTOR = 1.5
OVERDUE_SECONDS = 20.0
QUEUED_ACTIONS = frozenset({"live-migrate", "block-migrate"})
"""Of these a source runs only so many at once and queues the rest; of other moves Nova limits nothing."""
GOOD = frozenset({StepState.DONE, StepState.SKIPPED})
UNSETTLED = frozenset({StepState.SENT, StepState.UNKNOWN})
"""What only a look can settle after a crash."""
MADE = UNSETTLED | {StepState.DONE}


@dataclass(slots=True)
class Moving:
    """A step that was sent and has not been seen to end."""

    step: Step
    """As it was sent."""
    sent_at: float
    attempt: int
    request_id: str = ""
    ambiguous: bool = False
    began: float | None = None
    """When Nova is taken to have begun with it; None while it is queued behind others."""
    contradiction_since: float | None = None
    """Since when Nova's records contradict each other."""
    stuck_words: str = ""
    """What was done about it once it was over its budget."""
    give_up_at: float | None = None
    blind_since: float | None = None
    """Since when it cannot be looked at."""
    words: str = ""

    def sent(self, now: float) -> Sent:
        return Sent(
            at=self.sent_at,
            request_id=self.request_id,
            attempt=self.attempt,
            ambiguous=self.ambiguous,
            waited=now - self.sent_at,
            overdue=self.elapsed(now) > OVERDUE_FACTOR * self.step.expected_seconds + OVERDUE_SECONDS,
        )

    def elapsed(self, now: float) -> float:
        """Seconds of work on it, without the time it was queued."""
        return 0.0 if self.began is None else now - self.began


@dataclass(slots=True)
class Board:
    """Every step of the plan, and those an earlier part of the run left to be seen to."""

    steps: dict[StepId, Step]
    """As they would be sent next."""
    moving: dict[StepId, Moving] = field(default_factory=dict)
    """In the order of sending."""
    results: dict[StepId, StepResult] = field(default_factory=dict)
    earlier: dict[StepId, StepResult] = field(default_factory=dict)
    """How steps ended in earlier parts of the run that are not planned any more."""
    attempts: dict[StepId, int] = field(default_factory=dict)
    request_ids: dict[StepId, str] = field(default_factory=dict)
    """Nova's id of the last request for a step."""
    refused_targets: dict[StepId, set[str]] = field(default_factory=dict)
    waiting: dict[StepId, float] = field(default_factory=dict)
    """Since when a step could be made but for something that ends by itself."""
    waits_for: dict[StepId, str] = field(default_factory=dict)
    not_before: dict[StepId, float] = field(default_factory=dict)
    last_end: dict[str, float] = field(default_factory=dict)
    """When the last move out of a host ended."""
    _changed: set[str] = field(default_factory=set)
    _needing: dict[StepId, list[StepId]] | None = None

    def __post_init__(self) -> None:
        for result in (*self.results.values(), *self.earlier.values()):
            self._note(result)

    def pending(self) -> list[Step]:
        """Neither sent nor ended, in the plan's order."""
        return [
            step for key, step in self.steps.items() if key not in self.results and key not in self.moving
        ]

    def is_pending(self, step_id: StepId) -> bool:
        return step_id in self.steps and step_id not in self.results and step_id not in self.moving

    def has_begun(self, subject_id: str) -> bool:
        """Whether this run has changed that subject: leaving it now would leave it half done."""
        return subject_id in self._changed or self.busy(subject_id)

    def busy(self, subject_id: str) -> bool:
        """Whether a step of that subject is in flight."""
        return any(each.step.subject_id == subject_id for each in self.moving.values())

    def end(self, result: StepResult) -> None:
        """A step of this run has come to its end."""
        self.results[result.step_id] = result
        self._note(result)

    def follow(self, step_id: StepId, host: str) -> None:
        """A move ended on that host: the way back of its server, if there is one, leaves from there."""
        for key in self.needing(step_id):
            step = self.steps[key]
            if step.params.get("follows") == step_id and self.is_pending(key):
                where = {"host": host} if "host" in step.params else {}
                source = None if step.source is None else host
                self.steps[key] = replace(step, source=source, params={**step.params, **where})

    def take_over(self, result: StepResult) -> None:
        """A step that an earlier part of the run ended, and that is not planned any more."""
        self.earlier[result.step_id] = result
        self._note(result)

    def needing(self, step_id: StepId) -> list[StepId]:
        """Steps that need that one."""
        if self._needing is None:
            self._needing = {}
            for key, step in self.steps.items():
                for need in step.needs:
                    self._needing.setdefault(need, []).append(key)
        return self._needing.get(step_id, [])

    def _note(self, result: StepResult) -> None:
        if result.state is StepState.DONE:
            self._changed.add(result.subject_id)

    def out_of(self, source: str | None, *, queued: bool | None = None) -> list[Moving]:
        """Moves in flight out of that host, in the order of sending.

        `queued` keeps those that Nova queues on the source (True) or those it does not (False).
        """
        return [
            each
            for each in self.moving.values()
            if source is not None
            and each.step.source == source
            and queued in {None, each.step.action in QUEUED_ACTIONS}
        ]

    def sources(self) -> set[str]:
        """Hosts with a move in flight out of them."""
        return {each.step.source for each in self.moving.values() if each.step.source is not None}

    def into(self, target: str | None) -> int:
        """Moves in flight into that host."""
        return sum(each.step.target == target for each in self.moving.values())

    def failed_servers(self) -> set[str]:
        bad = {StepState.FAILED, StepState.UNKNOWN}
        return {result.subject_id for result in self.results.values() if result.state in bad}

    def state_of(self, step_id: StepId) -> StepState | None:
        """Of a step that has ended, in whatever part of the run; None while it has not, or is not known."""
        result = self.results.get(step_id) or self.earlier.get(step_id)
        return None if result is None else result.state

    def open(self, step_id: StepId) -> bool:
        """Whether that step is still to come to its end."""
        return step_id in self.steps and step_id not in self.results


def board_of(plan: Plan, rows: Mapping[StepId, StepRow]) -> Board:
    """The plan's steps with what the journal knows of earlier parts of the run.

    Taken over from those parts: every step that was sent and not seen to end, planned again or not, and every
    step not planned any more that completes or takes back a change that was made (a confirmation, a
    suspension).
    """
    board = Board(steps={step.id: step for step in plan.steps})
    for key, row in rows.items():
        if row.state in UNSETTLED:
            board.steps.setdefault(key, row.step)
            board.moving[key] = Moving(
                step=row.step,
                sent_at=row.sent_at or 0.0,
                attempt=row.attempt,
                request_id=row.request_id,
                ambiguous=not row.answered,
            )
            board.attempts[key] = row.attempt
            board.request_ids[key] = row.request_id
        elif key not in board.steps and row.state is not StepState.PENDING:
            board.take_over(row.result)
    for key, row in rows.items():
        if key not in board.steps and row.state is StepState.PENDING and _completes(row.step, rows):
            board.steps[key] = row.step
    return board


def _completes(step: Step, rows: Mapping[StepId, StepRow]) -> bool:
    if step.source is not None:
        return False
    restored = step.params.get("restores")
    if restored is not None:
        return _made([str(restored)], rows)
    own = [need for need in step.needs if need in rows and rows[need].step.subject_id == step.subject_id]
    return bool(own) and _made(own, rows)


def _made(step_ids: Iterable[StepId], rows: Mapping[StepId, StepRow]) -> bool:
    return all(each in rows and rows[each].state in MADE for each in step_ids)
