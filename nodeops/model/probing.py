"""Who measures how long a guest was not there while it moved."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from nodeops.events import Event
from nodeops.model.blackout import Blackout


class Probe(Protocol):
    """Listens to a run as a context manager, and measures each guest while it is moved."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait, for some seconds, for what is still to be seen."""
        ...

    def __call__(self, event: Event) -> None: ...

    def blackouts(self) -> Mapping[str, Blackout]:
        """By server, of those whose move was seen to begin; complete after the context."""
        ...
