"""Running a plan on the fake world, for tests of the engine."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import event, update

from nodeops.actions.action import Action
from nodeops.actions.registry import ACTIONS
from nodeops.engine import schema
from nodeops.engine.executor import Execution, execute
from nodeops.engine.journal import Journal, Who
from nodeops.engine.record import RunRecord
from nodeops.engine.signals import Stop
from nodeops.events import Event, Noted, StepEnded, StepSent
from nodeops.gates import GATES, Gate
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Plan, Step
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import FakeWorld

WHO = Who("ann", "desk", "admin", "nodeops drain c01")


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    """No test here cuts the power."""
    connection.execute("PRAGMA synchronous=OFF")


def no_other_target(step: Step, refused: frozenset[str]) -> Step | None:
    return None


def any_other_target(*targets: str) -> Callable[[Step, frozenset[str]], Step | None]:
    def retarget(step: Step, refused: frozenset[str]) -> Step | None:
        other = next((target for target in targets if target not in refused), None)
        return None if other is None else replace(step, target=other)

    return retarget


@dataclass
class Run:
    """One journal and one world; `go` is one process's part of the run."""

    world: FakeWorld
    directory: Path
    options: MoveOptions = field(default_factory=lambda: MoveOptions(canary=False))
    retarget: Callable[[Step, frozenset[str]], Step | None] = no_other_target
    events: list[Event] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)
    on_event: Callable[[Event], None] | None = None
    want_progress: bool = False
    gates: Mapping[str, Gate] = field(default_factory=lambda: GATES)
    actions: Mapping[str, Action] = field(default_factory=lambda: ACTIONS)
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        self.journal = Journal.open(f"sqlite:///{self.directory}/journal.db", now=self.world.nova.clock.now)
        self.journal.close()
        event.listen(self.journal.engine, "connect", _without_waiting_for_the_disk)

    def go(self, plan: Plan) -> Execution:
        self.forget_dead_owners()
        record = self.journal.begin(plan, WHO)
        self.record = record
        try:
            return execute(
                record,
                plan,
                self.world,
                actions=self.actions,
                gates=self.gates,
                options=self.options,
                listener=self._listen,
                stop=self.stop,
                clock=self.world.nova.clock,
                retarget=self.retarget,
                want_progress=self.want_progress,
            )
        finally:
            record._heartbeat.stop()

    def forget_dead_owners(self) -> None:
        """Every part of a run is a process of its own, and the last one is dead."""
        with self.journal.engine.begin() as connection:
            connection.execute(update(schema.runs).values(owner_start="1"))

    def states(self, execution: Execution) -> Mapping[str, StepState]:
        return {result.step_id: result.state for result in execution.step_results}

    def result(self, execution: Execution, step_id: str) -> StepResult:
        return next(result for result in execution.step_results if result.step_id == step_id)

    def hosts(self) -> dict[str, str | None]:
        return {server.id: server.host for server in self.world.nova.servers.values()}

    def sent(self) -> list[str]:
        """Ids of the steps in the order they were sent."""
        return [event.step.id for event in self.events if isinstance(event, StepSent)]

    def ended(self) -> list[str]:
        return [event.step.id for event in self.events if isinstance(event, StepEnded)]

    def notes(self) -> str:
        return "\n".join(event.words for event in self.events if isinstance(event, Noted))

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)
