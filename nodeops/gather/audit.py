"""All that left-overs are found in, by lists: the number of calls grows with the hosts, not with the servers.

Who keeps records is asked before Nova is: what was made meanwhile is then not taken for a left-over. What
names a server that is in no list is looked up by itself.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from nodeops.errors import ApiError, ConfigurationError
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.model.facts import AttachedVolume, Host, Migration, Port
from nodeops.model.leftovers import EVERYWHERE, AuditFacts
from nodeops.model.records import HostRecords, ServerRecord
from nodeops.model.world import View

_Answer = TypeVar("_Answer")
FEW = 50
"""Up to so many strangers are asked for one by one; more are looked for in the list of all servers first."""
DOUBTS = 200
"""Servers in doubt that are asked about by themselves."""


def gather_audit(view: View, scope: str, now: float, *, cloud: str = "") -> AuditFacts:
    """Raises `UnknownHostError`, and `ApiError` when hosts or servers cannot be read."""
    looking = _Looking(view, scope, {each.name: each for each in view.hosts()})
    if scope != EVERYWHERE:
        find_host(scope, looking.hosts.values())
    facts = AuditFacts(
        cloud=cloud,
        now=now,
        scope=scope,
        hosts=looking.hosts,
        servers={},
        allocations=looking.allocations(),
        bound=looking.bound(),
        attachments=looking.unseen.ask("volume attachments", view.attachments),
        volumes=looking.unseen.ask("volumes", view.volumes),
        migrations=looking.unseen.ask("migrations", view.unfinished_migrations),
    )
    listed = view.servers() if scope == EVERYWHERE else view.servers_on(scope)
    servers = {server.id: server for server in listed}
    ports = looking.ports(servers)
    facts = replace(facts, servers=servers, ports=None if ports is None else _all(ports, facts.bound))
    facts = looking.strangers(facts)
    facts = replace(facts, named=looking.named(facts), holdings=looking.holdings(facts))
    facts = replace(facts, histories=looking.histories(facts))
    facts = looking.records(facts)
    return replace(facts, unseen=tuple(looking.unseen.words))


@dataclass
class _Looking:
    view: View
    scope: str
    hosts: Mapping[str, Host]
    unseen: Unseen = field(default_factory=Unseen)

    @property
    def names(self) -> list[str]:
        return sorted(self.hosts) if self.scope == EVERYWHERE else [self.scope]

    def allocations(self) -> dict[str, Mapping[str, Mapping[str, int]]] | None:
        found = {}
        for name in self.names:
            provider = self.hosts[name].provider_id
            if provider is None:
                self.unseen.words.append(f"allocations on {name}: its compute node is not known")
                continue
            there = self.unseen.ask(f"allocations on {name}", self.view.allocations_on, provider)
            if there is not None:
                found[name] = there
        return found or None

    def bound(self) -> dict[str, tuple[Port, ...]] | None:
        found = {}
        for name in self.names:
            there = self.unseen.ask(f"ports bound to {name}", self.view.ports_bound_to, name)
            if there is None:
                # Neutron that does not answer for one host does not for the others either.
                return None
            found[name] = there
        return found

    def ports(self, servers: Iterable[str]) -> tuple[Port, ...] | None:
        if self.scope == EVERYWHERE:
            return self.unseen.ask("ports", self.view.ports)
        return self.unseen.ask("ports", self.view.ports_of, tuple(servers))

    def strangers(self, facts: AuditFacts) -> AuditFacts:
        """Servers that something names and no list has: on another host, soft-deleted, or gone."""
        unknown = _named_servers(facts) - facts.servers.keys()
        servers = dict(facts.servers)
        if len(unknown) > FEW and self.scope != EVERYWHERE:
            every = self.unseen.ask("servers of other hosts", self.view.servers) or ()
            servers |= {server.id: server for server in every if server.id in unknown}
            unknown -= servers.keys()
        gone = set()
        for each in sorted(unknown):
            before = len(self.unseen.words)
            server = self.unseen.ask(f"server {each}", self.view.server, each)
            if server is not None:
                servers[each] = server
            elif len(self.unseen.words) == before:
                gone.add(each)
            else:
                break
        return replace(facts, servers=servers, gone=frozenset(gone))

    def named(self, facts: AuditFacts) -> dict[str, tuple[AttachedVolume, ...]]:
        """Nova's mappings where Cinder's attachments alone do not tell which one is right."""
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for each in facts.attachments or ():
            counts[each.server_id, each.volume_id] += 1
        doubtful = sorted({server for (server, _), number in counts.items() if number > 1})
        return self._each(doubtful, facts, "volumes of server", self.view.volumes_of)

    def holdings(self, facts: AuditFacts) -> dict[str, Mapping[str, Mapping[str, int]]]:
        """All that servers hold which are counted where they are not, or not where they are."""
        counted = facts.allocations or {}
        doubtful = {
            consumer
            for name, there in counted.items()
            for consumer in there
            if consumer in facts.servers and facts.servers[consumer].host != name
        }
        doubtful |= {
            server.id
            for server in facts.servers.values()
            if server.host is not None and server.id not in counted.get(server.host, {server.id})
        }
        busy = {each for each in doubtful if facts.servers[each].task_state is not None}
        return self._each(sorted(doubtful - busy), facts, "allocation of server", self.view.allocation)

    def histories(self, facts: AuditFacts) -> dict[str, tuple[Migration, ...]]:
        return self._each(sorted(facts.elsewhere), facts, "migrations of server", self.view.migrations_of)

    def _each(
        self, ids: list[str], facts: AuditFacts, what: str, question: Callable[[str], _Answer]
    ) -> dict[str, _Answer]:
        found = {}
        for each in ids[:DOUBTS]:
            if each in facts.servers:
                answer = self.unseen.ask(f"{what} {each}", question, each)
                if answer is not None:
                    found[each] = answer
        if len(ids) > DOUBTS:
            self.unseen.words.append(
                f"{what}: {len(ids) - DOUBTS} of {len(ids)} in doubt were not asked about"
            )
        return found

    def records(self, facts: AuditFacts) -> AuditFacts:
        rows: dict[str, ServerRecord] = {}
        compute_ids: dict[str, int] = {}
        for name in self.names:
            try:
                there: HostRecords = self.view.records.host_records(name, None)
            except ConfigurationError:
                return facts
            except ApiError as error:
                self.unseen.words.append(f"records of {name}: {error.message}")
                continue
            rows |= {record.id: record for record in there.servers}
            compute_ids[name] = there.source.compute_id
        return replace(facts, records=rows, compute_ids=compute_ids)


def _named_servers(facts: AuditFacts) -> set[str]:
    named = {consumer for there in (facts.allocations or {}).values() for consumer in there}
    # A migration holds the resources of the old host under its own id while it goes on.
    named -= {migration.uuid for migration in facts.migrations or ()}
    named |= {port.server_id for port in facts.ports or ()}
    attachments = facts.attachments or ()
    if facts.scope == EVERYWHERE:
        named |= {each.server_id for each in attachments}
    else:
        here = {
            each.id
            for volume in facts.volumes or ()
            for each in volume.attachments
            if each.host == facts.scope
        }
        named |= {each.server_id for each in attachments if each.id in here}
    return {each for each in named if each}


def _all(ports: tuple[Port, ...], bound: Mapping[str, tuple[Port, ...]] | None) -> tuple[Port, ...]:
    every = {port.id: port for there in (bound or {}).values() for port in there}
    every |= {port.id: port for port in ports}
    return tuple(port for port in every.values() if port.device_owner.startswith("compute:"))
