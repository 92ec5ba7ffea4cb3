"""`readmit`: a host that was dead, back into service; first the questions it has to pass.

Each is a finding: what was found, what is wanted, and the next command. While one of them is an error nothing
is changed. What nobody could look at is a warning with the command to look by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nodeops.model.facts import Host, Migration, ReadmitFacts
from nodeops.plan import Finding, Json, Level, Plan, Step, StepId
from nodeops.runbooks.host_steps import disabled_by_other, enable_step, host_step
from nodeops.runbooks.moves import Frame, assemble
from nodeops.runbooks.options import MoveOptions, options_json
from nodeops.runbooks.readiness import heartbeat_of
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.undrain import give_back, of_return
from nodeops.runbooks.wording import few

SERVICE_DOWN_SECONDS = 60.0
"""Nova's `service_down_time`: who has not reported for so long is down."""


def plan_readmit(facts: ReadmitFacts, options: MoveOptions, *, force: bool = False) -> Plan:
    """What a return of `facts.drain.host` into service would do.

    `facts.drain.moved` is what is to be given back, if anything; `force` enables a host that somebody else
    disabled.
    """
    scene, host = Scene(facts.drain, options), facts.drain.host
    steps = tuple(_steps(host, force=force))
    said: dict[str, Json] = {"force": force, "give_back": bool(facts.drain.moved)}
    decisions = give_back(scene)
    frame = Frame(
        runbook="readmit",
        options=options_json(options) | said,
        first=steps[-1] if steps else None,
        findings=(*_questions(facts), *disabled_by_other(host, force=force), *of_return(scene, decisions)),
        ahead=steps[:-1],
    )
    return assemble(scene, decisions, frame)


def _steps(host: Host, *, force: bool) -> Iterator[Step]:
    needs: tuple[StepId, ...] = ()
    if host.forced_down:
        why = "it is clean, and nova may believe its reports again"
        lift = host_step("lift-force-down", host.name, why)
        needs = (lift.id,)
        yield lift
    enable = enable_step(host, needs, force=force)
    if enable is not None:
        yield replace(enable, gates=("host-up",))


def _questions(facts: ReadmitFacts) -> Iterator[Finding]:
    """In the order in which they are answered on the host."""
    yield _compute(facts)
    yield from _tombstones(facts)
    yield from _guests(facts)
    yield from _boot(facts)
    yield from _allocations(facts)
    yield from _agents(facts)


def _passed(host: str, code: str, words: str) -> Finding:
    return Finding(Level.INFO, code, words, subject=host)


@dataclass(frozen=True, slots=True)
class _Question:
    """One that was not passed."""

    host: str
    code: str
    found: str
    wanted: str
    command: str

    def finding(self, level: Level = Level.ERROR) -> Finding:
        words = f"{self.host}: {self.found}; wanted: {self.wanted}"
        return Finding(level, self.code, words, self.command, self.host)


def _again(host: str) -> str:
    return f"then again: nodeops readmit {host}"


def _compute(facts: ReadmitFacts) -> Finding:
    """Forced down does not keep nova-compute from starting, and hides that it has."""
    host = facts.drain.host
    silent = silent_seconds(host, facts.drain.hosts)
    reports = host.up if not host.forced_down else silent is not None and silent <= SERVICE_DOWN_SECONDS
    if reports:
        return _passed(host.name, "compute-started", f"{host.name}: nova-compute reports ({host.last_seen})")
    since = f"since {host.last_seen}" if host.last_seen else "at all"
    return _Question(
        host.name,
        "compute-not-started",
        f"nova-compute has not reported {since}",
        "nova-compute started, while the host stays disabled and forced down",
        f"Start nova-compute on {host.name} (systemctl start nova-compute), {_again(host.name)}",
    ).finding()


def silent_seconds(host: Host, hosts: Sequence[Host]) -> float | None:
    """How long it has not reported, by the newest report of any host; None when that is not known.

    Nova's clock is not ours: the newest report is the best guess of what time it is there.
    """
    times = [heartbeat_of(each.last_seen) for each in hosts]
    own, newest = (
        heartbeat_of(host.last_seen),
        max((each for each in times if each is not None), default=None),
    )
    return None if own is None or newest is None else newest - own


def _tombstones(facts: ReadmitFacts) -> Iterator[Finding]:
    """`done` until its nova-compute has removed its copy as it starts; then `completed`."""
    name = facts.drain.host.name
    newest: dict[str, Migration] = {}
    for migration in facts.evacuations:
        newest.setdefault(migration.server_id, migration)
    running = [each for each in newest.values() if not each.ended]
    waiting = {each.server_id for each in facts.evacuations if each.status == "done"}
    waiting |= {server_id for server_id, status in (facts.tombstones or {}).items() if status == "done"}
    if running:
        yield _Question(
            name,
            "evacuations-running",
            f"evacuations are under way: {few(sorted(each.server_id for each in running))}",
            "all of them ended",
            f"Wait for them: nodeops failover {name} goes on with it.",
        ).finding()
    if waiting:
        yield _Question(
            name,
            "copies-not-removed",
            f"the old copies of {len(waiting)} evacuated servers are not removed: {few(sorted(waiting))}",
            "every evacuation completed",
            f"Restart nova-compute on {name} (systemctl restart nova-compute), which removes them, "
            f"{_again(name)}",
        ).finding()
    if not running and not waiting:
        words = f"{name}: no copy of an evacuated server is left to remove"
        yield _passed(name, "copies-removed", words)


def _guests(facts: ReadmitFacts) -> Iterator[Finding]:
    name = facts.drain.host.name
    if facts.guests is None:
        yield _Question(
            name,
            "guests-unseen",
            "which guests run there could not be looked at",
            "none of a server that is elsewhere now",
            f"Look there: virsh list --all --uuid; or give nodeops SSH to {name} in the inventory.",
        ).finding(Level.WARNING)
        return
    strays = sorted(set(facts.guests) - {server.id for server in facts.on_host})
    if strays:
        yield _Question(
            name,
            "guests-left",
            f"guests of servers that are not on it any more: {few(strays)}",
            "none",
            f"Restart nova-compute on {name}; what is left then: virsh destroy UUID, virsh undefine UUID, "
            f"{_again(name)}",
        ).finding()
    else:
        yield _passed(name, "guests-gone", f"{name}: no guest there is of a server that is elsewhere")


def _boot(facts: ReadmitFacts) -> Iterator[Finding]:
    if facts.resumes:
        yield _Question(
            facts.drain.host.name,
            "guests-resumed",
            f"guests are started when it boots: {facts.resumes}",
            "that off, or a host that never comes up by itself after it was lost",
            "Set resume_guests_state_on_host_boot = false in nova.conf, ON_BOOT=ignore of libvirt-guests.",
        ).finding(Level.WARNING)


def _allocations(facts: ReadmitFacts) -> Iterator[Finding]:
    name = facts.drain.host.name
    if facts.allocations is None:
        yield Finding(
            Level.WARNING, "unseen", f"{name}: allocations could not be asked", _again(name), subject=name
        )
        return
    gone = {each.server_id for each in facts.evacuations} | set(facts.tombstones or {})
    gone |= {each.server_id for each in facts.drain.moved}
    left = sorted((facts.allocations.keys() & gone) - {server.id for server in facts.on_host})
    if left:
        yield _Question(
            name,
            "allocations-left",
            f"placement still counts {len(left)} servers on it that are elsewhere: {few(left)}",
            "none of them",
            f"nodeops audit {name} --fix removes them, {_again(name)}",
        ).finding()
    else:
        yield _passed(name, "allocations-gone", f"{name}: placement counts no server there that is elsewhere")


def _agents(facts: ReadmitFacts) -> Iterator[Finding]:
    name = facts.drain.host.name
    if facts.agents is None:
        words = f"{name}: network agents could not be asked"
        yield Finding(Level.WARNING, "unseen", words, _again(name), subject=name)
        return
    for agent in facts.agents:
        if not agent.alive:
            yield _Question(
                name,
                "agent-dead",
                f"its {agent.type} is not alive (last seen {agent.last_seen or 'never'})",
                "alive",
                f"Start {agent.binary} on {name}, {_again(name)}",
            ).finding(Level.ERROR if agent.binds_ports else Level.WARNING)
    if any(agent.binds_ports and agent.alive for agent in facts.agents):
        yield _passed(name, "agents-alive", f"{name}: the agent that binds its ports is alive")
    elif not any(agent.binds_ports for agent in facts.agents):
        words = f"{name}: neutron knows no agent there that binds ports of servers"
        yield Finding(Level.WARNING, "no-agent", words, "Right only where none is needed.", name)
