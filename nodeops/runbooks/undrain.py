"""`undrain`: a host back into service, and, if wanted, its servers back on it.

Given back is exactly what the last drain moved, still where it put it and in the state it left it in. What
was moved, stopped or deleted since is somebody's decision, and is left alone with the reason.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nodeops.model.facts import DrainFacts, Moved, Server
from nodeops.plan import Action, Finding, Json, Level, Plan
from nodeops.runbooks import findings
from nodeops.runbooks.bonds import Way
from nodeops.runbooks.classify import Classified
from nodeops.runbooks.host_steps import disabled_by_other, enable_step
from nodeops.runbooks.moves import Decision, Frame, assemble, classified_all, decide
from nodeops.runbooks.options import MoveOptions, options_json
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.targets import Targets


def plan_undrain(facts: DrainFacts, options: MoveOptions, *, force: bool = False) -> Plan:
    """What an undrain of `facts.host` would do; `facts.moved` is what is to be given back, if anything.

    `force` enables a host that somebody else disabled.
    """
    scene = Scene(facts, options)
    decisions = give_back(scene)
    said: dict[str, Json] = {"force": force, "give_back": bool(facts.moved)}
    frame = Frame(
        runbook="undrain",
        options=options_json(options) | said,
        first=enable_step(facts.host, force=force),
        findings=tuple(_findings(scene, decisions, force=force)),
    )
    return assemble(scene, decisions, frame)


def give_back(scene: Scene) -> list[Decision]:
    """What becomes of every server of `facts.moved` that exists and is not on the host already."""
    facts = scene.facts
    away = [server for server in facts.servers if server.host != facts.host.name]
    staying = {server.id: why for server, why in _not_given_back(facts, away)}
    coming = [server for server in away if server.id not in staying]
    decisions = decide(scene, _on_the_way_back(scene, coming), Targets(scene, [facts.host]))
    return decisions + [_left_alone(server, staying[server.id]) for server in away if server.id in staying]


def _not_given_back(facts: DrainFacts, away: Iterable[Server]) -> Iterator[tuple[Server, str]]:
    moved = {each.server_id: each for each in facts.moved}
    for server in away:
        why = _changed_since(server, moved.get(server.id))
        if why:
            yield server, why


def _changed_since(server: Server, moved: Moved | None) -> str:
    """Why it is not given back, empty when it is as the drain left it."""
    if moved is None:
        return "was not moved by the drain"
    if server.host != moved.target:
        return f"was moved to {server.host or 'no host'} since"
    then = moved.state.get("vm_state")
    if then is not None and server.vm_state != then and server.task_state is None:
        return f"was {then} and is {server.vm_state} since"
    return ""


def _on_the_way_back(scene: Scene, servers: list[Server]) -> list[Classified]:
    """Classified as in a drain of the hosts they are on."""
    return [
        classified
        for source in sorted({str(server.host) for server in servers})
        for classified in classified_all(
            Scene(replace(scene.facts, host=scene.hosts[source]), scene.options),
            [server for server in servers if server.host == source],
        )
    ]


def _left_alone(server: Server, why: str) -> Decision:
    nothing = Classified(server, Way.NONE, Action.NONE, (), why, (), server.vm_state)
    return Decision(nothing, (), left_alone=why)


def _findings(scene: Scene, decisions: list[Decision], *, force: bool) -> Iterator[Finding]:
    host = scene.facts.host
    if scene.facts.moved:
        yield from findings.of_dead_host(host)
    yield from disabled_by_other(host, force=force)
    yield from of_return(scene, decisions)


def of_return(scene: Scene, decisions: list[Decision]) -> Iterator[Finding]:
    """Of what is given back."""
    host = scene.facts.host
    still = {server.id for server in scene.facts.servers}
    for moved in scene.facts.moved:
        if moved.server_id not in still:
            words = f"{moved.server_name} was deleted since"
            yield Finding(Level.INFO, "deleted-since", words, subject=moved.server_id)
    for server in scene.facts.servers:
        if server.host == host.name:
            yield Finding(
                Level.INFO, "back-already", f"{server.name} is on {host.name} already", subject=server.id
            )
    yield from findings.of_room(scene, decisions)
    yield from findings.of_knowledge(scene, decisions)
