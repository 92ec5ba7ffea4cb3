"""`StatesView` over the simulated Nova."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nodeops.errors import UnknownServerError
from nodeops.model.facts import Server
from nodeops.model.following import ImageProgress, Sighting
from tests.fake_nova import FakeNova


@dataclass
class FakeStates:
    nova: FakeNova
    calls: list[str] = field(default_factory=list)
    image_list: list[ImageProgress] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    """Raised by the next looks, one each."""
    _known: dict[str, Server] = field(default_factory=dict)

    def now(self) -> float:
        return self.nova.clock.now()

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        self.calls.append("named")
        by_word = {each: server for server in self.nova.servers.values() for each in (server.id, server.name)}
        for word in words:
            if word not in by_word:
                raise UnknownServerError(f"server {word}: does not exist")
        return self._seen([by_word[word] for word in words])

    def on(self, host: str) -> tuple[Sighting, ...]:
        self.calls.append("on")
        return self._seen([server for server in self.nova.servers.values() if server.host == host])

    def changed(self, since: float) -> tuple[Sighting, ...]:  # noqa: ARG002 - the overlap may be anything
        self.calls.append("changed")
        self.nova.advance()
        if self.trouble:
            raise self.trouble.pop(0)
        gone = [Sighting(s, gone=True) for key, s in self._known.items() if key not in self.nova.servers]
        return (*self._seen(list(self.nova.servers.values())), *gone)

    def percent(self, server_id: str) -> int | None:
        self.calls.append("percent")
        running = [m for m in self.nova.migrations if m.server_id == server_id and not m.ended]
        return 40 if running else None

    def images(self) -> tuple[ImageProgress, ...]:
        self.calls.append("images")
        return tuple(self.image_list)

    def _seen(self, servers: list[Server]) -> tuple[Sighting, ...]:
        self._known |= {server.id: server for server in servers}
        return tuple(map(Sighting, servers))
