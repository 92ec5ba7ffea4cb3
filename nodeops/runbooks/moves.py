"""From classified servers to a plan: who is refused, who goes where, and in which steps.

Shared by the drain and the way back.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from nodeops.model.facts import Host, Server, ServerGroup
from nodeops.plan import Action, Finding, Json, Plan, Risk, ServerPlan, Step, TargetLoad
from nodeops.runbooks import estimate
from nodeops.runbooks.capacity import Demand, Group, place
from nodeops.runbooks.classes import Bar, refusals
from nodeops.runbooks.classify import Classified, classify, copied_disk_gb, state_after
from nodeops.runbooks.links import Link
from nodeops.runbooks.options import cloud_key
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.states import NO_HOST
from nodeops.runbooks.targets import Choice, Targets

PLACE_CLASSES = frozenset({"too-large", "no-room", "pinned-az", "anti-affinity", "no-target"})
MOVES = ("live-migrate", "block-migrate", "cold-migrate", "evacuate")
OFF_THE_HOST = frozenset({"shelve-offload", "wait-deleted"})
"""Actions after which a server is on no host."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about one server."""

    classified: Classified
    bars: tuple[Bar, ...]
    """Those that the options leave standing; empty: it is moved."""
    choice: Choice | None = None
    """None for a server that needs no target."""
    target: str | None = None
    left_alone: str = ""
    """Why nothing is done about it although nothing is in the way."""

    @property
    def server(self) -> Server:
        return self.classified.server

    @property
    def goes(self) -> bool:
        return not self.bars and not self.left_alone


def decide(scene: Scene, classified: Sequence[Classified], targets: Targets) -> list[Decision]:
    """Refuse or place every server."""
    decisions = [_alone(scene, each, targets) for each in classified]
    decisions = _together(scene, decisions)
    return _placed(scene, decisions)


def _alone(scene: Scene, classified: Classified, targets: Targets) -> Decision:
    """Everything that is in its way whatever the others do."""
    standing = [bar for bar in classified.bars if not bar.allowed(scene.options)]
    if not classified.needs_target:
        return Decision(classified, tuple(standing))
    under_way = _under_way_to(scene, classified.server)
    if under_way is not None:
        return Decision(classified, tuple(standing), Choice((under_way,)), under_way)
    choice = targets.choice(classified.server)
    if choice.bar is not None:
        standing.append(choice.bar)
    return Decision(classified, tuple(standing), choice)


def _under_way_to(scene: Scene, server: Server) -> str | None:
    """Where a move of our own is taking it just now; Placement counts it there already."""
    if server.task_state is None:
        return None
    if not any(scene.begun(action, server) for action in MOVES):
        return None
    running = [each for each in scene.migrations.get(server.id, ()) if not each.ended]
    return running[0].target if running else None


def _together(scene: Scene, decisions: Sequence[Decision]) -> list[Decision]:
    """Members of an affinity group leave together or not at all."""
    by_id = {each.server.id: each for each in decisions}
    found = []
    for decision in decisions:
        stays = _staying_member(by_id, _affinity_members(scene, decision.classified))
        if decision.goes and stays is not None:
            words = f"{stays.server.name} of its affinity group stays ({_first_class(stays)})"
            found.append(replace(decision, bars=(Bar("affinity", words, overridable=False),), target=None))
        else:
            found.append(decision)
    return found


def _affinity_members(scene: Scene, classified: Classified) -> tuple[str, ...]:
    """Ids of all members that are here, itself included; empty when it does not leave by way of an image."""
    group = scene.hard_group(classified.server, "affinity") if classified.shelves else None
    if group is None:
        return ()
    here = {classified.server.id}
    return tuple(
        each for each, host in group.member_hosts.items() if each in here or host == classified.server.host
    )


def _staying_member(by_id: Mapping[str, Decision], members: Iterable[str]) -> Decision | None:
    for member in members:
        decision = by_id.get(member)
        if decision is not None and (not decision.goes or not _off_step(decision.classified)):
            return decision
    return None


def _off_step(classified: Classified) -> str | None:
    """The step after which it is on no host."""
    leads_off = classified.ends_as == NO_HOST
    links = [link for link in classified.chain if leads_off or link.action in OFF_THE_HOST]
    return links[-1].step_id(classified.server.id) if links else None


def _first_class(decision: Decision) -> str:
    return decision.bars[0].refusal_class if decision.bars else "no step takes it away"


def _placed(scene: Scene, decisions: Sequence[Decision]) -> list[Decision]:
    """Targets for all that go, at once; who finds none is refused."""
    open_ = [each for each in decisions if each.goes and each.choice is not None and each.target is None]
    clusters = _clusters(scene, open_)
    demands = [_demand(scene, name, cluster) for name, cluster in clusters.items()]
    moving = {each.server.id for each in open_}
    going = {each.server.id: each.target for each in decisions if each.goes and each.target}
    rooms = {host.name: host.resources for host in scene.facts.hosts}
    found = place(demands, rooms, groups_of(scene, moving=moving, going=going))
    target_of = {
        each.server.id: found.targets[name]
        for name, cluster in clusters.items()
        if name in found.targets
        for each in cluster
    }
    return [_with_target(scene, each, target_of) if each.server.id in moving else each for each in decisions]


def _with_target(scene: Scene, decision: Decision, target_of: Mapping[str, str]) -> Decision:
    target = target_of.get(decision.server.id)
    if scene.options.scheduler:
        return decision
    if target is None:
        count = len(decision.choice.hosts) if decision.choice else 0
        hosts = "the one host that could take it" if count == 1 else f"each of the {count} hosts that could"
        words = f"{hosts} is full once the others are there"
        return replace(decision, bars=(Bar("no-room", words),))
    return replace(decision, target=target)


def _clusters(scene: Scene, decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """Servers that need one place together, by a name; most are alone."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        group = scene.hard_group(decision.server, "affinity") if decision.classified.shelves else None
        found.setdefault(group.id if group else decision.server.id, []).append(decision)
    return found


def _demand(scene: Scene, name: str, cluster: Sequence[Decision]) -> Demand:
    resources: dict[str, int] = {}
    for decision in cluster:
        for resource, amount in scene.shape(decision.server).items():
            resources[resource] = resources.get(resource, 0) + amount
    choices = [set(decision.choice.hosts) for decision in cluster if decision.choice]
    hosts = tuple(sorted(set.intersection(*choices)))
    first = cluster[0].server
    return Demand(
        id=name,
        resources=resources,
        hosts=hosts,
        near=frozenset(host for host in hosts if scene.hosts[host].zone == first.zone),
        preferred=scene.options.prefer.get(first.id),
    )


def groups_of(scene: Scene, *, moving: AbstractSet[str], going: Mapping[str, str]) -> list[Group]:
    """The groups that say who may be beside whom; `going` are members whose new host is settled."""
    return [_group(group, moving, going) for group in scene.facts.groups if group.policy in _WISHES]


_WISHES = {"anti-affinity": 0, "soft-anti-affinity": 1, "soft-affinity": -1}


def _group(group: ServerGroup, moving: AbstractSet[str], going: Mapping[str, str]) -> Group:
    already: dict[str, int] = {}
    for member, host in group.member_hosts.items():
        place_of = going.get(member) or host
        if member not in moving and place_of is not None:
            already[place_of] = already.get(place_of, 0) + 1
    return Group(
        members=frozenset(moving) & frozenset(group.members),
        most=group.max_server_per_host if group.policy == "anti-affinity" else None,
        wish=_WISHES[group.policy],
        already=already,
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """What a plan consists of besides its servers."""

    runbook: str
    options: Mapping[str, Json]
    first: Step | None
    """The step everything else needs."""
    findings: tuple[Finding, ...] = ()
    ahead: tuple[Step, ...] = ()
    """Steps before that one."""


def assemble(scene: Scene, decisions: Sequence[Decision], frame: Frame) -> Plan:
    """The plan of these decisions."""
    steps = [*frame.ahead, *([frame.first] if frame.first else [])]
    by_id = {each.server.id: each for each in decisions}
    servers: list[ServerPlan] = []
    durations: list[tuple[float, float]] = []
    for decision in decisions:
        chain = _steps(scene, decision, by_id, frame.first) if decision.goes else []
        steps += chain
        servers.append(_server_plan(scene, decision, chain))
        if chain:
            durations.append(_durations(chain))
    loads = _loads(scene, decisions)
    side_by_side = estimate.lanes(scene.options, len(loads))
    return Plan(
        runbook=frame.runbook,
        host=scene.facts.host.name,
        cloud=cloud_key(scene.facts.identity),
        options=frame.options,
        steps=tuple(steps),
        servers=tuple(servers),
        findings=frame.findings,
        targets=loads,
        fits=all(_has_place(each) for each in decisions),
        expected_seconds=estimate.total(durations, side_by_side=side_by_side, canary=scene.options.canary),
    )


def _durations(chain: Sequence[Step]) -> tuple[float, float]:
    """Seconds that a server is waited for, and that it is worked on."""
    waiting = sum(step.expected_seconds for step in chain if step.action in estimate.WAITS)
    return waiting, sum(step.expected_seconds for step in chain) - waiting


def _has_place(decision: Decision) -> bool:
    """A server that is refused for another reason needs none."""
    classes = {bar.refusal_class for bar in decision.bars}
    return not classes or not classes <= PLACE_CLASSES


def _steps(scene: Scene, decision: Decision, by_id: Mapping[str, Decision], first: Step | None) -> list[Step]:
    found: list[Step] = []
    needs: tuple[str, ...] = (first.id,) if first else ()
    for link in decision.classified.chain:
        if link.action == "unshelve":
            needs = (*needs, *_others_off(scene, decision, by_id))
        step = _step(scene, decision, link, needs)
        found.append(step)
        needs = (step.id,)
    return found


def _others_off(scene: Scene, decision: Decision, by_id: Mapping[str, Decision]) -> tuple[str, ...]:
    """The scheduler lets the first member go anywhere only when no other is on a host any more."""
    members = _affinity_members(scene, decision.classified)
    offs = [
        _off_step(by_id[each].classified) for each in members if each in by_id and each != decision.server.id
    ]
    return tuple(sorted(off for off in offs if off))


def _step(scene: Scene, decision: Decision, link: Link, needs: tuple[str, ...]) -> Step:
    server = decision.server
    times = estimate.times(scene, decision.classified, link)
    params: dict[str, Json] = dict(link.params)
    if link.restores is not None:
        params["restores"] = f"{link.restores}:{server.id}"
    target = decision.target if link.lands else None
    return Step(
        id=link.step_id(server.id),
        action=link.action,
        subject_id=server.id,
        subject_name=server.name,
        why=link.why,
        risk=link.risk,
        params=params,
        needs=needs,
        gates=(*link.gates, "target-serves") if target else link.gates,
        source=server.host if link.leaves else None,
        target=target,
        expected_seconds=times.expected,
        budget_seconds=times.budget,
    )


def _server_plan(scene: Scene, decision: Decision, steps: Sequence[Step]) -> ServerPlan:
    classified, server = decision.classified, decision.server
    goes = decision.goes
    return ServerPlan(
        id=server.id,
        name=server.name,
        status=server.status,
        action=classified.action if goes else Action.NONE,
        target=decision.target if goes else None,
        refusals=refusals(decision.bars),
        why=classified.why if goes else decision.left_alone,
        risk=classified.risk if goes else Risk.SAFE,
        expected_seconds=round(sum(step.expected_seconds for step in steps), 1),
        ram_mb=server.flavor.ram_mb,
        disk_gb=copied_disk_gb(scene, classified),
        state=dict(state_after(classified)),
    )


def _loads(scene: Scene, decisions: Iterable[Decision]) -> tuple[TargetLoad, ...]:
    coming: dict[str, list[Server]] = {}
    for decision in decisions:
        if decision.goes and decision.target is not None:
            coming.setdefault(decision.target, []).append(decision.server)
    return tuple(_load(scene, scene.hosts[name], servers) for name, servers in sorted(coming.items()))


def _load(scene: Scene, host: Host, servers: Sequence[Server]) -> TargetLoad:
    counted = [server for server in servers if _under_way_to(scene, server) is None]
    added: dict[str, int] = {}
    for server in counted:
        for name, amount in scene.shape(server).items():
            added[name] = added.get(name, 0) + amount
    before = {name: (resource.used, resource.capacity) for name, resource in sorted(host.resources.items())}
    after = {name: (used + added.get(name, 0), capacity) for name, (used, capacity) in before.items()}
    return TargetLoad(host.name, host.zone, len(servers), before, after)


def classified_all(scene: Scene, servers: Iterable[Server]) -> list[Classified]:
    """In the order of their names, which is the order of the plan."""
    return [classify(scene, server) for server in sorted(servers, key=lambda each: (each.name, each.id))]
