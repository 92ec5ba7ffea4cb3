"""The canary: one server is moved alone before the others are touched."""

from dataclasses import dataclass

from nodeops.engine.board import Board
from nodeops.outcome import StepState
from nodeops.plan import Step, StepId

HARMLESS = frozenset(
    {
        "disable-service",
        "enable-service",
        "force-down",
        "lift-force-down",
        "save-images",
        "wait-task",
        "wait-deleted",
        "hook",
        "stop-compute",
        "keep-stopped",
        "work",
        "pause-for-work",
        "reboot-host",
        "power-cycle-host",
        "wait-host",
        "start-compute",
        "wait-ready",
    }
)
"""Actions that change no server, and so need not wait for the canary."""


@dataclass(slots=True)
class Canary:
    """Passed, or the move that goes first."""

    passed: bool
    step_id: StepId | None = None

    def choose(self, board: Board) -> None:
        """The smallest move that is pending, unless one is chosen already or there is nothing to protect.

        One that is found busy with something else gives way to another that is not.
        """
        waits = self.step_id is not None and self.step_id in board.waiting
        if self.passed or (self.step_id is not None and not waits):
            return
        moves = _first_moves(board)
        if not waits and len({step.subject_id for step in moves}) <= 1:
            self.passed = True
            return
        moves = [step for step in moves if step.id not in board.waiting] or moves
        self.step_id = min(moves, key=lambda step: (_needs_others(step, board), step.expected_seconds)).id

    def settle(self, board: Board) -> str:
        """Follow how it ended; words when it failed and nothing else may begin."""
        result = None if self.step_id is None else board.results.get(self.step_id)
        if self.passed or result is None:
            return ""
        if result.state is StepState.DONE:
            self.passed = True
        elif result.state in {StepState.FAILED, StepState.UNKNOWN}:
            name = board.steps[result.step_id].subject_name
            return f"the first move, {name}, did not succeed ({result.words}): no other is begun"
        else:
            self.step_id = None  # somebody else saw to that server: another one goes first
        return ""

    def allows(self, step: Step, board: Board) -> bool:
        """Whether the step may begin now."""
        if self.passed or step.action in HARMLESS:
            return True
        return self.step_id is not None and step.subject_id == board.steps[self.step_id].subject_id


def canary_of(board: Board, *, wanted: bool) -> Canary:
    """None is needed when an earlier part of the run moved a server, or is moving one."""
    moved = any(each.step.source is not None for each in board.moving.values()) or any(
        result.state is StepState.DONE and result.target is not None for result in board.earlier.values()
    )
    return Canary(passed=moved or not wanted)


def _first_moves(board: Board) -> list[Step]:
    """Of each server that is still to be moved; the way back comes after all others."""
    found: dict[str, Step] = {}
    for step in board.pending():
        if step.source is not None:
            found.setdefault(step.subject_id, step)
    return list(found.values())


def _needs_others(step: Step, board: Board) -> bool:
    """Whether its server needs more than this one step."""
    return sum(each.subject_id == step.subject_id for each in board.steps.values()) > 1
