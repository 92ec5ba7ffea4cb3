"""The last part of a maintenance window: the servers it moved away, back home. Pure; undrain's own planning.

Before the window begins the way back is planned from the world as the drain will leave it; afterwards from
the world as it is. Either way the host counts as one that serves, which it does by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nodeops.model.facts import DrainFacts, Host, Moved, Resource, Server
from nodeops.model.maintaining import BACK, MaintainFacts
from nodeops.plan import Action, Finding, Level, Plan, ServerPlan, Step
from nodeops.runbooks.moves import Frame, assemble
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.undrain import give_back, of_return


@dataclass(frozen=True, slots=True)
class HomeTrip:
    """What brings servers home."""

    steps: tuple[Step, ...] = ()
    servers: tuple[ServerPlan, ...] = ()
    findings: tuple[Finding, ...] = ()
    expected_seconds: float = 0.0

    def merged(self, base: Sequence[ServerPlan]) -> tuple[ServerPlan, ...]:
        """One entry for each server: where it goes, and that it comes back."""
        coming = {step.subject_id for step in self.steps}
        leaving = {server.id for server in base if not server.refused and server.action is not Action.NONE}
        found = [
            replace(server, why="; ".join(filter(None, (server.why, "and back home afterwards"))))
            if server.id in coming & leaving
            else server
            for server in base
        ]
        return (*found, *(server for server in self.servers if server.id not in leaving))


def plan_home(facts: MaintainFacts, options: MoveOptions, base: Plan, needs: tuple[str, ...]) -> HomeTrip:
    """`base` is the drain that comes first; `needs` are the steps after which the host serves."""
    later = _later(facts, base)
    if not later.moved:
        return HomeTrip()
    begun = frozenset(each.removeprefix(BACK) for each in facts.sent | facts.done if each.startswith(BACK))
    scene = Scene(replace(later, begun=begun), replace(options, to=(), scheduler=False))
    decisions = give_back(scene)
    frame = Frame(runbook="undrain", options={}, first=None, findings=tuple(of_return(scene, decisions)))
    plan = assemble(scene, decisions, frame)
    leaves = {step.subject_id: step.id for step in base.steps if step.source is not None}
    last = {step.subject_id: step.id for step in base.steps}
    steps = tuple(_renamed(step, needs, leaves, last) for step in plan.steps)
    notes = [
        Finding(
            Level.WARNING,
            "would-not-return",
            f"{server.name} would not come back: {server.refusals[0].reason}",
            "It stays where the drain put it.",
            server.id,
        )
        for server in plan.refused
    ]
    kept = () if base.steps else plan.findings
    return HomeTrip(steps, plan.servers, (*notes, *kept), plan.expected_seconds)


def _renamed(step: Step, needs: tuple[str, ...], leaves: Mapping[str, str], last: Mapping[str, str]) -> Step:
    """A step of its own beside that of the way out, which has the same name."""
    params = dict(step.params)
    if "restores" in params:
        params["restores"] = f"{BACK}{params['restores']}"
    own = tuple(f"{BACK}{need}" for need in step.needs)
    first = tuple(dict.fromkeys([*needs, *([last[step.subject_id]] if step.subject_id in last else [])]))
    out = leaves.get(step.subject_id)
    if out is not None and (step.source is not None or "host" in params):
        params["follows"] = out
        own = tuple(dict.fromkeys([*own, out])) if own else own
        first = tuple(dict.fromkeys([*first, out]))
    return replace(step, id=f"{BACK}{step.id}", needs=own or first, params=params)


def _later(facts: MaintainFacts, base: Plan) -> DrainFacts:
    """The world once the host serves again: what was moved, and what the drain is going to move."""
    going = {
        server.id: server
        for server in base.servers
        if server.target and not server.refused and server.action is not Action.NONE
    }
    known = facts.away
    there = tuple(_moved(server, going[server.id]) for server in facts.drain.servers if server.id in going)
    before = tuple(each for each in known.servers if each.id not in going) if known else ()
    moved = tuple(each for each in known.moved if each.server_id not in going) if known else ()
    host = facts.drain.host.name
    shapes = {**(known.shapes if known else {}), **facts.drain.shapes}
    room = _Room(host, going, shapes)
    hosts = tuple(room.later(each) for each in facts.drain.hosts)
    candidates = {**(known.candidates if known else {}), **facts.drain.candidates}
    return replace(
        facts.drain,
        host=next(each for each in hosts if each.name == host),
        hosts=hosts,
        servers=(*before, *there),
        shapes=shapes,
        candidates={key: names | {host} for key, names in candidates.items()},
        groups=(*facts.drain.groups, *(known.groups if known else ())),
        ports=(*facts.drain.ports, *(known.ports if known else ())),
        attachments=(*facts.drain.attachments, *(known.attachments if known else ())),
        settings={**(known.settings if known else {}), **facts.drain.settings},
        migrations=(),
        moved=(*moved, *(_trip(host, going[server.id]) for server in there)),
        unseen=(),
    )


def _moved(server: Server, planned: ServerPlan) -> Server:
    """As the drain will leave it."""
    state = str(planned.state.get("vm_state") or server.vm_state)
    return replace(server, host=planned.target, node=planned.target, vm_state=state, task_state=None)


def _trip(host: str, planned: ServerPlan) -> Moved:
    return Moved(planned.id, planned.name, host, str(planned.target), dict(planned.state))


@dataclass(frozen=True, slots=True)
class _Room:
    """What hosts have left once the drain has moved its servers."""

    host: str
    going: Mapping[str, ServerPlan]
    shapes: Mapping[str, Mapping[str, int]]

    def later(self, host: Host) -> Host:
        own = host.name == self.host
        serving = replace(host, enabled=True, up=True, forced_down=False, disabled_reason="") if own else host
        return replace(
            serving, resources={name: self._used(host, name, each) for name, each in host.resources.items()}
        )

    def _used(self, host: Host, name: str, resource: Resource) -> Resource:
        used = resource.used
        for server_id, planned in self.going.items():
            amount = self.shapes.get(server_id, {}).get(name, 0)
            if host.name == self.host:
                used -= amount
            elif host.name == planned.target:
                used += amount
        return replace(resource, used=max(used, 0))
