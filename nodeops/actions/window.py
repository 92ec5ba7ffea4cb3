"""`hook`, `pause-for-work`, `wait-host`, `wait-ready`: what stands around the work of a maintenance window.

Step: `subject_id` the host's name.
Params of `hook`: `when`, before or after; `command`, for people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.compute_service import unreachable
from nodeops.actions.kinds import MachineAction, Waiting
from nodeops.errors import ApiError, SshError
from nodeops.model.machine import MachineView
from nodeops.model.readiness import Check, passes
from nodeops.model.world import View, World
from nodeops.plan import Step

NAMES = 3


class Person(Protocol):
    """Who works on the host while nodeops waits."""

    def has_gone_on(self, step: Step) -> str:
        """Who said that the work is done; empty while nobody has."""
        ...


@dataclass(frozen=True, slots=True)
class Hook(MachineAction):
    """A command of the site on this machine. It may be run twice after a crash, and has to bear that."""

    run: Callable[[str], str]
    """Runs the command and gives its last words. Raises `ApiError` when it fails."""
    name: str = "hook"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nobody else knows
        if sent is None:
            return Look(State.READY)
        if sent.ambiguous:
            return Look(State.READY, "whether it ran is not known: it is run again")
        return Look(State.DONE, f"ran: {sent.request_id}" if sent.request_id else "ran")

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        return self.run(str(step.params["command"]))


@dataclass(frozen=True, slots=True)
class Pause(Waiting):
    """A person works on the host, and says when it is done."""

    person: Person
    name: str = "pause-for-work"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nobody else knows
        if sent is None:
            return Look(State.READY)
        who = self.person.has_gone_on(step)
        return Look(State.DONE, f"gone on with by {who}") if who else Look(State.MOVING, "waits for a person")


@dataclass(frozen=True, slots=True)
class WaitHost(Waiting):
    """Until the host answers over SSH, whoever switched it off and on."""

    machine: MachineView
    name: str = "wait-host"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        try:
            boot = self.machine.boot(step.subject_id)
        except SshError as error:
            return unreachable(error, sent)
        except ApiError as error:
            return Look(State.MOVING, error.message)
        return Look(State.DONE, f"answers: boot {boot.id[:8]}, kernel {boot.kernel}")


@dataclass(frozen=True, slots=True)
class WaitReady(Waiting):
    """Until the readiness gate passes; what does not pass within the step's budget ends the window."""

    assess: Callable[[View, Step], Sequence[Check]]
    name: str = "wait-ready"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - nothing is sent
        checks = self.assess(view, step)
        if passes(checks):
            return Look(State.DONE, f"is ready: {len(checks)} questions passed")
        wrong = [check.words for check in checks if check.standing.holds_up]
        more = f" and {len(wrong) - NAMES} more" if len(wrong) > NAMES else ""
        return Look(State.MOVING, f"is not ready: {'; '.join(wrong[:NAMES])}{more}")
