"""What is seen after a run: the verdicts rest on nothing else."""

from collections.abc import Iterable, Mapping

from nodeops.gather.drain import find_servers, gather_attachments
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.model.facts import Evidence, Host, Server
from nodeops.model.world import View
from nodeops.outcome import StepResult
from nodeops.plan import Plan

Allocations = Mapping[str, Mapping[str, Mapping[str, int]]]


def gather_evidence(view: View, plan: Plan, results: Iterable[StepResult]) -> Evidence:
    """Look at every server of the plan, at the host, and at the hosts that gave or received.

    Raises `ApiError` when hosts or servers cannot be read; what else cannot be asked is in `unseen`.
    """
    unseen = Unseen()
    hosts = {host.name: host for host in view.hosts()}
    if plan.host in hosts:
        find_host(plan.host, hosts.values())
    on_host = {server.id: server for server in view.servers_on(plan.host)}
    servers = _servers(view, plan, results, on_host)
    alive = [server for server in servers.values() if server is not None]
    sources = {step.source for step in plan.steps if step.source} | {plan.host}
    places = sources | {server.host for server in alive if server.host}
    migrations = {
        migration.id: migration
        for source in sorted(sources)
        for migration in unseen.ask(f"migrations from {source}", view.migrations_from, source) or ()
    }
    ids = [server.id for server in alive]
    return Evidence(
        host=hosts.get(plan.host),
        servers=servers,
        on_host=tuple(on_host.values()),
        migrations=tuple(sorted(migrations.values(), key=lambda migration: -migration.id)),
        ports=(unseen.ask("ports", view.ports_of, ids) or ()) if ids else (),
        ports_bound_to_host=unseen.ask("ports bound to the host", view.ports_bound_to, plan.host) or (),
        allocations=_allocations(view, (hosts[each] for each in sorted(places) if each in hosts), unseen),
        attachments=gather_attachments(view, alive, unseen),
        unseen=tuple(unseen.words),
    )


def _servers(
    view: View, plan: Plan, results: Iterable[StepResult], on_host: Mapping[str, Server]
) -> dict[str, Server | None]:
    believed = {server.id: server.target for server in plan.servers}
    for result in results:
        if result.subject_id in believed and result.target:
            believed[result.subject_id] = result.target
    away = {each: target for each, target in believed.items() if each not in on_host}
    return {**find_servers(view, away), **{each: on_host[each] for each in believed if each in on_host}}


def _allocations(view: View, hosts: Iterable[Host], unseen: Unseen) -> Allocations:
    found = {}
    for host in hosts:
        provider = host.provider_id
        if provider is None:
            unseen.words.append(f"allocations on {host.name}: it has no single compute node")
            continue
        held = unseen.ask(f"allocations on {host.name}", view.allocations_on, provider)
        if held is not None:
            found[host.name] = held
    return found
