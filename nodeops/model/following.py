"""Servers as somebody watches them: what is seen of each, and the few questions that takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nodeops.model.facts import PowerState, Server

NOTHING = "none"
"""How the absence of a task, a host or a value is written."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One server at one moment."""

    server: Server
    percent: int | None = None
    """Nova's own figure for how far a move is; None when nothing moves or nothing is told."""
    gone: bool = False
    """Deleted: Nova lists it only because it changed of late."""

    @property
    def values(self) -> dict[str, str]:
        """What is followed, as words: `status`, `vm_state`, `task`, `power`, `host`."""
        server = self.server
        return {
            "status": "DELETED" if self.gone else server.status,
            "vm_state": "deleted" if self.gone else server.vm_state,
            "task": NOTHING if self.gone else server.task_state or NOTHING,
            "power": power_name(server.power_state),
            "host": server.host or NOTHING,
        }


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """An image that is being made of a server."""

    server_id: str
    name: str
    status: str
    """Glance's: `queued` until the upload begins, then `saving`."""


class StatesView(Protocol):
    """What following servers asks of the cloud; every method raises `ApiError` when there is no answer."""

    def now(self) -> float:
        """The cloud's time, seconds since the epoch."""
        ...

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        """Servers by id or exact name; `UnknownServerError` for a word that means none or several."""
        ...

    def on(self, host: str) -> tuple[Sighting, ...]: ...

    def changed(self, since: float) -> tuple[Sighting, ...]:
        """Every server of the cloud that changed after then, deleted ones included, in one list call."""
        ...

    def percent(self, server_id: str) -> int | None:
        """How far its live migration is by the bytes, None when there is none under way."""
        ...

    def images(self) -> tuple[ImageProgress, ...]:
        """Images of servers that are not complete yet."""
        ...


def power_name(state: int) -> str:
    """`nova/compute/power_state.py`, in its words."""
    try:
        return PowerState(state).name
    except ValueError:
        return str(state)
