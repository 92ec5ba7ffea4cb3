"""What an audit sees: a cloud's records of where its servers are, from all who keep such records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeops.model.facts import AttachedVolume, Attachment, Host, Migration, Port, Server, Volume
from nodeops.model.records import ServerRecord

EVERYWHERE = "all"
"""In the place of a host's name: the whole cloud."""


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """All that left-overs are found in; what could not be read is None."""

    cloud: str
    now: float
    """The cloud's time, seconds since the epoch."""
    scope: str
    """A host's name, or `EVERYWHERE`."""
    hosts: Mapping[str, Host]
    """Every compute host."""
    servers: Mapping[str, Server]
    """Those of the scope, and any other that something in the scope belongs to."""
    gone: frozenset[str] = frozenset()
    """Ids that something names and of which Nova knows no server: each was asked for by itself."""
    allocations: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None
    """Host name -> consumer -> resource class -> amount."""
    ports: tuple[Port, ...] | None = None
    """Of servers of the scope, or bound in it."""
    bound: Mapping[str, tuple[Port, ...]] | None = None
    """Host name -> ports with any binding there."""
    attachments: tuple[Attachment, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    named: Mapping[str, tuple[AttachedVolume, ...]] = field(default_factory=dict)
    """What Nova's mappings say, by server id, of servers whose attachments are in doubt."""
    migrations: tuple[Migration, ...] | None = None
    """Not ended, or evacuations that are `done`."""
    histories: Mapping[str, tuple[Migration, ...]] = field(default_factory=dict)
    """Migrations of servers of which something is on another host, by server id."""
    holdings: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """All that servers hold which are counted where they are not, or not where they are: server id ->
    provider -> class -> amount."""
    records: Mapping[str, ServerRecord] | None = None
    """Rows of the servers of the scope; None without the databases."""
    compute_ids: Mapping[str, int] = field(default_factory=dict)
    """`compute_nodes.id` by host name, from the databases."""
    unseen: tuple[str, ...] = ()

    def inside(self, host: str | None) -> bool:
        return self.scope in {EVERYWHERE, host}

    @property
    def elsewhere(self) -> Mapping[str, frozenset[str]]:
        """Hosts that have something of a server which is on another one, by server id."""
        found: dict[str, set[str]] = {}
        hosts = {each.id: each.host for volume in self.volumes or () for each in volume.attachments}
        providers = {host.provider_id: host.name for host in self.hosts.values()}
        claims = [
            (each, providers.get(key, ""))
            for each, held in self.holdings.items()
            # One that is counted on its host as well has been moved by Nova, and something was left.
            if self._home(each) not in held
            for key in held
        ]
        claims += [(port.server_id, port.host) for port in self.ports or ()]
        claims += [(each.server_id, hosts.get(each.id) or "") for each in self.attachments or ()]
        for server_id, name in claims:
            server = self.servers.get(server_id)
            if server is not None and server.host is not None and name and server.host != name:
                found.setdefault(server_id, set()).add(name)
        return {key: frozenset(names) for key, names in found.items()}

    def _home(self, server_id: str) -> str | None:
        """The provider of the host it is on."""
        server = self.servers.get(server_id)
        host = self.hosts.get(server.host or "") if server else None
        return host.provider_id if host else None

    @property
    def where(self) -> str:
        return "the cloud" if self.scope == EVERYWHERE else self.scope
