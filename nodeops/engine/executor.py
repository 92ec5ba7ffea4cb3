"""Runs a plan: one loop, one tick at a time, and nothing is sent that is not in the journal.

A tick: refresh the snapshot (one list call), look at everything in flight, begin what may begin, tell the
listener, sleep. A step goes: look, gates, journal `sent`, act, and then looks until its end. What was sent
without an answer is settled by looks alone. When the cloud cannot be looked at nothing is sent; after
`LINK_SECONDS` of that the run ends with what is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nodeops.actions.action import Action
from nodeops.engine.board import QUEUED_ACTIONS, Moving, board_of
from nodeops.engine.canary import Canary, canary_of
from nodeops.engine.clock import Clock
from nodeops.engine.context import CANNOT_ASK, Context, MoveLimits, Retarget
from nodeops.engine.pace import SHORTEST_TICK, SHORTEST_WAIT, Pace
from nodeops.engine.record import RunRecord
from nodeops.engine.schedule import Queue, Readiness, may_begin, readiness
from nodeops.engine.signals import Stop
from nodeops.engine.snapshot import Snapshot
from nodeops.engine.start import begin
from nodeops.engine.watch import look_at_all
from nodeops.events import Listener, RunStarted, Ticked
from nodeops.gates import Gate
from nodeops.model.facts import Progress
from nodeops.model.world import World
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Plan, Step

NAMED_BY_RUN = frozenset({"save-images", "work"})
"""Actions that keep something under the run's name."""
LINK_SECONDS = 600.0
"""How long the cloud may not answer before the run is given up."""
LONGEST_BACK_OFF = 30.0
SOONEST = 0.3
"""Between two looks at a step that takes effect almost at once."""
QUICK_SECONDS = 2.0
"""Steps expected to take less are looked at sooner than a tick."""
PROGRESS_SECONDS = 5.0
"""Nova writes a move's progress down no more often (`live_migration_monitor_interval`)."""
LONG_MOVE_SECONDS = 20.0
"""Moves expected to take longer show their progress from the beginning."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How far a run came. The verdicts are the verification's."""

    step_results: tuple[StepResult, ...]
    """One for every step of the plan and those taken over: PENDING was not begun, SENT still runs in Nova."""
    still_running: Mapping[str, str] = field(default_factory=dict)
    """Server id -> words, for what Nova goes on doing by itself."""
    interrupted_by: int | None = None
    """A signal's number."""
    lost: str = ""
    """Why the run was given up without knowing how it ended, in words; empty when it was not."""
    started: float = 0.0
    ended: float = 0.0


def execute(
    record: RunRecord,
    plan: Plan,
    world: World,
    *,
    actions: Mapping[str, Action],
    gates: Mapping[str, Gate],
    options: MoveLimits,
    listener: Listener,
    stop: Stop,
    clock: Clock,
    retarget: Retarget,
    want_progress: bool = False,
) -> Execution:
    """Make every step of the plan, going on from what an earlier part of the run left in the journal.

    `actions` is `nodeops.actions.registry.ACTIONS`, `gates` is `nodeops.gates.GATES`.
    `retarget(step, refused)` gives the step with a target that is none of those, or None. `want_progress`
    asks Nova for the bytes of long and overdue moves.

    Raises LockLostError when another process took the run over and JournalLostError when the journal cannot
    be written any more; nothing is sent after either, and Nova goes on with what it has.
    """
    context = Context(
        record=record,
        board=board_of(_of_this_run(plan, record.id), record.rows()),
        pace=Pace(options.parallel),
        world=world,
        snapshot=Snapshot(world, plan.host, clock.now),
        actions=actions,
        gates=gates,
        limits=options,
        listener=listener,
        clock=clock,
        retarget=retarget,
    )
    return _Loop(context, stop, want_progress=want_progress).run()


def _of_this_run(plan: Plan, run_id: str) -> Plan:
    """With the run's id in the steps that keep something under its name."""
    steps = tuple(
        replace(step, params={**step.params, "run": run_id}) if step.action in NAMED_BY_RUN else step
        for step in plan.steps
    )
    return replace(plan, steps=steps)


class _Loop:
    def __init__(self, context: Context, stop: Stop, *, want_progress: bool) -> None:
        self._context = context
        self._board = context.board
        self._stop = stop
        self._want_progress = want_progress
        self._canary: Canary = canary_of(context.board, wanted=context.limits.canary)
        self._blind_since: float | None = None
        self._back_off = SHORTEST_TICK
        self._progress_at = 0.0
        self._checked = 0
        self._checked_all = False

    def run(self) -> Execution:
        context, started = self._context, self._context.now()
        context.listener(RunStarted(context.record.id, len(self._board.steps), started))
        lost = ""
        while not self._tick():
            lost = self._lost()
            if lost or self._stop.asked:
                break
            context.clock.sleep(self._sleep_seconds())
        return self._execution(started, lost)

    def _tick(self) -> bool:
        """One round; whether nothing is left to be done."""
        context = self._context
        context.new_tick()
        look_at_all(context)
        if words := self._canary.settle(self._board):
            context.halt(words)
        self._observe_pace()
        if not self._stop.asked:
            self._begin_steps()
        self._follow_link()
        context.listener(self._ticked())
        return not self._board.moving and not self._anything_to_come()

    def _begin_steps(self) -> None:
        """Everything that may begin now; a step that ends at once may let others begin."""
        context, queue = self._context, Queue(self._context, self._canary)
        self._drop_impossible()
        self._canary.choose(self._board)
        while not self._stop.asked and not context.blind:
            steps = queue.next()
            if not steps:
                return
            begin(context, steps)
            self._drop_impossible()
            queue.follow([step for step in steps if step.id in self._board.results])
            if words := self._canary.settle(self._board):
                context.halt(words)
            self._canary.choose(self._board)

    def _drop_impossible(self) -> None:
        """End the steps that need something which has failed: of what needs the steps ended since."""
        board = self._board
        while self._checked < len(board.results) or not self._checked_all:
            ended = list(board.results)[self._checked :]
            keys = (
                [key for each in ended for key in board.needing(each)] if self._checked_all else board.steps
            )
            self._checked, self._checked_all = len(board.results), True
            for key in list(keys):
                if board.is_pending(key):
                    state, words = readiness(board, board.steps[key])
                    if state is Readiness.NEVER:
                        self._context.end_unsent(board.steps[key], StepState.BLOCKED, words)

    def _anything_to_come(self) -> bool:
        """Whether a step that is not in flight may still begin by itself."""
        if self._blind_since is not None:
            return bool(self._board.pending())
        return any(
            may_begin(self._context, self._canary, step)
            and (step.id in self._board.waiting or step.id in self._board.not_before)
            for step in self._board.pending()
        )

    # -- the link to the cloud

    def _follow_link(self) -> None:
        context, now = self._context, self._context.now()
        if not context.looks_failed or context.looks_answered:
            # also when nothing had to be asked: no news is no trouble
            if self._blind_since is not None:
                context.note("the cloud answers again")
            self._blind_since, self._back_off = None, SHORTEST_TICK
        elif self._blind_since is None:
            self._blind_since = now
            context.record.note("blind", context.trouble)
            context.note(f"the cloud does not answer, nothing is sent: {context.trouble}", warning=True)
        else:
            self._back_off = min(LONGEST_BACK_OFF, self._back_off * 2)
            context.note_once(
                f"the cloud has not answered for {int(now - self._blind_since) // 60 + 1} min", warning=True
            )

    def _lost(self) -> str:
        if self._blind_since is None or self._context.now() - self._blind_since < LINK_SECONDS:
            return ""
        words = f"the cloud did not answer for {LINK_SECONDS:.0f} s: {self._context.trouble}"
        self._context.record.note("lost", words)
        return words

    # -- pace

    def _observe_pace(self) -> None:
        """See how many migrations the sources run at once, while that is not known."""
        context = self._context
        if context.blind:
            return
        for source in self._board.sources():
            ours = len(self._board.out_of(source, queued=True))
            if not self._more_to_come(source) or not context.pace.wants_look(source, ours):
                continue
            try:
                context.pace.looked(source, context.snapshot.migrations_from(source), ours)
            except CANNOT_ASK as error:
                context.failed_to_look(error)

    def _sleep_seconds(self) -> float:
        if self._blind_since is not None:
            return self._back_off
        now = self._context.now()
        waits = [self._wait_for(moving, now) for moving in self._board.moving.values()]
        waits.extend(max(SOONEST, at - now) for at in self._board.not_before.values())
        if self._board.waiting:
            waits.append(2 * SHORTEST_TICK)
        return min(waits, default=SHORTEST_TICK)

    def _wait_for(self, moving: Moving, now: float) -> float:
        """Seconds until it is worth looking at that step again."""
        step = moving.step
        if moving.ambiguous or step.source is None:
            quick = step.expected_seconds < QUICK_SECONDS and now - moving.sent_at < 2 * QUICK_SECONDS
            return SOONEST if quick and not moving.ambiguous else SHORTEST_TICK
        pace = self._context.pace
        if self._more_behind(moving):
            probing = pace.probing(step.source) and self._more_to_come(step.source)
            return SHORTEST_WAIT if probing else pace.tick(step.expected_seconds)
        since = moving.began or max(moving.sent_at, self._board.last_end.get(step.source, 0.0))
        return pace.wait(step.expected_seconds, now - since)

    def _more_to_come(self, source: str) -> bool:
        return any(step.source == source for step in self._board.pending())

    def _more_behind(self, moving: Moving) -> bool:
        """Whether its host has more in flight or to come, so that its end need not be seen at once."""
        source = moving.step.source
        if not self._canary.passed:
            return False
        queued = moving.step.action in QUEUED_ACTIONS
        line = self._board.out_of(source, queued=queued)
        return len(line) > self._context.pace.at_once(source or "")

    # -- telling

    def _ticked(self) -> Ticked:
        context, board, now = self._context, self._board, self._context.now()
        good = {StepState.DONE, StepState.SKIPPED}
        bad = {StepState.FAILED, StepState.UNKNOWN}
        states = [result.state for result in board.results.values()]
        return Ticked(
            at=now,
            moving={key: now - moving.sent_at for key, moving in board.moving.items()},
            progress=self._progress(now) if self._want_progress else {},
            pending=len(board.pending()),
            done=sum(state in good for state in states),
            failed=sum(state in bad for state in states),
            waits_for=context.halted or self._waits_for(),
        )

    def _waits_for(self) -> str:
        for key, words in self._board.waits_for.items():
            return f"{self._board.steps[key].subject_name}: {words}"
        host = self._context.record.plan.host
        for moving in self._board.moving.values():
            if moving.step.subject_id == host and moving.words:
                return f"{host}: {moving.step.action}: {moving.words}"
        if not self._canary.passed and self._canary.step_id in self._board.moving:
            return f"the first move, {self._board.steps[self._canary.step_id].subject_name}"
        return ""

    def _progress(self, now: float) -> dict[str, Progress]:
        found: dict[str, Progress] = {}
        if now - self._progress_at < PROGRESS_SECONDS:
            return found
        self._progress_at = now
        for moving in self._board.moving.values():
            step = moving.step
            long = step.expected_seconds >= LONG_MOVE_SECONDS
            if step.action not in QUEUED_ACTIONS or moving.began is None:
                continue
            if not long and moving.elapsed(now) <= 2 * step.expected_seconds:
                continue
            try:
                progress = self._context.snapshot.progress(step.subject_id)
            except CANNOT_ASK:
                continue
            if progress is not None:
                found[step.subject_id] = progress
        return found

    # -- the end

    def _execution(self, started: float, lost: str) -> Execution:
        context, board = self._context, self._board
        running = {
            moving.step.subject_id: _still_running(moving, context.now()) for moving in board.moving.values()
        }
        running.update(
            (result.subject_id, result.words)
            for result in board.results.values()
            if result.state is StepState.UNKNOWN
        )
        if self._stop.asked:
            context.record.note("signal", f"stopped by signal {self._stop.number}")
        results = tuple(self._result(step) for step in board.steps.values())
        return Execution(results, running, self._stop.number, lost, started, context.now())

    def _result(self, step: Step) -> StepResult:
        board = self._board
        if step.id in board.results:
            return board.results[step.id]
        moving = board.moving.get(step.id)
        if moving is None:
            words = self._context.halted or board.waits_for.get(step.id) or "not begun"
            return _unended(step, StepState.PENDING, words, board.attempts.get(step.id, 0))
        return _unended(moving.step, StepState.SENT, "still runs in nova", moving.attempt, moving.request_id)


def _still_running(moving: Moving, now: float) -> str:
    words = f"{moving.step.action} to {moving.step.target or 'any host'}, for {now - moving.sent_at:.0f} s"
    return f"{words}; whether nova took it is not known" if moving.ambiguous else words


def _unended(step: Step, state: StepState, words: str, attempts: int, request_id: str = "") -> StepResult:
    return StepResult(step.id, step.subject_id, step.action, state, words, request_id, step.target, attempts)
