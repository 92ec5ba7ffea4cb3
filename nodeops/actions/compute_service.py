"""`stop-compute`, `keep-stopped`, `start-compute`: nova-compute as a service of its host.

Step: `subject_id` the host's name.
Params: none.

Not in the registry, since they need the host itself: the task brings them. A host that cannot be reached is
waited for; one that is another host by its key, or does not let us in, is not.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.kinds import MachineAction
from nodeops.errors import ApiError, SshError, SshReason
from nodeops.model.machine import Machine, Service, ServiceState
from nodeops.model.world import View, World
from nodeops.plan import Step

HOPELESS = frozenset(
    {SshReason.HOST_KEY_CHANGED, SshReason.HOST_KEY_UNKNOWN, SshReason.AUTHENTICATION, SshReason.SUDO}
)
"""Waiting mends none of these."""
NO_SERVICE = Look(State.BLOCKED, "has no unit or container of nova-compute that is known")
STEADY_SECONDS = 5.0
"""A unit counts as running from its first moment on, also when it ends in the next."""
STOP_SECONDS = 180.0
"""How long a graceful stop may take where its manager sets no end to it: `[DEFAULT]
manager_shutdown_timeout` of nova.conf, 160 s by default, and some more."""
START_SECONDS = 20.0
"""Until what was asked to start at least tries."""


def unreachable(error: SshError, sent: Sent | None) -> Look:
    """What a host that cannot be looked at means for a step of its own."""
    if error.reason in HOPELESS:
        return Look(State.BLOCKED if sent is None else State.FAILED, error.message, retry=False)
    return Look(State.MOVING, error.message)


@dataclass(frozen=True, slots=True)
class ServiceAction(MachineAction, ABC):
    """What is the same for all three: they look at the service, and act on what they see."""

    machine: Machine

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        try:
            service = self.machine.compute(step.subject_id)
        except SshError as error:
            return unreachable(error, sent)
        return NO_SERVICE if service is None else self._judge(service, sent)

    @abstractmethod
    def _judge(self, service: Service, sent: Sent | None) -> Look:
        """Where the step stands."""

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        service = self.machine.compute(step.subject_id)
        if service is None:
            raise ApiError(f"{step.subject_id} {NO_SERVICE.words}", status=400)
        self._change(step.subject_id, service)
        return ""

    @abstractmethod
    def _change(self, host: str, service: Service) -> None:
        """Have the host make it so."""


@dataclass(frozen=True, slots=True)
class StopCompute(ServiceAction):
    name: str = "stop-compute"

    def _judge(self, service: Service, sent: Sent | None) -> Look:
        if service.down:
            return Look(State.DONE, f"{service.name} is stopped{_how(service) if sent else ''}")
        if sent is None:
            return Look(State.READY)
        most = service.stop_seconds or STOP_SECONDS
        if service.state is ServiceState.STOPPING or sent.waited <= most + START_SECONDS:
            if sent.ambiguous and sent.settled and service.running:
                return Look(State.READY, "the host never got the request")
            return Look(
                State.MOVING, f"{service.name} stops gracefully; killed by its manager at {most:.0f} s"
            )
        return Look(State.FAILED, f"{service.name} still runs {sent.waited:.0f} s after it was stopped")

    def _change(self, host: str, service: Service) -> None:
        self.machine.stop(host, service)


def _how(service: Service) -> str:
    """What of its end the operator should know."""
    if service.state is not ServiceState.FAILED:
        return ""
    late = "did not end in time and was killed" if service.result == "timeout" else "ended badly"
    return f"; its graceful stop {late} ({service.result or 'no reason given'})"


@dataclass(frozen=True, slots=True)
class KeepStopped(ServiceAction):
    """Masked, so that neither a configuration management run nor a person starts it by mistake."""

    name: str = "keep-stopped"

    def _judge(self, service: Service, sent: Sent | None) -> Look:
        if service.masked and service.down:
            return Look(State.DONE, f"{service.name} is masked until it is started, or the next boot")
        if sent is None:
            return Look(State.READY)
        if service.masked:
            return Look(State.MOVING, f"{service.name} was started meanwhile, and stops again")
        if sent.ambiguous and not sent.settled:
            return Look(State.MOVING, "no answer came: waiting to see whether it is masked")
        return Look(State.READY if sent.ambiguous else State.FAILED, f"{service.name} is not masked")

    def _change(self, host: str, service: Service) -> None:
        self.machine.mask(host, service)
        if not service.down:
            self.machine.stop(host, service)


@dataclass(frozen=True, slots=True)
class StartCompute(ServiceAction):
    """Unmasked if it was masked, started, and seen to run for some seconds."""

    name: str = "start-compute"

    def _judge(self, service: Service, sent: Sent | None) -> Look:
        if service.running and not service.masked:
            steady = service.age is None or service.age >= STEADY_SECONDS
            words = f"{service.name} runs"
            return Look(State.DONE, words) if steady else Look(State.MOVING, f"{words} since a moment")
        if sent is None:
            return Look(State.READY)
        if service.masked:
            late = sent.settled or not sent.ambiguous
            return Look(State.READY if late else State.MOVING, f"{service.name} is masked still")
        if service.state is ServiceState.FAILED:
            return Look(State.FAILED, f"{service.words} right after its start")
        if sent.waited <= START_SECONDS or service.state is ServiceState.STARTING:
            return Look(State.MOVING, service.words)
        return Look(State.FAILED, f"{service.words} {sent.waited:.0f} s after its start")

    def _change(self, host: str, service: Service) -> None:
        if service.masked:
            self.machine.unmask(host, service)
        if not service.running:
            self.machine.start(host, service)
