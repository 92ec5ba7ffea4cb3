"""All that the readiness gate judges by: one visit to the host, and what the cloud says of it."""

from collections.abc import Callable
from typing import TypeVar

from nodeops.errors import ApiError, UnsupportedError
from nodeops.model.facts import Host, Resource
from nodeops.model.machine import Before, MachineView
from nodeops.model.readiness import ReadinessFacts
from nodeops.model.world import View

Value = TypeVar("Value")


def gather_readiness(
    view: View, machine: MachineView, host: str, *, now: float, before: Before | None = None
) -> ReadinessFacts:
    """Ask everything; what does not answer is in `unseen`. Raises nothing but `AuthenticationError`.

    `now` is this machine's clock.
    """
    asking = _Asking()
    condition = asking.ask("host", lambda: machine.condition(host))
    service = asking.ask("service", lambda: view.host(host))
    agents = asking.ask("agents", lambda: view.agents_on(host))
    resources = asking.ask("resources", lambda: _resources(view, service))
    return ReadinessFacts(
        host=host,
        at=now,
        condition=condition,
        service=service,
        agents=agents,
        resources=resources,
        before=before,
        unseen=tuple(asking.unseen.items()),
    )


def _resources(view: View, service: Host | None) -> dict[str, Resource] | None:
    if service is None or service.provider_id is None:
        return None
    return dict(view.resources_of(service.provider_id))


class _Asking:
    def __init__(self) -> None:
        self.unseen: dict[str, str] = {}

    def ask(self, what: str, question: Callable[[], Value]) -> Value | None:
        try:
            return question()
        except (ApiError, UnsupportedError) as error:
            self.unseen[what] = error.message
            return None


def before_of(facts: ReadinessFacts) -> Before | None:
    """What is to be found again afterwards; None when the host could not be looked at."""
    condition = facts.condition
    if condition is None:
        return None
    libvirt, space = condition.libvirt, condition.instances
    return Before(
        libvirt=libvirt.version if libvirt else "",
        cpu_model=libvirt.cpu_model if libvirt else "",
        instances=f"{space.kind} of {space.source}" if space and space.mounted else "",
        failed_units=condition.failed_units or (),
        resources={name: each.capacity for name, each in (facts.resources or {}).items()},
    )
