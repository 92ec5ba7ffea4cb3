"""All that a drain, or the way back, is planned from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nodeops.gather.hosts import find_host, with_aggregates
from nodeops.gather.optional import Unseen
from nodeops.gather.room import gather_room, with_shared_disk
from nodeops.model.facts import (
    Attachment,
    DrainFacts,
    Host,
    HostSettings,
    Identity,
    Learnt,
    Migration,
    Moved,
    Server,
    ServerGroup,
)
from nodeops.model.world import View

HARD_POLICIES = frozenset({"affinity", "anti-affinity"})
EMBEDS_IMAGE_PROPERTIES = (2, 98)
"""Compute API from which a server tells its image's properties itself."""


def gather_drain(
    view: View,
    host: str,
    settings: Mapping[str, HostSettings] | None = None,
    learnt: Learnt | None = None,
    *,
    also: Sequence[str] = (),
) -> DrainFacts:
    """Everything about the servers of a host, and those of it that are elsewhere in the middle of a move.

    `also` are servers of an unfinished run, wherever they are now. Raises `UnknownHostError`, and `ApiError`
    when hosts or servers cannot be read; what else cannot be asked is in `unseen`.
    """
    unseen = Unseen()
    identity = view.identity()
    hosts = view.hosts()
    find_host(host, hosts)
    servers = list(view.servers_on(host))
    migrations = unseen.ask("migrations", view.migrations_from, host) or ()
    servers += _elsewhere(view, host, servers, migrations, also)
    facts = _facts(view, _Basis(identity, host, hosts, servers, unseen), settings or {})
    return replace(facts, migrations=migrations, learnt=learnt, unseen=tuple(unseen.words))


def gather_return(
    view: View,
    host: str,
    moved: Sequence[Moved],
    settings: Mapping[str, HostSettings] | None = None,
    learnt: Learnt | None = None,
) -> DrainFacts:
    """Everything about bringing back what the last drain moved; a server that is gone is left out.

    Raises as `gather_drain` does.
    """
    unseen = Unseen()
    identity = view.identity()
    hosts = view.hosts()
    find_host(host, hosts)
    found = find_servers(view, {each.server_id: each.target for each in moved})
    servers = [server for server in found.values() if server is not None]
    facts = _facts(view, _Basis(identity, host, hosts, servers, unseen), settings or {})
    return replace(facts, moved=tuple(moved), learnt=learnt, unseen=tuple(unseen.words))


def find_servers(view: View, believed: Mapping[str, str | None]) -> dict[str, Server | None]:
    """Servers by id, given where each is believed to be: one list for a host of several, else one by one."""
    by_host: dict[str, list[str]] = {}
    for server_id, host in believed.items():
        if host:
            by_host.setdefault(host, []).append(server_id)
    seen: dict[str, Server] = {}
    for host, ids in by_host.items():
        if len(ids) > 1:
            seen |= {server.id: server for server in view.servers_on(host)}
    return {each: seen[each] if each in seen else view.server(each) for each in believed}


def _elsewhere(
    view: View,
    host: str,
    servers: Iterable[Server],
    migrations: Iterable[Migration],
    also: Sequence[str],
) -> list[Server]:
    """Servers of unended migrations that left the host, and those of an unfinished run."""
    here = {server.id for server in servers}
    unended = {migration.server_id for migration in migrations if not migration.ended} - here
    wanted = dict.fromkeys([*sorted(unended), *(each for each in also if each not in here)])
    found = [server for server in map(view.server, wanted) if server is not None]
    return [
        server
        for server in found
        if server.id in also
        or server.host == host
        or server.status == "VERIFY_RESIZE"
        or server.task_state is not None
    ]


@dataclass(frozen=True, slots=True)
class _Basis:
    identity: Identity
    host: str
    hosts: tuple[Host, ...]
    servers: Sequence[Server]
    unseen: Unseen


def _facts(view: View, basis: _Basis, settings: Mapping[str, HostSettings]) -> DrainFacts:
    unseen = basis.unseen
    aggregates = unseen.ask("aggregates", view.aggregates) or ()
    servers = _with_image_properties(view, basis)
    room = gather_room(view, with_aggregates(basis.hosts, aggregates), servers, unseen)
    ids = [server.id for server in servers]
    return DrainFacts(
        identity=basis.identity,
        host=find_host(basis.host, room.hosts),
        hosts=room.hosts,
        servers=tuple(servers),
        shapes=room.shapes,
        candidates=room.candidates,
        aggregates=aggregates,
        groups=(unseen.ask("server groups", gather_groups, view, servers) or ()) if servers else (),
        ports=(unseen.ask("ports", view.ports_of, ids) or ()) if ids else (),
        attachments=gather_attachments(view, servers, unseen),
        settings=with_shared_disk(settings, room.shared_disk),
    )


def gather_attachments(view: View, servers: Iterable[Server], unseen: Unseen) -> tuple[Attachment, ...]:
    """Of the servers that have a volume at all."""
    ids = [server.id for server in servers if server.volume_ids]
    return (unseen.ask("volume attachments", view.attachments_of, ids) or ()) if ids else ()


def _with_image_properties(view: View, basis: _Basis) -> Sequence[Server]:
    version = tuple(int(part) for part in basis.identity.compute_microversion.split("."))
    if version >= EMBEDS_IMAGE_PROPERTIES:
        return basis.servers
    images = sorted({server.image_id for server in basis.servers if server.image_id})
    found = {
        image: basis.unseen.ask(f"properties of image {image}", view.image_properties, image) or {}
        for image in images
    }
    return [
        replace(server, image_properties=found.get(server.image_id or "", {})) for server in basis.servers
    ]


def gather_groups(view: View, servers: Iterable[Server]) -> tuple[ServerGroup, ...]:
    """Groups of these servers; where the other members are matters to hard policies only."""
    places: dict[str, str | None] = {server.id: server.host for server in servers}
    ours = frozenset(places)
    found = []
    for group in view.groups():
        if ours.isdisjoint(group.members):
            continue
        if group.policy in HARD_POLICIES:
            for member in group.members:
                if member not in places:
                    server = view.server(member)
                    places[member] = server.host if server else None
        found.append(
            replace(group, member_hosts={each: places[each] for each in group.members if each in places})
        )
    return tuple(found)
