"""`StateRecords` and `Hypervisors` over the simulated Nova."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeops.errors import ApiError
from nodeops.model.facts import Host, Migration, Server
from nodeops.model.states import Deed, Domain
from tests.fake_nova import FakeNova


@dataclass
class FakeRecords:
    nova: FakeNova
    deeds: dict[str, Deed] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    deleted: dict[str, Server] = field(default_factory=dict)
    """Servers whose rows are still there."""
    imaging: frozenset[str] | None = frozenset()
    """None: Glance does not answer."""

    def now(self) -> float:
        return self.nova.clock.now()

    def hosts(self) -> tuple[Host, ...]:
        self.calls.append("hosts")
        return tuple(self.nova.hosts.values())

    def servers(self, host: str | None) -> tuple[Server, ...]:
        self.calls.append("servers")
        self.nova.advance()
        return tuple(server for server in self.nova.servers.values() if host in {None, server.host})

    def migrations(self, host: str | None) -> tuple[Migration, ...]:
        self.calls.append("migrations")
        return tuple(m for m in self.nova.migrations if host in {None, m.source, m.target})

    def deed(self, server_id: str) -> Deed | None:
        self.calls.append("deed")
        return self.deeds.get(server_id)

    def imaged(self) -> frozenset[str]:
        self.calls.append("imaged")
        if self.imaging is None:
            raise ApiError("glance: no answer")
        return self.imaging

    def server(self, server_id: str) -> Server | None:
        self.calls.append("server")
        return self.nova.servers.get(server_id) or self.deleted.get(server_id)


@dataclass
class FakeHypervisors:
    """Hosts that are not in the mapping cannot be looked at."""

    there: Mapping[str, tuple[Domain, ...]]

    def domains(self, host: str) -> tuple[Domain, ...] | None:
        return self.there.get(host)
