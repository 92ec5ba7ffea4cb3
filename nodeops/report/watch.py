"""What is known of a run while it goes on, gathered from its events; the live views show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nodeops.events import Event, Noted, Retried, RunStarted, StepEnded, StepSent, Ticked
from nodeops.model.facts import Progress
from nodeops.model.maintaining import BACK
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Action, Plan, Step

MEBI = 1024 * 1024
GOOD = frozenset({StepState.DONE, StepState.SKIPPED})


class Phase(StrEnum):
    """Where one server stands."""

    WAITING = "waiting"
    MOVING = "moving"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """One subject of the run as it is shown."""

    name: str
    phase: Phase
    action: str
    target: str | None
    words: str = ""
    since: float = 0.0
    took: float = 0.0
    expected: float = 0.0
    attempt: int = 1
    total: int = 0
    """Bytes to copy, 0 when not known."""
    copied: int = 0
    rate: float = 0.0
    """Bytes per second, as seen between two looks; 0 when not known."""

    @property
    def eta(self) -> float | None:
        """Seconds left by the rate that was seen."""
        return (self.total - self.copied) / self.rate if self.rate > 0 and self.total else None


@dataclass(slots=True)
class Watch:
    """Takes events, answers what to show. `notes` holds the last words."""

    plan: Plan
    rows: dict[str, Row] = field(default_factory=dict)
    run_id: str = ""
    began: float = 0.0
    now: float = 0.0
    waits_for: str = ""
    notes: list[Noted] = field(default_factory=list)
    _seen: dict[str, tuple[float, int]] = field(default_factory=dict)
    _open: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for server in self.plan.servers:
            if not server.refused and server.action is not Action.NONE:
                self.rows[server.id] = Row(
                    server.name,
                    Phase.WAITING,
                    str(server.action),
                    server.target,
                    expected=server.expected_seconds,
                )
        for step in self.plan.steps:
            self._open.setdefault(step.subject_id, set()).add(step.id)

    def seed(self, results: Iterable[StepResult]) -> None:
        """What earlier parts of the run did already."""
        for result in results:
            steps = self._open.get(result.subject_id)
            row = self.rows.get(result.subject_id)
            if steps is None or row is None or result.state not in GOOD:
                continue
            steps.discard(result.step_id)
            if not steps:
                target = result.target or row.target
                ended = replace(row, phase=Phase.ENDED, took=result.seconds, target=target)
                self.rows[result.subject_id] = ended

    def __call__(self, event: Event) -> None:
        self.now = max(self.now, event.at)
        match event:
            case RunStarted():
                self.run_id, self.began = event.run_id, event.at
            case StepSent():
                self._sent(event)
            case StepEnded():
                self._ended(event)
            case Retried():
                self._change(event.step, words=event.words, phase=Phase.WAITING)
            case Noted():
                self.notes.append(event)
            case Ticked():
                self.waits_for = event.waits_for
                for subject, progress in event.progress.items():
                    self._progress(subject, progress, event.at)

    def counts(self) -> Mapping[Phase, int]:
        phases = [row.phase for row in self.rows.values()]
        return {phase: phases.count(phase) for phase in Phase}

    def rate(self) -> float:
        """Bytes per second of everything that moves."""
        return sum(row.rate for row in self.rows.values() if row.phase is Phase.MOVING)

    def _change(self, step: Step, **more: object) -> None:
        row = self.rows.get(step.subject_id)
        if row is not None:
            changed = {"action": step.action, "target": step.target or row.target} | more
            self.rows[step.subject_id] = replace(row, **changed)  # type: ignore[arg-type]  # fields of Row

    def _sent(self, event: StepSent) -> None:
        row = self.rows.get(event.step.subject_id)
        since = row.since if row and row.since and event.attempt == 1 else event.at
        self._seen.pop(event.step.subject_id, None)
        self._change(
            event.step,
            phase=Phase.MOVING,
            since=since,
            attempt=event.attempt,
            words="",
            total=0,
            copied=0,
            rate=0.0,
        )

    def _ended(self, event: StepEnded) -> None:
        step, good = event.step, event.result.state in GOOD
        still_open = self._open.get(step.subject_id, set())
        still_open.discard(step.id)
        if good and still_open:
            if all(each.startswith(BACK) for each in still_open):
                self._change(step, phase=Phase.WAITING, target=event.result.target or step.target)
            return
        row = self.rows.get(step.subject_id)
        took = event.at - row.since if row and row.since else 0.0
        phase = Phase.ENDED if good else Phase.FAILED
        target = event.result.target or step.target
        self._change(step, phase=phase, took=took, target=target, words=event.result.words)

    def _progress(self, subject: str, progress: Progress, at: float) -> None:
        row = self.rows.get(subject)
        if row is None or not progress.total:
            return
        copied = max(progress.total - progress.remaining, 0)
        rate = row.rate
        if subject in self._seen:
            before, then = self._seen[subject]
            if at > before and copied >= then:
                rate = (copied - then) / (at - before)
        self._seen[subject] = (at, copied)
        self.rows[subject] = replace(row, total=progress.total, copied=copied, rate=rate)
