"""`stop-compute`, `keep-stopped`, `start-compute`: nova-compute as a service of its host.

Step: `subject_id` the host's name.
Params: none.

Not in the registry, since they need the host itself: the task brings them. A host that cannot be reached is
waited for; one that is another host by its key, or does not let us in, is not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nodeops.actions.action import Look, Sent, State
from nodeops.errors import ApiError, SshError, SshReason
from nodeops.machine import Machine, Service, ServiceState
from nodeops.plan import Step
from nodeops.world import View, World

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


def refused_there(error: ApiError) -> Look:
    """The host itself said no."""
    return Look(State.FAILED, error.message, retry=False)


def _seen(machine: Machine, step: Step, sent: Sent | None, judge: Callable[[Service], Look]) -> Look:
    try:
        service = machine.compute(step.subject_id)
    except SshError as error:
        return unreachable(error, sent)
    return NO_SERVICE if service is None else judge(service)


def _the_service(machine: Machine, host: str) -> Service:
    service = machine.compute(host)
    if service is None:
        raise ApiError(f"{host} {NO_SERVICE.words}", status=400)
    return service


@dataclass(frozen=True, slots=True)
class StopCompute:
    machine: Machine
    name: str = "stop-compute"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        return _seen(self.machine, step, sent, lambda service: self._judge(service, sent))

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

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        self.machine.stop(step.subject_id, _the_service(self.machine, step.subject_id))
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the host's words say it
        return refused_there(error)


def _how(service: Service) -> str:
    """What of its end the operator should know."""
    if service.state is not ServiceState.FAILED:
        return ""
    late = "did not end in time and was killed" if service.result == "timeout" else "ended badly"
    return f"; its graceful stop {late} ({service.result or 'no reason given'})"


@dataclass(frozen=True, slots=True)
class KeepStopped:
    """Masked, so that neither a configuration management run nor a person starts it by mistake."""

    machine: Machine
    name: str = "keep-stopped"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        return _seen(self.machine, step, sent, lambda service: self._judge(service, sent))

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

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        service = _the_service(self.machine, step.subject_id)
        self.machine.mask(step.subject_id, service)
        if not service.down:
            self.machine.stop(step.subject_id, service)
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the host's words say it
        return refused_there(error)


@dataclass(frozen=True, slots=True)
class StartCompute:
    """Unmasked if it was masked, started, and seen to run for some seconds."""

    machine: Machine
    name: str = "start-compute"

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        return _seen(self.machine, step, sent, lambda service: self._judge(service, sent))

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

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        service = _the_service(self.machine, step.subject_id)
        if service.masked:
            self.machine.unmask(step.subject_id, service)
        if not service.running:
            self.machine.start(step.subject_id, service)
        return ""

    def refused(self, step: Step, error: ApiError) -> Look:  # noqa: ARG002 - the host's words say it
        return refused_there(error)
