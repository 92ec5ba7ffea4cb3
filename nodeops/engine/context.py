"""What the parts of the executor share: the run's record, its board, the world, and whom to tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from nodeops.actions.action import Action, Look
from nodeops.engine.board import GOOD, QUEUED_ACTIONS, Board, Moving
from nodeops.engine.clock import Clock
from nodeops.engine.pace import Pace
from nodeops.engine.record import RunRecord
from nodeops.engine.snapshot import Snapshot
from nodeops.errors import ApiError, AuthenticationError
from nodeops.events import Listener, Noted, Retried, StepEnded
from nodeops.gates import Gate
from nodeops.model.world import World
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Step, Verdict

CANNOT_ASK = (ApiError, AuthenticationError)
"""What a call raises when the cloud did not answer, or said no."""

Retarget: TypeAlias = Callable[[Step, frozenset[str]], Step | None]
"""The same step with another target than those refused; None when there is none."""

MOST_REPLACED_TARGETS = 8
_RETRY_DELAYS = (2.0, 5.0, 15.0, 30.0)


class MoveLimits(Protocol):
    """What the executor needs of `nodeops.runbooks.options.MoveOptions`."""

    @property
    def parallel(self) -> int | None: ...
    @property
    def inbound(self) -> int: ...
    @property
    def canary(self) -> bool: ...
    @property
    def on_stuck(self) -> str: ...
    @property
    def retries(self) -> int: ...
    @property
    def max_failures(self) -> int | None: ...


@dataclass(slots=True)
class Context:
    record: RunRecord
    board: Board
    pace: Pace
    world: World
    snapshot: Snapshot
    actions: Mapping[str, Action]
    gates: Mapping[str, Gate]
    limits: MoveLimits
    listener: Listener
    clock: Clock
    retarget: Retarget
    halted: str = ""
    """Why nothing new is begun, empty while it is."""
    looks_failed: int = 0
    """Looks of this tick that the cloud did not answer."""
    looks_answered: int = 0
    tick_at: float = 0.0
    since_last_tick: float = 0.0
    """Seconds between this tick and the one before."""
    unanswered: bool = False
    """A request of this tick was not answered: nothing more is sent in it."""
    trouble: str = ""
    """Words of the last that failed."""
    noted: set[str] = field(default_factory=set)

    def action(self, step: Step) -> Action:
        return self.actions[step.action]

    def now(self) -> float:
        return self.clock.now()

    def note(self, words: str, *, warning: bool = False) -> None:
        self.listener(Noted(words, self.now(), warning))

    def note_once(self, words: str, *, warning: bool = False) -> None:
        if words not in self.noted:
            self.noted.add(words)
            self.note(words, warning=warning)

    def answered(self) -> None:
        self.looks_answered += 1

    def probe(self) -> None:
        """Whether the cloud answers at all, or one server alone is the trouble."""
        try:
            self.snapshot.servers_on(self.record.plan.host)
        except CANNOT_ASK as error:
            self.failed_to_look(error)
        else:
            self.answered()

    def failed_to_look(self, error: Exception) -> None:
        self.looks_failed += 1
        self.trouble = str(error)

    def new_tick(self) -> None:
        now = self.now()
        self.since_last_tick = now - self.tick_at if self.tick_at else 0.0
        self.tick_at = now
        self.snapshot.refresh()
        self.looks_failed = self.looks_answered = 0
        self.unanswered = False

    @property
    def blind(self) -> bool:
        """Whether nothing was seen in this tick though it was tried, or the last request had no answer."""
        return self.unanswered or (self.looks_failed > 0 and self.looks_answered == 0)

    def end_unsent(self, step: Step, state: StepState, words: str) -> None:
        """The step ends without, or before, another request."""
        attempts = self.board.attempts.get(step.id, 0)
        self._end(step, StepResult(step.id, step.subject_id, step.action, state, words, "", None, attempts))

    def end(self, moving: Moving, state: StepState, words: str, *, verdict: Verdict | None = None) -> None:
        """A step that was sent has come to its end."""
        step = moving.step
        seconds = self._seconds(moving)
        target = self._found_on(step) if state is StepState.DONE else step.target
        result = StepResult(
            step_id=step.id,
            subject_id=step.subject_id,
            action=step.action,
            state=state,
            words=words,
            request_id=moving.request_id,
            target=target,
            attempts=moving.attempt,
            seconds=seconds,
            verdict=verdict,
        )
        if state is StepState.DONE and step.source is not None and moving.began is not None:
            at_once = moving.began <= moving.sent_at
            self.pace.ended(step.expected_seconds, seconds, self.since_last_tick if at_once else 0.0)
        self._leave_line(moving)
        self._end(step, result)

    def attempt_failed(self, moving: Moving, look: Look) -> None:
        """An attempt ended without effect: another target, another time, or the end of the step."""
        self._leave_line(moving)
        self.failed(moving.step, look, self._seconds(moving))

    def failed(self, step: Step, look: Look, seconds: float = 0.0) -> None:
        """As `attempt_failed`, for a step that is not in flight."""
        attempts = self.board.attempts.get(step.id, 0)
        if look.refused_target and step.target is not None:
            self._replace_target(step, look, attempts, seconds)
        elif not look.retry or attempts > self.limits.retries:
            self._give_up(step, look, look.words, seconds)
        else:
            delay = _RETRY_DELAYS[min(max(attempts, 1), len(_RETRY_DELAYS)) - 1]
            self._retry(self.board.steps[step.id], f"{look.words}; trying again", attempts, delay)

    def halt(self, words: str) -> None:
        """Begin nothing new from here on."""
        if not self.halted:
            self.halted = words
            self.record.note("halted", words)
            self.note(words, warning=True)

    def no_wait(self, step: Step) -> None:
        """Nothing stands in the way of the step any more."""
        for times in (self.board.waiting, self.board.not_before):
            times.pop(step.id, None)
        self.board.waits_for.pop(step.id, None)

    def not_taken(self, step: Step, words: str, delay: float) -> None:
        """A request that Nova certainly never took up: it does not count as an attempt."""
        attempts = self.board.attempts[step.id] = self.board.attempts.get(step.id, 1) - 1
        self._retry(self.board.steps[step.id], words, attempts, delay)

    def _replace_target(self, step: Step, look: Look, attempts: int, seconds: float) -> None:
        planned = self.board.steps[step.id]
        refused = self.board.refused_targets.setdefault(step.id, set())
        refused.add(str(step.target))
        other: Step | None = planned
        if planned.target in refused:
            tried_enough = len(refused) > MOST_REPLACED_TARGETS
            other = None if tried_enough else self.retarget(planned, frozenset(refused))
        if other is None:
            self._give_up(step, look, f"{look.words}; no other host can take it", seconds)
            return
        self._retry(other, f"{look.words}; {other.target or 'any host'} instead", attempts, 0.0)

    def _give_up(self, step: Step, look: Look, words: str, seconds: float) -> None:
        result = StepResult(
            step_id=step.id,
            subject_id=step.subject_id,
            action=step.action,
            state=StepState.FAILED,
            words=words,
            request_id=self.board.request_ids.get(step.id, ""),
            target=step.target,
            attempts=self.board.attempts.get(step.id, 0),
            seconds=seconds,
            verdict=look.verdict,
        )
        self._end(step, result)

    def _retry(self, step: Step, words: str, attempts: int, delay: float) -> None:
        self.board.steps[step.id] = step
        self.board.waits_for.pop(step.id, None)
        self.record.not_sent(step, attempts, words)
        self.board.not_before[step.id] = self.now() + delay
        self.listener(Retried(step, words, self.now()))

    def _seconds(self, moving: Moving) -> float:
        """How long Nova worked on the attempt; never 0, which stands for none."""
        if moving.began is not None:
            seconds = moving.elapsed(self.now())
        elif moving.step.action in QUEUED_ACTIONS:
            seconds = self.since_last_tick / 2  # begun and ended between two looks
        else:
            seconds = self.now() - moving.sent_at
        return max(seconds, 0.001)

    def _leave_line(self, moving: Moving) -> None:
        self.board.moving.pop(moving.step.id, None)
        if moving.step.source is not None:
            self.board.last_end[moving.step.source] = self.now()

    def _end(self, step: Step, result: StepResult) -> None:
        self.record.ended(step, result)
        self.board.end(result)
        if result.target is not None:
            self.board.follow(step.id, result.target)
        self.no_wait(step)
        self.listener(StepEnded(step, result, self.now()))
        if result.state not in GOOD:
            self._count_failures()

    def _count_failures(self) -> None:
        most = self.limits.max_failures
        failed = len(self.board.failed_servers())
        if most is not None and most > 0 and failed >= most:
            self.halt(f"{failed} failed: nothing new is begun")

    def _found_on(self, step: Step) -> str | None:
        """The host the server was found on by the look that said DONE, which the snapshot still has."""
        if step.source is None and step.target is None:
            return None
        server = self.snapshot.server(step.subject_id)
        return step.target if server is None else server.host
