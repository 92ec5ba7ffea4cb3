"""All that the states of servers are judged by: three calls for a host, and two more for each old task."""

from dataclasses import replace

from nodeops.errors import NodeopsError
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.model.facts import Host, Server
from nodeops.model.states import Deed, Domain, Hypervisors, StateRecords, StatesFacts, makes_image, old_tasks

DEEDS = 10
"""Old tasks that are asked about; the others are judged by their age alone."""


def gather_states(
    records: StateRecords,
    host: str | None,
    hypervisors: Hypervisors | None = None,
    *,
    older_than: float,
    cloud: str = "",
) -> StatesFacts:
    """Raises `UnknownHostError`, and `ApiError` when hosts or servers cannot be read."""
    unseen = Unseen()
    hosts = {each.name: each for each in records.hosts()}
    if host is not None:
        find_host(host, hosts.values())
    servers = records.servers(host)
    migrations = unseen.ask("migrations", records.migrations, host) or ()
    facts = StatesFacts(
        now=records.now(),
        host=host,
        hosts=hosts,
        servers=servers,
        migrations=tuple(migration for migration in migrations if not migration.ended),
        cloud=cloud,
    )
    facts = replace(facts, deeds=_deeds(records, facts, older_than, unseen))
    if any(map(makes_image, old_tasks(servers, facts.now - older_than))):
        facts = replace(facts, imaged=unseen.ask("unfinished images", records.imaged))
    if hypervisors is not None:
        domains = _domains(hypervisors, hosts if host is None else {host: hosts[host]}, unseen)
        facts = replace(facts, domains=domains, strangers=_strangers(records, facts, domains, unseen))
    return replace(facts, unseen=tuple(unseen.words))


def _deeds(
    records: StateRecords, facts: StatesFacts, older_than: float, unseen: Unseen
) -> dict[str, Deed | None]:
    found = {}
    for server in old_tasks(facts.servers, facts.now - older_than)[:DEEDS]:
        before = len(unseen.words)
        deed = unseen.ask(f"actions of server {server.name}", records.deed, server.id)
        if len(unseen.words) == before:
            found[server.id] = deed
    return found


def _domains(
    hypervisors: Hypervisors, hosts: dict[str, Host], unseen: Unseen
) -> dict[str, tuple[Domain, ...]]:
    found = {}
    for name in sorted(hosts):
        try:
            there = hypervisors.domains(name)
        except NodeopsError as error:
            unseen.words.append(f"hypervisor of {name}: {error.message}")
            continue
        if there is not None:
            found[name] = there
    return found


def _strangers(
    records: StateRecords, facts: StatesFacts, domains: dict[str, tuple[Domain, ...]], unseen: Unseen
) -> dict[str, Server | None]:
    """What Nova says of guests that are on no list."""
    known = {server.id for server in facts.servers}
    found: dict[str, Server | None] = {}
    for host, there in domains.items():
        for domain in there:
            if domain.server_id not in known and domain.server_id not in found:
                before = len(unseen.words)
                server = unseen.ask(f"guest {domain.name} on {host}", records.server, domain.server_id)
                if len(unseen.words) == before:
                    found[domain.server_id] = server
    return found
