"""Left-overs of moves, judged by facts alone.

What is under way is no left-over: a server in a task or in an unfinished migration is left out, and so is
what waits for a confirmation, and what nobody could look at.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nodeops.actions.bind_ports import UNBOUND
from nodeops.model.facts import Attachment, Migration, Port, Server
from nodeops.model.leftovers import EVERYWHERE, AuditFacts
from nodeops.model.states import StatesFacts, moment
from nodeops.plan import Json, StepId
from nodeops.runbooks.contradictions import Mismatch, contradictions
from nodeops.runbooks.leftovers import CLASSES, LeftoverClass

STUCK_AFTER = 3600.0
"""Seconds from which on a task or an open migration is a left-over."""
HEARD_AFTER = 60.0
"""A host that is heard of so many seconds after its servers were evacuated lives; clocks differ by less."""
STUCK = frozenset({"task-stuck", "delete-stuck", "build-stuck"})
DOUBTFUL = frozenset({"moved-without-record", "node-disagrees", "host-unknown"})
"""Where such a server really runs nobody can say but who looks: nothing of it is changed."""
OFF_HOST = frozenset({"shelved", "shelved_offloaded"})


@dataclass(frozen=True, slots=True)
class Mending:
    """One change by the API that ends a left-over."""

    action: str
    key: str
    """What tells it from other changes of the same kind to the same subject."""
    params: dict[str, Json]

    def id(self, subject: str) -> StepId:
        return f"{self.action}:{subject}:{self.key}" if self.key else f"{self.action}:{subject}"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One left-over."""

    kind: LeftoverClass
    id: str
    """Of the server, or of what is named in its place."""
    name: str
    host: str
    """The host where something has to be looked at."""
    words: str
    mending: Mending | None = None
    """What `--fix` does; None: nothing."""
    mismatch: Mismatch | None = None
    """Of a stuck task."""
    repair: str = ""
    """The repair with this one's names, where that says more than the class."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The same left-over found again."""
        return self.kind.name, self.id, self.mending.key if self.mending else self.words


def leftovers(facts: AuditFacts) -> tuple[Leftover, ...]:
    """Everything that was found, by host and name."""
    found = [
        *_allocations(facts),
        *_uncounted(facts),
        *_unrecorded(facts),
        *_ports(facts),
        *_bindings(facts),
        *_attachments(facts),
        *_volumes(facts),
        *_servers(facts),
        *_records(facts),
        *_migrations(facts),
        *_counts(facts),
        *_stuck(facts),
    ]
    doubtful = {each.id for each in found if each.kind.name in DOUBTFUL}
    unique = {each.key: replace(each, mending=None) if each.id in doubtful else each for each in found}
    return tuple(sorted(unique.values(), key=lambda each: (each.host, each.name, each.kind.name)))


def _left(
    name: str, server: Server | None, id_: str, host: str, words: str, *, by: Mending | None = None
) -> Leftover:
    kind = CLASSES[name]
    repair = kind.repair.replace("SERVER", server.name if server else id_).replace("HOST", host or "HOST")
    return Leftover(kind, id_, server.name if server else id_, host, words, by, repair=repair)


def _moving(facts: AuditFacts) -> set[str]:
    """Servers that something is under way with."""
    busy = {
        server.id for server in facts.servers.values() if server.task_state or server.vm_state == "resized"
    }
    return busy | {m.server_id for m in facts.migrations or () if not m.ended}


def _evacuated(facts: AuditFacts) -> set[tuple[str, str]]:
    """(server, old host) of evacuations that wait to be cleaned up."""
    return {
        (m.server_id, m.source)
        for m in facts.migrations or ()
        if (m.type, m.status) == ("evacuation", "done")
    }


# -- Placement


def _allocations(facts: AuditFacts) -> Iterator[Leftover]:
    if facts.migrations is None:
        # Without them nothing tells a move that goes on from one that was cut off.
        return
    moving, evacuated = _moving(facts), _evacuated(facts)
    for host, there in (facts.allocations or {}).items():
        for consumer, amounts in there.items():
            held = _amounts(amounts)
            if consumer in facts.gone:
                words = f"placement counts {held} for it on {host}, and nova does not know it"
                mending = Mending("drop-allocation", "", {})
                yield _left("allocation-of-no-server", None, consumer, host, words, by=mending)
                continue
            server = facts.servers.get(consumer)
            if server is None or server.host == host or consumer in moving:
                continue
            if (consumer, host) in evacuated:
                words = f"is on {server.host}, and {host} has not been back since its evacuation"
                yield _left("allocation-of-evacuated", server, consumer, host, words)
                continue
            yield from _elsewhere(facts, server, host, held)


def _elsewhere(facts: AuditFacts, server: Server, host: str, held: str) -> Iterator[Leftover]:
    words = f"is on {server.host or 'no host'}, and placement counts {held} on {host}"
    here, right = facts.hosts.get(host), facts.hosts.get(server.host or "")
    provider = right.provider_id if right is not None else None
    mending = None
    if here is not None and here.provider_id is not None and (server.host is None or provider is not None):
        params: dict[str, Json] = {"wrong": here.provider_id, "right": provider, "host": server.host}
        mending = Mending("mend-allocation", host, params)
    yield _left("allocation-elsewhere", server, server.id, host, words, by=mending)


def _uncounted(facts: AuditFacts) -> Iterator[Leftover]:
    """Servers that their own host does not count, and what they hold instead."""
    if facts.migrations is None:
        return
    moving = _moving(facts)
    providers = {host.provider_id: host.name for host in facts.hosts.values()}
    for server_id, held in facts.holdings.items():
        server = facts.servers[server_id]
        if server_id in moving or not facts.inside(server.host):
            continue
        if not held:
            words = f"is on {server.host}, and placement counts it nowhere"
            yield _left("allocation-missing", server, server.id, server.host or "", words)
        for provider, amounts in held.items():
            host = providers.get(provider)
            if host is not None and host not in (facts.allocations or {}):
                yield from _elsewhere(facts, server, host, _amounts(amounts))


def _amounts(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {name}" for name, amount in sorted(amounts.items()))


def _unrecorded(facts: AuditFacts) -> Iterator[Leftover]:
    """Where the old host would not be told to remove its copy."""
    moving = _moving(facts)
    for server_id, hosts in facts.elsewhere.items():
        history, server = facts.histories.get(server_id), facts.servers[server_id]
        if history is None or server_id in moving or server.host not in facts.hosts:
            continue
        known = {name for migration in history for name in (migration.source, migration.target)}
        for host in sorted(hosts - known):
            if facts.inside(host) or facts.inside(server.host):
                words = f"is on {server.host}, {host} still has something of it, and no migration tells why"
                yield _left("moved-without-record", server, server_id, host, words)


# -- Neutron


def _ports(facts: AuditFacts) -> Iterator[Leftover]:
    moving = _moving(facts)
    for port in facts.ports or ():
        if port.server_id in facts.gone:
            words = f"its port {port.id} is left, bound on {port.host or 'no host'}"
            yield _left("port-of-no-server", None, port.server_id, port.host, words)
            continue
        server = facts.servers.get(port.server_id)
        if server is None or server.host is None or server.id in moving or server.vm_state in OFF_HOST:
            continue
        if not (facts.inside(server.host) or facts.inside(port.host)):
            continue
        if port.host and port.host != server.host:
            words = f"is on {server.host}, and its port {port.id} is bound on {port.host}"
            yield _left("port-elsewhere", server, server.id, port.host, words, by=_rebinding(port, server))
        elif port.vif_type in UNBOUND or not port.host:
            words = f"its port {port.id} is {port.vif_type or 'unbound'} on {server.host}"
            yield _left("port-not-bound", server, server.id, server.host, words, by=_rebinding(port, server))


def _rebinding(port: Port, server: Server) -> Mending:
    owner = f"compute:{server.zone}" if server.zone else None
    return Mending("rebind-port", port.id, {"port": port.id, "host": server.host, "owner": owner})


def _bindings(facts: AuditFacts) -> Iterator[Leftover]:
    """Listed on a host by one of its bindings while the ACTIVE one is on another."""
    moving = _moving(facts)
    for host, ports in (facts.bound or {}).items():
        for port in ports:
            server = facts.servers.get(port.server_id)
            if server is None or port.host == host or server.id in moving or server.host == host:
                continue
            words = f"its port {port.id} has a binding on {host} too, and is bound on {port.host}"
            mending = Mending("delete-binding", f"{port.id}:{host}", {"port": port.id, "host": host})
            yield _left("binding-left-over", server, server.id, host, words, by=mending)


# -- Cinder


def _attachments(facts: AuditFacts) -> Iterator[Leftover]:
    moving = _moving(facts)
    hosts = {each.id: each.host for volume in facts.volumes or () for each in volume.attachments}
    for each in facts.attachments or ():
        host = hosts.get(each.id) or each.host
        if each.server_id in facts.gone:
            words = f"volume {each.volume_id} is attached to it ({each.id}, {each.status})"
            yield _left(
                "attachment-of-no-server", None, each.server_id, host or "", words, by=_deleting(each)
            )
            continue
        server = facts.servers.get(each.server_id)
        if server is None or server.id in moving:
            continue
        if not (facts.inside(server.host) or (host is not None and facts.inside(host))):
            continue
        yield from _of_server(facts, server, each, host)


def _of_server(facts: AuditFacts, server: Server, each: Attachment, host: str | None) -> Iterator[Leftover]:
    named = {volume.attachment_id for volume in facts.named.get(server.id, ())}
    where = server.host or host or ""
    if each.volume_id not in server.volume_ids or (named and each.id not in named):
        words = f"cinder has attachment {each.id} of volume {each.volume_id}, which nova does not name"
        yield _left("attachment-dangling", server, server.id, where, words, by=_deleting(each))
    elif server.host is None or server.vm_state in OFF_HOST:
        return
    elif each.status != "attached":
        words = f"its volume {each.volume_id} is {each.status} ({each.id})"
        yield _left("attachment-not-complete", server, server.id, where, words)
    elif host is not None and host != server.host:
        words = f"is on {server.host}, and its volume {each.volume_id} is attached to {host}"
        yield _left("attachment-elsewhere", server, server.id, host, words)


def _deleting(each: Attachment) -> Mending:
    return Mending("delete-attachment", each.id, {"attachment": each.id, "volume": each.volume_id})


def _volumes(facts: AuditFacts) -> Iterator[Leftover]:
    if facts.attachments is None:
        return
    moving = _moving(facts)
    known: dict[str, set[str]] = defaultdict(set)
    ids = {each.id for each in facts.attachments}
    for each in facts.attachments:
        known[each.server_id].add(each.volume_id)
    for server in facts.servers.values():
        if server.id in moving or not facts.inside(server.host):
            continue
        lost = {volume for volume in server.volume_ids if volume not in known[server.id]}
        named = facts.named.get(server.id, ())
        lost |= {each.volume_id for each in named if each.attachment_id and each.attachment_id not in ids}
        for volume in sorted(lost):
            words = f"nova names volume {volume}, and cinder does not know that attachment"
            yield _left("attachment-missing", server, server.id, server.host or "", words)


# -- Nova


def _servers(facts: AuditFacts) -> Iterator[Leftover]:
    moving = _moving(facts)
    for server in facts.servers.values():
        if server.host is None or server.id in moving:
            continue
        host = facts.hosts.get(server.host)
        if host is None:
            alike = _alike(facts, server.host)
            words = f"nova says it is on {server.host!r}, and no compute service has this name{alike}"
            yield _left("host-unknown", server, server.id, server.host, words)
        elif facts.inside(server.host) and host.node is not None and server.node != host.node:
            words = f"is on {server.host}, whose hypervisor is {host.node}, and its own is {server.node}"
            yield _left("node-disagrees", server, server.id, server.host, words)


def _alike(facts: AuditFacts, name: str) -> str:
    alike = [each for each in facts.hosts if each.casefold() == name.strip().casefold()]
    return f": {alike[0]!r} differs in case or blanks" if alike else ""


def _records(facts: AuditFacts) -> Iterator[Leftover]:
    """What only the databases tell."""
    moving = _moving(facts)
    for record in (facts.records or {}).values():
        if record.id in moving:
            continue
        server = facts.servers.get(record.id)
        wanted = facts.compute_ids.get(record.host or "")
        if wanted is not None and record.compute_id not in {wanted, None}:
            words = f"compute_id of its row is {record.compute_id}, and that of {record.host} is {wanted}"
            yield _left("compute-id-disagrees", server, record.id, record.host or "", words)
        volumes = [each.volume_id for each in record.volumes]
        for volume in sorted({each for each in volumes if volumes.count(each) > 1}):
            words = f"it has {volumes.count(volume)} mappings of volume {volume}"
            yield _left("volume-doubled", server, record.id, record.host or "", words)


def _migrations(facts: AuditFacts) -> Iterator[Leftover]:
    for migration in facts.migrations or ():
        if not (facts.inside(migration.source) or facts.inside(migration.target)):
            continue
        server = facts.servers.get(migration.server_id)
        if (migration.type, migration.status) == ("evacuation", "done"):
            yield from _tombstone(facts, migration, server)
        elif _abandoned(facts, migration, server):
            way = f"{migration.source} to {migration.target or 'no host yet'}"
            state = "is gone" if server is None else f"is {server.status} without a task"
            words = (
                f"{migration.type} {migration.id} from {way} is {migration.status}, and the server {state}"
            )
            yield _left("migration-open", server, migration.server_id, migration.source, words)


def _tombstone(facts: AuditFacts, migration: Migration, server: Server | None) -> Iterator[Leftover]:
    host = facts.hosts.get(migration.source)
    if host is None or (server is not None and server.host == migration.source):
        return
    words = f"was evacuated from {migration.source} to {migration.target} (migration {migration.id})"
    # One that is forced down still tells when it was heard of last.
    alive = host.up or moment(host.last_seen) > moment(migration.updated) + HEARD_AFTER
    name = "tombstone-open" if alive else "tombstone-waiting"
    yield _left(name, server, migration.server_id, migration.source, words)


def _abandoned(facts: AuditFacts, migration: Migration, server: Server | None) -> bool:
    """Nothing is under way with the server, for longer than a move takes to begin or to end."""
    if migration.ended or facts.now - moment(migration.updated or migration.created) < STUCK_AFTER:
        return False
    if server is None:
        return migration.server_id in facts.gone
    return server.task_state is None and server.vm_state != "resized"


def _counts(facts: AuditFacts) -> Iterator[Leftover]:
    moving = _moving(facts)
    counts: dict[str, int] = defaultdict(int)
    for server in facts.servers.values():
        counts[server.host or ""] += 1
    for host in facts.hosts.values():
        if not facts.inside(host.name) or not host.up or host.servers is None:
            continue
        if any(server.host == host.name for server in facts.servers.values() if server.id in moving):
            continue
        if host.servers != counts[host.name]:
            words = f"nova-compute counts {host.servers} servers, and {counts[host.name]} are there"
            yield Leftover(CLASSES["count-disagrees"], host.name, host.name, host.name, words)


def _stuck(facts: AuditFacts) -> Iterator[Leftover]:
    seen = StatesFacts(
        now=facts.now,
        host=None if facts.scope == EVERYWHERE else facts.scope,
        hosts=facts.hosts,
        servers=tuple(each for each in facts.servers.values() if facts.inside(each.host)),
        migrations=tuple(m for m in facts.migrations or () if not m.ended),
    )
    for each in contradictions(seen, older_than=STUCK_AFTER):
        if each.kind.name in STUCK:
            left = _left("task-stuck", each.server, each.id, each.host, each.words)
            mends = each.mends(nova_is_right=False)
            mending = Mending("settle", "", {}) if mends and facts.migrations is not None else None
            yield replace(left, mending=mending, mismatch=each, repair=each.kind.mend)


def serious(found: Iterable[Leftover]) -> list[Leftover]:
    """Those that are a reason for a bad exit code."""
    return [each for each in found if each.kind.serious]
