"""All that a failover by the database, its check and its undo are planned from.

The number of calls does not grow with the servers: lists of hosts, ports and attachments, what Placement
counts on the providers of the two hosts, and the rows of all servers at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodeops.errors import UnknownHostError
from nodeops.gather.drain import find_servers, gather_groups
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.model.facts import Host, HostSettings, Inquest, Resource
from nodeops.model.records import HostRecords, NodeRecord
from nodeops.model.rewriting import RewriteEvidence, RewriteFacts, UndoFacts
from nodeops.model.undo_file import UndoFile
from nodeops.model.world import View
from nodeops.plan import Plan, Step, StepId

Held = Mapping[str, Mapping[str, Mapping[str, int]]]


def gather_rewrite(
    view: View,
    host: str,
    target: str,
    inquest: Inquest | None,
    settings: Mapping[str, HostSettings] | None = None,
    *,
    connector: Mapping[str, Any] | None = None,
    earlier: Mapping[StepId, Step] | None = None,
    sent: Iterable[StepId] = (),
    also: Sequence[str] = (),
) -> RewriteFacts:
    """The servers of a dead host, their rows, and the one host they could go to.

    `also` are servers of an unfinished run, wherever they are now; `connector` is what the operator said.
    Raises `UnknownHostError`, `DatabaseError` and `ConfigurationError` for the databases, and `ApiError` when
    hosts or servers cannot be read; what else cannot be asked is in `unseen`.
    """
    unseen = Unseen()
    identity, hosts = view.identity(), view.hosts()
    found, there = find_host(host, hosts), find_host(target, hosts)
    here = {server.id: server for server in view.servers_on(host)}
    elsewhere = find_servers(view, {each: target for each in also if each not in here})
    servers = (*here.values(), *(each for each in elsewhere.values() if each is not None))
    records = _records(view, host, target, [server.id for server in servers])
    ids = [server.id for server in servers]
    source_tree, target_tree, held = _held(view, records.source, records.target, unseen)
    return RewriteFacts(
        identity=identity,
        host=found,
        target=_with_room(view, there, unseen),
        servers=servers,
        records=records,
        rights=view.records.rights(host),
        inquest=inquest,
        held=held,
        source_tree=source_tree,
        target_tree=target_tree,
        groups=(unseen.ask("server groups", gather_groups, view, servers) or ()) if ids else (),
        ports=unseen.ask("ports", view.ports_of, ids) if ids else (),
        agents=unseen.ask("network agents", view.agents_on, target),
        attachments=unseen.ask("volume attachments", view.attachments_of, ids) if ids else (),
        connector=connector or _connector(view, target, unseen),
        settings=settings or {},
        earlier=earlier or {},
        sent=frozenset(sent),
        unseen=tuple(unseen.words),
    )


def _records(view: View, host: str, target: str, also: Sequence[str]) -> HostRecords:
    """Every server of the host, and these wherever they are."""
    records = view.records.host_records(host, target)
    known = {record.id for record in records.servers}
    missing = [each for each in also if each not in known]
    if not missing:
        return records
    others = view.records.host_records(host, target, missing)
    return replace(records, servers=(*records.servers, *others.servers))


def _held(
    view: View, source: NodeRecord, target: NodeRecord | None, unseen: Unseen
) -> tuple[frozenset[str], frozenset[str], Held | None]:
    """Both trees, and what every consumer holds in them; None when Placement does not answer."""
    trees = [
        unseen.ask("placement", view.tree, each.uuid) if each and each.uuid else frozenset[str]()
        for each in (source, target)
    ]
    if None in trees:
        return frozenset(), frozenset(), None
    found: dict[str, dict[str, Mapping[str, int]]] = {}
    for provider in sorted({provider for tree in trees for provider in tree or ()}):
        consumers = unseen.ask("allocations", view.allocations_on, provider)
        if consumers is None:
            return trees[0] or frozenset(), trees[1] or frozenset(), None
        for consumer, amounts in consumers.items():
            found.setdefault(consumer, {})[provider] = amounts
    return trees[0] or frozenset(), trees[1] or frozenset(), found


def _with_room(view: View, host: Host, unseen: Unseen) -> Host:
    """With Placement's figures, whatever is free there: the smallest question names every host with a CPU."""
    resources: Mapping[str, Resource] = {}
    for kind in ("VCPU", "MEMORY_MB"):
        answer = unseen.ask("room", view.candidates, {kind: 1}) or {}
        resources = answer.get(host.provider_id or "", {})
        if resources:
            break
    return replace(host, resources=resources)


def _connector(view: View, target: str, unseen: Unseen) -> Mapping[str, Any] | None:
    """From a live attachment there, where Cinder's database is seen."""
    found: Sequence[Mapping[str, Any]] = unseen.ask("connectors", view.records.connectors, target) or ()
    return next((each for each in found if each.get("host") == target), None)


def gather_rewrite_evidence(view: View, plan: Plan, target: str) -> RewriteEvidence:
    """Look at every server of the plan, at its rows, and at what surrounds it.

    Raises `ApiError` when hosts or servers cannot be read; what else cannot be asked is in `unseen`.
    """
    unseen = Unseen()
    hosts = {host.name: host for host in view.hosts()}
    servers = find_servers(view, {server.id: server.target or plan.host for server in plan.servers})
    ids = [server.id for server in servers.values() if server is not None]
    records = unseen.ask("rows", view.records.host_records, plan.host, target, ids)
    held = None
    if records is not None:
        held = _held(view, records.source, records.target, unseen)[2]
    return RewriteEvidence(
        servers=servers,
        records=records,
        source=hosts.get(plan.host),
        held=held,
        ports=unseen.ask("ports", view.ports_of, ids) if ids else (),
        attachments=unseen.ask("volume attachments", view.attachments_of, ids) if ids else (),
        source_provider=records.source.uuid if records else "",
        target_provider=records.target.uuid if records and records.target else "",
        unseen=tuple(unseen.words),
    )


def gather_undo(
    view: View,
    plan: Plan,
    run: str,
    file: tuple[str, UndoFile | None],
    *,
    steps: Mapping[StepId, Step],
    sent: Iterable[StepId],
    earlier: Mapping[StepId, Step] | None = None,
    undone: Iterable[StepId] = (),
) -> UndoFacts:
    """How far the run of that plan came, and what of it can still be taken back.

    `file` is the path of its undo file and what is in it. Raises as `gather_rewrite` does.
    """
    unseen = Unseen()
    target = target_of(plan)
    host = find_host(plan.host, view.hosts())
    names = {server.id: server.name for server in plan.servers if not server.refused}
    servers = find_servers(view, {server.id: server.target for server in plan.servers if not server.refused})
    ids = [key for key, server in servers.items() if server is not None]
    records = view.records.host_records(plan.host, target, ids)
    saved = file[1].servers if file[1] else {}
    return UndoFacts(
        identity=view.identity(),
        run=run,
        host=host,
        target=target,
        steps=steps,
        sent=frozenset(sent),
        names=names,
        servers=servers,
        records=records,
        saved=frozenset(saved),
        file=file[0],
        old_connector=bool(file[1] and file[1].connector),
        held=_held(view, records.source, records.target, unseen)[2],
        ports=unseen.ask("ports", view.ports_of, ids) if ids else (),
        attachments=unseen.ask("volume attachments", view.attachments_of, ids) if ids else (),
        agents=unseen.ask("network agents", view.agents_on, plan.host),
        earlier=earlier or {},
        undone=frozenset(undone),
        unseen=tuple(unseen.words),
    )


def target_of(plan: Plan) -> str:
    """The one host that everything of a failover by the database went to."""
    for server in plan.servers:
        if server.target:
            return server.target
    to: Any = plan.options.get("to")
    if isinstance(to, list) and to:
        return str(to[0])
    raise UnknownHostError(f"{plan.host}: the run names no target")
