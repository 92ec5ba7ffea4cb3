"""`drain`: every server off a host.

Pure: facts and options in, a plan out, the same for the same. What is done already is not planned again, so
that planning in the middle of a run gives the rest of it.
"""

from collections.abc import Mapping
from dataclasses import replace

from nodeops.model.facts import DrainFacts, Resource, Server
from nodeops.plan import Finding, Plan, Step
from nodeops.runbooks import findings
from nodeops.runbooks.capacity import Demand, Group, place
from nodeops.runbooks.classify import concerned
from nodeops.runbooks.host_steps import host_step
from nodeops.runbooks.moves import Decision, Frame, assemble, classified_all, decide, groups_of
from nodeops.runbooks.options import MoveOptions, options_json, options_of
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.targets import Targets


def plan_drain(facts: DrainFacts, options: MoveOptions) -> Plan:
    """What a drain of `facts.host` would do."""
    scene = Scene(facts, options)
    decisions = decide(scene, classified_all(scene, concerned(scene)), Targets(scene))
    frame = Frame(
        runbook="drain",
        options=options_json(options),
        first=_disable(scene),
        findings=_findings(scene, decisions),
    )
    return assemble(scene, decisions, frame)


def _disable(scene: Scene) -> Step | None:
    """So that nothing new lands on it; not needed when somebody did so already."""
    host = scene.facts.host
    if not host.enabled:
        return None
    return host_step("disable-service", host.name, "nothing new shall land on it")


def _findings(scene: Scene, decisions: list[Decision]) -> tuple[Finding, ...]:
    host = scene.facts.host
    return (
        *(findings.of_dead_host(host) if decisions else ()),
        *findings.of_targets(scene),
        *findings.of_service(host),
        *findings.of_room(scene, decisions),
        *findings.of_knowledge(scene, decisions),
    )


def replace_target(facts: DrainFacts, plan: Plan, step: Step, refused: frozenset[str]) -> Step | None:
    """The step with the next best target, after Nova refused those; None when there is none.

    A step without a target (`--scheduler`) and one of the way back have no other.
    """
    if plan.runbook != "drain":
        return None
    scene = Scene(facts, options_of(plan))
    return another_target(scene, Targets(scene), plan, step, refused)


def another_target(
    scene: Scene, targets: Targets, plan: Plan, step: Step, refused: frozenset[str]
) -> Step | None:
    """The step with the best target that is not refused, beside all that the plan sends elsewhere."""
    server = scene.servers.get(step.subject_id)
    if step.target is None or server is None:
        return None
    hosts = tuple(host for host in targets.choice(server).hosts if host not in refused)
    resources, groups = _with_the_others(scene, plan, server)
    near = frozenset(host for host in hosts if scene.hosts[host].zone == server.zone)
    found = place([Demand(server.id, scene.shape(server), hosts, near)], resources, groups)
    target = found.targets.get(server.id)
    return None if target is None else replace(step, target=target)


def _with_the_others(
    scene: Scene, plan: Plan, server: Server
) -> tuple[Mapping[str, Mapping[str, Resource]], list[Group]]:
    """Rooms and groups as they are once all other servers of the plan are where it sends them."""
    going = {each.id: each.target for each in plan.servers if each.target and each.id != server.id}
    taken: dict[str, dict[str, int]] = {}
    for server_id, target in going.items():
        other = scene.servers.get(server_id)
        for name, amount in (scene.shape(other) if other else {}).items():
            amounts = taken.setdefault(target, {})
            amounts[name] = amounts.get(name, 0) + amount
    resources = {
        host.name: {
            name: replace(resource, used=resource.used + taken.get(host.name, {}).get(name, 0))
            for name, resource in host.resources.items()
        }
        for host in scene.facts.hosts
    }
    return resources, groups_of(scene, moving={server.id}, going=going)
