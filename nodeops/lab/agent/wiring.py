"""What a layer-2 agent still has to do, worked out from what is plugged; free of Neutron, to be tested.

A port is wired once for each time it is plugged, again when Neutron activates its binding on this host or
changes it, and unwired when it is gone from the bridge.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeops.lab.hypervisor.vifs import Stamp

RETRY_SECONDS = 1.0
MOST_TRIES = 30


@dataclass(frozen=True, slots=True)
class Todo:
    """Ports to tell Neutron about."""

    wire: tuple[str, ...] = ()
    """Just plugged: up in any case, for Nova waits for it before a live migration."""
    refresh: tuple[str, ...] = ()
    """Known and changed: up only where Neutron says that it is bound here."""
    unwire: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wire or self.refresh or self.unwire)


@dataclass
class HostWiring:
    """One host's ports as its agent knows them."""

    wired: dict[str, Stamp] = field(default_factory=dict)
    _changed: deque[str] = field(default_factory=deque)
    _retries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def forget(self) -> None:
        """Know nothing any more: the agent stopped."""
        self.wired.clear()
        self._changed.clear()
        self._retries.clear()

    def changed(self, port_id: str) -> None:
        """Note that Neutron changed the port or activated its binding here; any thread may."""
        self._changed.append(port_id)

    def todo(self, plugged: Mapping[str, Stamp], now: float) -> Todo:
        """Return what has to be done for the bridge to be wired as it is plugged."""
        wire = [port for port, stamp in plugged.items() if self.wired.get(port) != stamp]
        gone = [port for port in self.wired if port not in plugged]
        for port in [port for port in self._retries if port not in plugged]:
            del self._retries[port]
        changed = {self._changed.popleft() for _ in range(len(self._changed))}
        return Todo(
            wire=tuple(port for port in wire if self._due(port, now)),
            refresh=tuple(sorted(changed.intersection(plugged).difference(wire))),
            unwire=tuple(gone),
        )

    def done(self, plugged: Mapping[str, Stamp], todo: Todo, failed: set[str], now: float) -> None:
        """Note how it went; what failed is tried again a second later, up to 30 times."""
        for port in todo.wire:
            if port not in failed:
                self.wired[port] = plugged[port]
                self._retries.pop(port, None)
            elif not self._retry(port, now):
                self.wired[port] = plugged[port]
        self._changed.extend(failed.intersection(todo.refresh))
        for port in todo.unwire:
            if port not in failed:
                self.wired.pop(port, None)

    def _due(self, port: str, now: float) -> bool:
        return now >= self._retries.get(port, (0, 0.0))[1]

    def _retry(self, port: str, now: float) -> bool:
        tries = self._retries.get(port, (0, 0.0))[0] + 1
        self._retries[port] = (tries, now + RETRY_SECONDS)
        return tries < MOST_TRIES
