"""What the engine itself costs: steps that take no time, through the journal on disk.

    .venv/bin/python bench/engine.py [--subjects 1000] [--steps 2]

Prints seconds, and the ratio to the same number of bare journal transactions: the floor, since every step is
on disk before it is made.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nodeops.actions.action import Look, Sent, State
from nodeops.engine.clock import SystemClock
from nodeops.engine.executor import execute
from nodeops.engine.journal import Journal, Who
from nodeops.engine.signals import Stop
from nodeops.errors import ApiError
from nodeops.events import Event
from nodeops.model.world import View, World
from nodeops.outcome import StepState
from nodeops.plan import Action as Done
from nodeops.plan import Plan, Risk, ServerPlan, Step
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import FakeNova, FakeWorld

BATCH = 200


@dataclass
class Mark:
    """A change that is there as soon as it was asked for."""

    done: set[str]
    name: str = "mark"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - needs no cloud
        return Look(State.DONE if step.id in self.done else State.READY)

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002
        self.done.add(step.id)
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002
        return Look(State.BLOCKED, str(error))


def plan_of(subjects: int, steps: int) -> Plan:
    """Chains of that many steps for each subject."""
    made = []
    for subject in range(subjects):
        for number in range(steps):
            needs = (f"mark{number - 1}:s{subject:05}",) if number else ()
            name = f"s{subject:05}"
            made.append(Step(f"mark{number}:{name}", "mark", name, name, "bench", Risk.SAFE, needs=needs))
    servers = tuple(ServerPlan(f"s{each:05}", f"s{each:05}", "ACTIVE", Done.MEND) for each in range(subjects))
    return Plan("bench", "c01", "bench", {}, tuple(made), servers)


def ignore(event: Event) -> None:
    """Nobody watches."""


def main() -> None:
    """Both in one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=2)
    said = parser.parse_args()
    plan = plan_of(said.subjects, said.steps)
    nova = FakeNova()
    nova.add_host("c01")
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(f"sqlite:///{Path(folder) / 'journal.db'}")
        started = time.monotonic()
        record = journal.begin(plan, Who.here("bench", "bench"))
        begun = time.monotonic()
        stop = Stop()
        execution = execute(
            record,
            plan,
            FakeWorld(nova),
            actions={"mark": Mark(set())},
            gates={},
            options=MoveOptions(canary=False),
            listener=ignore,
            stop=stop,
            clock=SystemClock(stop),
            retarget=lambda _step, _refused: None,
        )
        ended = time.monotonic()
        good = sum(result.state is StepState.DONE for result in execution.step_results)
        floor = time.monotonic()
        for _ in range(BATCH):
            record.prove_lock()
        each = (time.monotonic() - floor) / BATCH
    steps, seconds = len(plan.steps), ended - begun
    print(f"{good} of {steps} steps done; begun in {begun - started:.2f} s, run in {seconds:.2f} s")
    print(f"{1000 * seconds / steps:.2f} ms a step; a bare journal transaction takes {1000 * each:.2f} ms")
    print(f"ratio to two transactions a step: {seconds / (2 * steps * each):.2f}")


if __name__ == "__main__":
    main()
