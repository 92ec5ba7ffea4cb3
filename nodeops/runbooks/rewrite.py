"""`failover-database`: the servers of a dead host to one other, by rewriting what Nova has written down.

For what evacuation refuses, or when Nova's scheduler or conductor is gone. Pure, as every runbook: the same
facts and options give the same plan, tombstone uuids included, so that a write that is repeated after a crash
is seen to be one. Never reached as a fallback.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nodeops.model.facts import Resource, Server
from nodeops.model.records import ServerRecord
from nodeops.model.rewriting import RewriteFacts
from nodeops.plan import Action, Finding, Level, Plan, Risk, ServerPlan, Step, TargetLoad
from nodeops.runbooks import estimate
from nodeops.runbooks.classes import Bar, refusals
from nodeops.runbooks.failover import FailoverOptions, death
from nodeops.runbooks.host_steps import host_step
from nodeops.runbooks.options import cloud_key
from nodeops.runbooks.rewrite_checks import bars_of_hosts, bars_of_server
from nodeops.runbooks.rewrite_scene import (
    RUNS_AGAIN,
    RewriteOptions,
    RewriteScene,
    host_bound,
    rewrite_json,
)
from nodeops.runbooks.rewrite_steps import rest_of, steps_of

RUNBOOK = "failover-database"
SAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about one server."""

    server: Server
    record: ServerRecord | None
    bars: tuple[Bar, ...] = ()
    """Those that the options leave standing; empty: it is rewritten."""
    steps: tuple[Step, ...] = ()
    under_way: bool = False
    """An earlier part of this run has rewritten its row: it is gone on with."""


def plan_rewrite(facts: RewriteFacts, options: RewriteOptions) -> Plan:
    """What a failover of the host by the database would do."""
    scene = RewriteScene(facts, options)
    decisions = _together(scene, [_alone(scene, server) for server in _in_order(scene)])
    going = [each for each in decisions if not each.bars]
    ahead = _ahead(scene, going) if going else ()
    last = (ahead[-1].id,) if ahead else ()
    chains = [
        each.steps if each.under_way else steps_of(scene, each.server, _record(each), last) for each in going
    ]
    planned = dict(zip([each.server.id for each in going], chains, strict=True))
    return Plan(
        runbook=RUNBOOK,
        host=facts.host.name,
        cloud=cloud_key(facts.identity),
        options=rewrite_json(options) | {"schema": facts.records.schema.nova},
        steps=(*ahead, *(step for chain in chains for step in chain)),
        servers=tuple(_server_plan(scene, each, planned.get(each.server.id, ())) for each in decisions),
        findings=tuple(_findings(scene, decisions)),
        targets=_load(scene, going),
        fits=not any(
            bar.refusal_class in {"no-room", "too-large"} for each in decisions for bar in each.bars
        ),
        expected_seconds=_total(options, chains),
    )


def _record(decision: Decision) -> ServerRecord:
    assert decision.record is not None, "a server without a record is refused"  # noqa: S101 - for mypy
    return decision.record


def _in_order(scene: RewriteScene) -> list[Server]:
    """Those on the host, and those an earlier part of the run has rewritten already; the operator's first."""
    here = [
        server
        for server in scene.facts.servers
        if server.host == scene.source.host or _under_way(scene, server)
    ]
    return sorted(here, key=lambda server: (scene.rank(server), server.name, server.id))


def _under_way(scene: RewriteScene, server: Server) -> bool:
    record = scene.records.get(server.id)
    return record is not None and scene.rewritten(record)


# -- deciding


def _alone(scene: RewriteScene, server: Server) -> Decision:
    record = scene.records.get(server.id)
    if record is not None and scene.rewritten(record):
        return Decision(server, record, steps=rest_of(scene, server, record), under_way=True)
    bars = [*bars_of_hosts(scene), *bars_of_server(scene, server)]
    return Decision(server, record, tuple(bar for bar in bars if not bar.allowed(scene.options.move)))


def _together(scene: RewriteScene, decisions: Sequence[Decision]) -> list[Decision]:
    """What the others do matters too: server groups, and room for all of them."""
    return _with_room(scene, _affinity(scene, _anti_affinity(scene, decisions)))


def _anti_affinity(scene: RewriteScene, decisions: Sequence[Decision]) -> list[Decision]:
    """First come first served, up to as many members as may be on one host."""
    target, found = scene.facts.target.name, list[Decision]()
    taken: dict[str, int] = {}
    ours = {each.server.id for each in decisions}
    for decision in decisions:
        bars = list(decision.bars)
        for group in scene.groups.get(decision.server.id, ()):
            if group.policy != "anti-affinity":
                continue
            there = sum(host == target and id_ not in ours for id_, host in group.member_hosts.items())
            count = taken.setdefault(group.id, there)
            if not bars and count >= group.max_server_per_host:
                words = f"{target} has {count} of its group {group.name} then, and may have no more"
                bars.append(Bar("anti-affinity", words))
            elif not bars:
                taken[group.id] += 1
        found.append(replace(decision, bars=tuple(bars)))
    return found


def _affinity(scene: RewriteScene, decisions: Sequence[Decision]) -> list[Decision]:
    """Members of an affinity group are on one host afterwards, or none of them goes."""
    found = {each.server.id: each for each in decisions}
    for _ in decisions:
        split = [each for each in found.values() if not each.bars and _split_from(scene, each, found)]
        if not split:
            break
        for each in split:
            words = f"{_split_from(scene, each, found)} of its affinity group would be on another host"
            found[each.server.id] = replace(each, bars=(Bar("affinity", words, overridable=False),))
    return list(found.values())


def _split_from(scene: RewriteScene, decision: Decision, decisions: Mapping[str, Decision]) -> str:
    """A member of its affinity group that would be elsewhere; empty when there is none."""
    target = scene.facts.target.name
    for group in scene.groups.get(decision.server.id, ()):
        if group.policy != "affinity":
            continue
        for member, host in group.member_hosts.items():
            other = decisions.get(member)
            goes = other is not None and not other.bars
            if not goes and host is not None and host != target:
                return other.server.name if other else member
    return ""


def _with_room(scene: RewriteScene, decisions: Sequence[Decision]) -> list[Decision]:
    room = dict(scene.facts.target.resources)
    taken: dict[str, int] = {}
    found = []
    for decision in decisions:
        need = {} if decision.under_way or decision.bars else _need(scene, decision.server)
        alone, together = _lacking(room, {}, need), _lacking(room, taken, need)
        if alone or together:
            name = scene.facts.target.name
            bar = (
                Bar("too-large", f"{name} has not {alone} free")
                if alone
                else Bar("no-room", f"{name} has not {together} free once the others are there")
            )
            found.append(replace(decision, bars=(bar,)))
            continue
        for kind, amount in need.items():
            taken[kind] = taken.get(kind, 0) + amount
        found.append(decision)
    return found


def _need(scene: RewriteScene, server: Server) -> Mapping[str, int]:
    """What it will hold on the target and does not yet."""
    held = scene.held(server.id)
    return {} if scene.target.uuid in held else held.get(scene.source.uuid, {})


def _lacking(room: Mapping[str, Resource], taken: Mapping[str, int], need: Mapping[str, int]) -> str:
    for kind, amount in sorted(need.items()):
        free = room[kind].free - taken.get(kind, 0) if kind in room else 0
        if amount > free:
            return f"{amount} {kind}"
    return ""


# -- steps


def _ahead(scene: RewriteScene, going: Sequence[Decision]) -> tuple[Step, ...]:
    """Nova holds the host for dead, and everything is saved, before anything is written."""
    host = scene.facts.host
    found = []
    if host.enabled:
        why = "nothing new shall land on it, nor when it comes back"
        found.append(host_step("disable-service", host.name, why))
    if not host.forced_down:
        why = "nova then holds it for dead, and holds it back until it is cleaned up"
        found.append(host_step("force-down", host.name, why, tuple(step.id for step in found)))
    why = "what is changed can be put back only by what is on disk before"
    save = host_step(
        "save-images", host.name, why, tuple(step.id for step in found[-1:]), expected=SAVE_SECONDS
    )
    servers = sorted(each.server.id for each in going)
    cloud = cloud_key(scene.facts.identity)
    return (*found, replace(save, params={"servers": [*servers], "cloud": cloud}))


# -- the plan's words and figures


def _server_plan(scene: RewriteScene, decision: Decision, steps: Sequence[Step]) -> ServerPlan:
    server, goes = decision.server, not decision.bars
    runs = server.vm_state in RUNS_AGAIN
    why = "it runs again on the target" if runs else f"it stays {server.vm_state}"
    if decision.under_way:
        why = "its row is rewritten already: what follows is gone on with"
    return ServerPlan(
        id=server.id,
        name=server.name,
        status=server.status,
        action=Action.REWRITE if goes else Action.NONE,
        target=scene.facts.target.name if goes else None,
        refusals=refusals(decision.bars),
        why=why if goes else "",
        risk=Risk.FORCE if goes else Risk.SAFE,
        expected_seconds=round(sum(step.expected_seconds for step in steps), 1),
        ram_mb=server.flavor.ram_mb,
        state={
            "vm_state": "active" if runs else server.vm_state,
            "power_state": 1 if runs else int(server.power_state),
            "locked": server.locked,
        },
    )


def _total(options: RewriteOptions, chains: Sequence[Sequence[Step]]) -> float:
    moves = [(0.0, sum(step.expected_seconds for step in chain)) for chain in chains if chain]
    side_by_side = options.move.parallel or 1
    return estimate.total(moves, side_by_side=side_by_side, canary=options.move.canary)


def _load(scene: RewriteScene, going: Sequence[Decision]) -> tuple[TargetLoad, ...]:
    target = scene.facts.target
    if not going:
        return ()
    added: dict[str, int] = {}
    for decision in going:
        for kind, amount in ({} if decision.under_way else _need(scene, decision.server)).items():
            added[kind] = added.get(kind, 0) + amount
    before = {kind: (each.used, each.capacity) for kind, each in sorted(target.resources.items())}
    after = {kind: (used + added.get(kind, 0), capacity) for kind, (used, capacity) in before.items()}
    return (TargetLoad(target.name, target.zone, len(going), before, after),)


def _findings(scene: RewriteScene, decisions: Sequence[Decision]) -> Iterator[Finding]:
    facts, options = scene.facts, scene.options
    if decisions:
        yield from death(facts.host, facts.inquest, FailoverOptions(options.move, options.fenced_by))
    yield from _of_databases(scene)
    yield from _of_volumes(scene, decisions)
    if not options.bindings.by_api and any(not each.bars for each in decisions):
        yield Finding(
            Level.WARNING,
            "neutron-not-told",
            "only the rows of ports are rewritten: agents, routers and OVN are not told",
            f"When neutron answers again: nodeops audit {scene.target.host}.",
        )
    for words in facts.unseen:
        yield Finding(Level.WARNING, "unseen", f"could not be asked: {words}")


def _of_databases(scene: RewriteScene) -> Iterator[Finding]:
    facts, schema = scene.facts, scene.facts.records.schema
    for words in facts.rights:
        hint = "Grant it, or use another account; nothing was written."
        yield Finding(Level.ERROR, "rights-missing", f"the database account: {words}", hint)
    if not schema.known:
        yield Finding(
            Level.WARNING,
            "schema-unknown",
            f"nova's schema {schema.nova} is none that this nodeops was tried with",
            "It is asked for by name: look at the rows below, and take a dump of the database first.",
            schema.nova,
        )
    if scene.options.bindings.in_database and not scene.sees_bindings:
        yield Finding(
            Level.ERROR,
            "neutron-database-missing",
            "neutron's database is not configured, and ports are to be rewritten in it",
            "Name it (nodeops_neutron_database), or say --bindings api.",
        )


def _of_volumes(scene: RewriteScene, decisions: Sequence[Decision]) -> Iterator[Finding]:
    kept = [
        volume
        for each in decisions
        if not each.bars and not each.under_way and each.record
        for volume in each.record.volumes
        if not host_bound(volume) and volume not in scene.renewed(each.record)
    ]
    if kept:
        yield Finding(
            Level.INFO,
            "attachments-kept",
            f"{len(kept)} volumes stay attached as they are: any host can use them, and cinder goes on "
            f"naming {scene.source.host}",
            "With --connector FILE they are attached anew.",
        )
