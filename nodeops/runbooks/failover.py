"""`failover`: every server of a dead host that Nova evacuates, onto other hosts.

Pure, as the drain is. That the host is dead is a fact too: the evidence of an inquest, or the operator's
words for how it was fenced. Without either the plan holds an error, and is not run.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.model.facts import FailoverFacts, Host, Inquest, Life, Resource, Server, Storage
from nodeops.plan import Finding, Json, Level, Plan, Step
from nodeops.runbooks import findings
from nodeops.runbooks.bonds import has_local_disk
from nodeops.runbooks.classify import Classified
from nodeops.runbooks.drain import another_target
from nodeops.runbooks.host_steps import host_step
from nodeops.runbooks.lost import lost
from nodeops.runbooks.moves import Decision, Frame, assemble, decide
from nodeops.runbooks.options import MoveOptions, options_json, options_of
from nodeops.runbooks.priority import Priority, rank
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.targets import Targets, Unmet

NO_SHARED_STORAGE = Unmet("no-target", "the other hosts keep their disks themselves, and would begin it anew")
PARALLEL = 4
"""Evacuations at once: nothing on the dead host limits them, and a target starts ten builds at once."""


@dataclass(frozen=True, slots=True)
class FailoverOptions:
    """Choices of a failover by the API."""

    move: MoveOptions = field(default_factory=lambda: MoveOptions(parallel=PARALLEL, canary=False))
    fenced_by: str = ""
    """How the operator knows that nothing runs there, in words; empty when the evidence has to say so."""
    priority: tuple[Priority, ...] = ()


def plan_failover(facts: FailoverFacts, options: FailoverOptions) -> Plan:
    """What a failover of the host would do."""
    scene = Scene(facts.drain, options.move)
    decisions = _decided(scene, _classified(scene, facts, options))
    ahead = _stand_down(facts.drain.host)
    frame = Frame(
        runbook="failover",
        options=failover_json(options),
        first=ahead[-1] if ahead else None,
        findings=tuple(_findings(scene, facts, options, decisions)),
        ahead=ahead[:-1],
    )
    return assemble(scene, decisions, frame)


def failover_json(options: FailoverOptions) -> dict[str, Json]:
    """The options as a plan keeps them."""
    said: dict[str, Json] = {
        "method": "api",
        "fenced_by": options.fenced_by,
        "priority": [str(each) for each in options.priority],
    }
    return options_json(options.move) | said


def failover_options(plan: Plan) -> FailoverOptions:
    """The options a plan was made with; raises as `options_of` does."""
    said: Mapping[str, Any] = plan.options
    order = tuple(Priority.parse(each) for each in said["priority"])
    return FailoverOptions(options_of(plan), said["fenced_by"], order)


def replace_failover_target(
    facts: FailoverFacts, plan: Plan, step: Step, refused: frozenset[str]
) -> Step | None:
    """The evacuation with the next best target, after those were refused; None when there is none."""
    if step.action != "evacuate":
        return None
    scene = Scene(facts.drain, options_of(plan))
    return another_target(scene, _targets(scene), plan, step, refused)


def _classified(scene: Scene, facts: FailoverFacts, options: FailoverOptions) -> list[tuple[int, Classified]]:
    """Every server Nova has on the host, with its rank, in the order of the plan."""
    here = [server for server in facts.drain.servers if server.host == facts.drain.host.name]
    ranked = sorted((rank(server, options.priority), server.name, server.id, server) for server in here)
    return [(place, lost(scene, facts, server, place)) for place, _, _, server in ranked]


def _decided(scene: Scene, ranked: Sequence[tuple[int, Classified]]) -> list[Decision]:
    """All together; and where there is not room for all, first come first served by their ranks."""
    every = [classified for _, classified in ranked]
    decisions = decide(scene, every, _targets(scene))
    if len({place for place, _ in ranked}) == 1 or not any(_lacks_room(each) for each in decisions):
        return decisions
    found: list[Decision] = []
    by_rank: dict[int, list[Classified]] = defaultdict(list)
    for place, classified in ranked:
        by_rank[place].append(classified)
    for _, those in sorted(by_rank.items()):
        rest = _after(scene, found)
        found += decide(rest, those, _targets(rest))
    return found


def _targets(scene: Scene) -> Targets:
    """A disk on shared storage is found again only where that storage is."""

    def reaches_disk(server: Server, host: str) -> Unmet | None:
        shared = has_local_disk(server) and scene.storage(server.host) is Storage.SHARED
        return NO_SHARED_STORAGE if shared and scene.storage(host) is Storage.LOCAL else None

    return Targets(scene, also=reaches_disk)


def _lacks_room(decision: Decision) -> bool:
    return any(bar.refusal_class in {"no-room", "too-large"} for bar in decision.bars)


def _after(scene: Scene, decisions: Sequence[Decision]) -> Scene:
    """The scene once these have gone where they go."""
    taken: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    going = {each.server.id: each.target for each in decisions if each.goes and each.target}
    for decision in decisions:
        target = going.get(decision.server.id)
        if target is not None:
            for name, amount in scene.shape(decision.server).items():
                taken[target][name] += amount
    hosts = tuple(replace(host, resources=_less(host, taken[host.name])) for host in scene.facts.hosts)
    groups = tuple(
        replace(group, member_hosts={**group.member_hosts, **_of(group.members, going)})
        for group in scene.facts.groups
    )
    return Scene(replace(scene.facts, hosts=hosts, groups=groups), scene.options)


def _less(host: Host, taken: Mapping[str, int]) -> dict[str, Resource]:
    return {name: replace(each, used=each.used + taken.get(name, 0)) for name, each in host.resources.items()}


def _of(members: Sequence[str], going: Mapping[str, str]) -> dict[str, str]:
    return {member: going[member] for member in members if member in going}


def _stand_down(host: Host) -> tuple[Step, ...]:
    """Nothing new lands on it, and Nova takes it for dead, also when its nova-compute comes back."""
    why = "nothing new shall land on it, nor when it comes back"
    disable = host_step("disable-service", host.name, why)
    why = "nova then evacuates from it, and holds it back until it is cleaned up"
    force = host_step("force-down", host.name, why, (disable.id,) if host.enabled else ())
    return (*((disable,) if host.enabled else ()), *(() if host.forced_down else (force,)))


def _findings(
    scene: Scene, facts: FailoverFacts, options: FailoverOptions, decisions: Sequence[Decision]
) -> Iterator[Finding]:
    host = facts.drain.host
    if decisions:
        yield from death(host, facts.inquest, options)
    yield from findings.of_targets(scene)
    yield from findings.of_service(host)
    yield from findings.of_room(scene, decisions)
    yield from findings.of_knowledge(scene, decisions)
    yield from _storage(scene, decisions)
    for decision in decisions:
        if decision.goes:
            yield from _of_server(decision.server)
    for server in facts.elsewhere:
        yield Finding(
            Level.INFO,
            "old-disk-here",
            f"{server.name} runs on {server.host}, its resize is not confirmed, and its old disk is on "
            f"{host.name}: it can be neither confirmed nor reverted until {host.name} is back",
            subject=server.id,
        )


def _storage(scene: Scene, decisions: Sequence[Decision]) -> Iterator[Finding]:
    """A target of which nobody said that it shares the storage; Placement's own sharing is not told there."""
    hosts = sorted(
        {
            decision.target
            for decision in decisions
            if decision.target
            and has_local_disk(decision.server)
            and scene.storage(decision.server.host) is Storage.SHARED
            and scene.storage(decision.target) is Storage.UNKNOWN
        }
    )
    if hosts:
        yield Finding(
            Level.WARNING,
            "target-storage-unknown",
            f"that {', '.join(hosts)} can reach the shared storage is not known: without it disks begin anew",
            "Set nodeops_storage of every host in the inventory.",
        )


def _of_server(server: Server) -> Iterator[Finding]:
    if server.task_state is not None and not server.task_state.startswith("rebuild"):
        words = f"{server.name} was in the task {server.task_state}, which ends with its evacuation"
        yield Finding(Level.INFO, "task-cut-off", words, subject=server.id)
    if server.vm_state == "error":
        fault = f" ({server.fault.message})" if server.fault and server.fault.message else ""
        yield Finding(Level.INFO, "was-in-error", f"{server.name} is in ERROR{fault}", subject=server.id)


def death(host: Host, inquest: Inquest | None, options: FailoverOptions) -> Iterator[Finding]:
    """Whether the host is dead: proved, said, or neither."""
    name, said = host.name, options.fenced_by
    life = inquest.life if inquest else Life.CANNOT_TELL
    why = inquest.why if inquest else "no evidence was gathered"
    fence = f"nodeops inquest {name} --fence powers it off and proves it"
    if host.up and not host.forced_down:
        yield Finding(
            Level.ERROR,
            "host-up",
            f"{name}: its nova-compute is up, and nova evacuates nothing from a host that lives",
            f"nodeops drain {name} moves its servers while it lives.",
            name,
        )
    elif life is Life.DEAD:
        yield Finding(Level.INFO, "host-dead", f"{name} is dead: {why}", subject=name)
    elif life is Life.ALIVE and not (said and "host-alive" in options.move.allow):
        also = f" It was said to be fenced ({said}): look again." if said else ""
        hint = f"{fence}.{also} Only --fenced-by together with --allow host-alive goes on against this."
        yield Finding(Level.ERROR, "host-alive", f"{name} lives: {why}", hint, name)
    elif not said:
        hint = f'{fence}; or say how it was fenced: --fenced-by "PDU outlet 7 off, seen by NAME".'
        words = f"{name} is not proved dead: {why}; its guests may run on"
        yield Finding(Level.ERROR, "not-proved-dead", words, hint, name)
    else:
        level = Level.WARNING
        words = f"{name} is not proved dead ({why}); it is said to be fenced: {said}"
        yield Finding(level, "fenced-by-word", words, "If its guests run, there will be two of each.", name)
