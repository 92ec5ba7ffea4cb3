"""What a server goes through, link by link, before it is known where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeops.plan import Json, Risk


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain without its target."""

    action: str
    risk: Risk
    why: str
    leaves: bool = False
    """It takes the server off its source."""
    lands: bool = False
    """It puts the server on its target."""
    params: Mapping[str, Json] = field(default_factory=dict)
    restores: str | None = None
    """The action whose effect it takes back, also when what lies between failed."""
    suffix: str = ""
    """Told apart from a later step of the same action."""
    seconds: float | None = None
    """How long it should take where that is not the action's usual time."""
    gates: tuple[str, ...] = ()
    """Asked before it, besides the one about its target."""

    def step_id(self, server_id: str) -> str:
        return f"{self.action}:{server_id}{self.suffix}"


Chain = tuple[Link, ...]


def wait_task(why: str) -> Link:
    return Link("wait-task", Risk.SAFE, why)


def live(vm_state: str, *, block: bool) -> Chain:
    action = "block-migrate" if block else "live-migrate"
    why = "it runs, and its disks are copied" if block else f"it is {vm_state}"
    return (Link(action, Risk.LIVE, why, leaves=True, lands=True, params={"vm_state": vm_state}),)


def cold(vm_state: str, source: str, *, risk: Risk, why: str) -> Chain:
    return (
        Link("cold-migrate", risk, why, leaves=True, lands=True, params={"vm_state": vm_state}),
        confirm(source, "the move is accepted, and the old disk freed"),
    )


def confirm(old_host: str | None, why: str, *, risk: Risk = Risk.SAFE, suffix: str = "") -> Link:
    params: Mapping[str, Json] = {} if old_host is None else {"old_host": old_host}
    return Link("confirm-resize", risk, why, params=params, suffix=suffix)


def offload(source: str, why: str) -> Chain:
    return (Link("shelve-offload", Risk.SAFE, why, params={"host": source}),)


def shelved_over(source: str, why: str) -> Chain:
    """Off by way of an image, and back on at the target."""
    return (
        Link("shelve", Risk.REBOOT, why, params={"host": source}),
        Link("shelve-offload", Risk.REBOOT, why, params={"host": source}),
        Link("unshelve", Risk.REBOOT, "it comes back from its image", lands=True, restores="shelve"),
    )


def there_and_back(action: str, back: str, source: str, why: str, risk: Risk) -> tuple[Chain, Chain]:
    """Out of a state nova does not move, and into it again."""
    first = Link(action, risk, why, params={"host": source})
    again = Link(back, risk, "as it was before", restores=action)
    return (first,), (again,)
