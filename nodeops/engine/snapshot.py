"""The cloud as seen in one tick: one list call for all servers of a host, and nothing asked twice."""

from collections.abc import Callable

from nodeops.errors import ApiError, AuthenticationError
from nodeops.model.facts import Host, Migration, Server
from nodeops.model.records import RecordsView
from nodeops.model.world import View

TARGET_SECONDS = 120.0
"""How long it is believed that a target still serves."""


class Snapshot:
    """A `View` that remembers until `refresh`.

    Servers come from the list of `host`, fetched when the first of them is asked for; one that was not in
    the last list is fetched by itself. The service of `host` is fresh in every tick, those of other hosts
    for two minutes.
    """

    def __init__(self, view: View, host: str, now: Callable[[], float]) -> None:
        self._view = view
        self._host = host
        self._now = now
        self._listed: dict[str, Server] | None = None
        self._last_listed: frozenset[str] | None = None
        self._list_error: ApiError | AuthenticationError | None = None
        self._servers: dict[str, Server | None] = {}
        self._migrations: dict[str, tuple[Migration, ...]] = {}
        self._own_migrations: dict[str, tuple[Migration, ...]] = {}
        self._hosts: dict[str, tuple[float, Host | None]] = {}
        self._pass_on(view)

    def _pass_on(self, view: View) -> None:
        """What is asked of the cloud each time."""
        self.identity = view.identity
        self.hosts = view.hosts
        self.servers = view.servers
        self.migrations_of = view.migrations_of
        self.evacuations_from = view.evacuations_from
        self.unfinished_migrations = view.unfinished_migrations
        self.progress = view.progress
        self.explain = view.explain
        self.groups = view.groups
        self.aggregates = view.aggregates
        self.ports = view.ports
        self.ports_of = view.ports_of
        self.ports_bound_to = view.ports_bound_to
        self.agents_on = view.agents_on
        self.attachments = view.attachments
        self.attachments_of = view.attachments_of
        self.volumes = view.volumes
        self.volume = view.volume
        self.volumes_of = view.volumes_of
        self.allocations_on = view.allocations_on
        self.allocation = view.allocation
        self.holding = view.holding
        self.tree = view.tree
        self.resources_of = view.resources_of
        self.candidates = view.candidates
        self.traits = view.traits
        self.image_properties = view.image_properties

    @property
    def records(self) -> RecordsView:
        return self._view.records

    def refresh(self) -> None:
        """Begin a new tick: everything is asked again when it is needed."""
        self._listed = None
        self._list_error = None
        self._servers.clear()
        self._migrations.clear()
        self._own_migrations.clear()
        self._hosts.pop(self._host, None)

    def forget_host(self, name: str) -> None:
        """That host's service may have changed."""
        self._hosts.pop(name, None)

    # -- what is remembered

    def server(self, server_id: str) -> Server | None:
        if self._last_listed is None or server_id in self._last_listed:
            listed = self._list().get(server_id)
            if listed is not None:
                return listed
        if server_id not in self._servers:
            self._servers[server_id] = self._view.server(server_id)
        return self._servers[server_id]

    def servers_on(self, host: str) -> tuple[Server, ...]:
        return tuple(self._list().values()) if host == self._host else self._view.servers_on(host)

    def host(self, name: str) -> Host | None:
        asked, known = self._hosts.get(name, (0.0, None))
        if name not in self._hosts or self._now() - asked > TARGET_SECONDS:
            known = self._view.host(name)
            self._hosts[name] = (self._now(), known)
        return known

    def migrations_from(self, host: str, *, server_id: str | None = None) -> tuple[Migration, ...]:
        if host not in self._migrations and server_id is not None:
            if server_id not in self._own_migrations:
                self._own_migrations[server_id] = self._view.migrations_from(host, server_id=server_id)
            return self._own_migrations[server_id]
        if host not in self._migrations:
            self._migrations[host] = self._view.migrations_from(host)
        every = self._migrations[host]
        return tuple(each for each in every if server_id in {None, each.server_id})

    def _list(self) -> dict[str, Server]:
        if self._list_error is not None:
            raise self._list_error
        if self._listed is None:
            try:
                servers = self._view.servers_on(self._host)
            except (ApiError, AuthenticationError) as error:
                self._list_error = error
                raise
            self._listed = {server.id: server for server in servers}
            self._last_listed = frozenset(self._listed)
        return self._listed
