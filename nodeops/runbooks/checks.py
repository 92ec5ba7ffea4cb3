"""What the check afterwards finds wrong with a moved server and with the host."""

from collections import Counter
from collections.abc import Iterator, Sequence

from nodeops.actions.bind_ports import UNBOUND
from nodeops.model.facts import Evidence, PowerState, Server
from nodeops.outcome import ServerResult
from nodeops.plan import Finding, Level, Plan, ServerPlan, Verdict
from nodeops.runbooks.wording import few


def of_server(
    planned: ServerPlan, seen: Server, source: str, evidence: Evidence, *, dead: bool = False
) -> Iterator[Finding]:
    """Of a server that is where it shall be.

    `dead`: its source is a dead host, on which Placement goes on counting it until nova-compute starts there
    (`nova/compute/manager.py`, `_destroy_evacuated_instances`): no error, but part of the way back.
    """
    yield from _state(planned, seen)
    yield from _ports(seen, evidence)
    yield from _bindings(seen, source, evidence)
    yield from _allocations(seen, source, evidence, dead=dead)
    yield from _volumes(seen, evidence)


def _wrong(seen: Server, code: str, words: str, hint: str = "") -> Finding:
    return Finding(Level.ERROR, code, f"{seen.name}: {words}", hint, seen.id)


def _state(planned: ServerPlan, seen: Server) -> Iterator[Finding]:
    then = planned.state.get("vm_state")
    if then is not None and seen.vm_state != then:
        yield _wrong(seen, "state-changed", f"is {seen.vm_state} and was to be {then}")
    power = planned.state.get("power_state")
    if power is not None and seen.vm_state == then and _runs(seen.power_state) != _runs(power):
        words = "its guest runs and should not" if _runs(seen.power_state) else "its guest does not run"
        yield _wrong(seen, "power-changed", words)
    locked = planned.state.get("locked")
    if locked is not None and seen.locked != locked:
        yield _wrong(seen, "lock-changed", "is locked now" if seen.locked else "is not locked any more")


def _runs(power: object) -> bool:
    return power == PowerState.RUNNING


def _ports(seen: Server, evidence: Evidence) -> Iterator[Finding]:
    """Ports of a running guest are ACTIVE; those of another may be DOWN."""
    for port in evidence.ports:
        if port.server_id != seen.id or seen.host is None:
            continue
        if port.host != seen.host:
            yield _wrong(seen, "port-elsewhere", f"port {port.id} is bound on {port.host or 'no host'}")
        elif port.vif_type in UNBOUND:
            yield _wrong(seen, "port-unbound", f"port {port.id} is {port.vif_type} on {port.host}")
        elif seen.vm_state == "active" and port.is_down:
            yield _wrong(
                seen,
                "port-down",
                f"port {port.id} is {port.status} on {port.host}",
                "Look at the network agent of that host.",
            )


def _bindings(seen: Server, source: str, evidence: Evidence) -> Iterator[Finding]:
    """A binding on the drained host is left over whatever its status."""
    if seen.host == source:
        return
    for port in evidence.ports_bound_to_host:
        if port.server_id == seen.id and evidence.host is not None and evidence.host.name == source:
            yield _wrong(
                seen,
                "binding-left",
                f"port {port.id} still has a binding on {source}",
                f"Remove it: openstack port binding delete --host {source} {port.id}",
            )


def _allocations(seen: Server, source: str, evidence: Evidence, *, dead: bool) -> Iterator[Finding]:
    if seen.host is None:
        there = evidence.allocations.get(source)
        if there is not None and seen.id in there:
            yield _wrong(seen, "allocation-left", f"placement still counts it on {source}")
        return
    there = evidence.allocations.get(seen.host)
    if there is not None and seen.id not in there:
        yield _wrong(seen, "allocation-missing", f"placement does not count it on {seen.host}")
    here = None if dead else evidence.allocations.get(source)
    if source != seen.host and here is not None and seen.id in here:
        yield _wrong(
            seen,
            "allocation-left",
            f"placement still counts it on {source}",
            "nova-manage placement audit finds and removes it.",
        )


def _volumes(seen: Server, evidence: Evidence) -> Iterator[Finding]:
    if any(words.startswith("volume") for words in evidence.unseen):
        return
    attached = Counter(each.volume_id for each in evidence.attachments if each.server_id == seen.id)
    for volume in seen.volume_ids:
        if attached[volume] == 0:
            yield _wrong(seen, "volume-detached", f"volume {volume} has no attachment to it")
    for volume, times in sorted(attached.items()):
        if times > 1:
            words = f"volume {volume} is attached to it {times} times"
            yield _wrong(seen, "volume-attached-twice", words, "Delete the attachment of the old host.")


def of_host(plan: Plan, results: Sequence[ServerResult], evidence: Evidence) -> Iterator[Finding]:
    """Of the host the plan was for."""
    for words in evidence.unseen:
        yield Finding(
            Level.ERROR,
            "unseen",
            f"could not be asked: {words}",
            "What cannot be seen is not called verified; look again when it answers.",
        )
    if evidence.host is None:
        yield Finding(Level.ERROR, "host-gone", f"{plan.host} is no compute host any more", subject=plan.host)
        return
    if plan.runbook == "drain":
        yield from _drained(plan, results, evidence)
    elif plan.runbook == "failover":
        yield from _failed_over(plan, results, evidence)
    elif not evidence.host.enabled:
        words = f"{plan.host} is still disabled: {evidence.host.disabled_reason or 'no reason given'}"
        yield Finding(Level.ERROR, "host-disabled", words, subject=plan.host)


def _failed_over(plan: Plan, results: Sequence[ServerResult], evidence: Evidence) -> Iterator[Finding]:
    host, seen = plan.host, evidence.host
    if seen is not None and (seen.enabled or not seen.forced_down):
        state = "enabled" if seen.enabled else "no longer forced down"
        yield Finding(
            Level.ERROR,
            "host-admitted",
            f"{host} is {state}: it may serve before it is cleaned up",
            f"Somebody changed that meanwhile; run nodeops failover {host} again.",
            host,
        )
    yield from _left_on(plan, evidence)
    yield from _running(plan, evidence, frozenset({"evacuation"}))
    held = evidence.allocations.get(host, {})
    moved = sum(each.verdict is Verdict.MOVED and each.id in held for each in results)
    if moved:
        yield Finding(
            Level.INFO,
            "held-until-return",
            f"placement goes on counting {moved} of them on {host} too, until its nova-compute starts",
            f"Before {host} serves again: nodeops readmit {host}",
            host,
        )


def _drained(plan: Plan, results: Sequence[ServerResult], evidence: Evidence) -> Iterator[Finding]:
    host = plan.host
    if evidence.host is not None and evidence.host.enabled:
        yield Finding(
            Level.ERROR,
            "host-enabled",
            f"{host} is enabled: new servers may land on it",
            f"Somebody enabled it meanwhile; drain it again: nodeops drain {host}",
            host,
        )
    yield from _left_on(plan, evidence)
    yield from _running(plan, evidence)
    yield from _left_allocations(plan, results, evidence)


def _left_on(plan: Plan, evidence: Evidence) -> Iterator[Finding]:
    host, planned = plan.host, {server.id for server in plan.servers}
    came = [server for server in evidence.on_host if server.id not in planned]
    if evidence.on_host:
        names = few([server.name for server in evidence.on_host])
        count = f"{len(evidence.on_host)} server{'' if len(evidence.on_host) == 1 else 's'}"
        yield Finding(
            Level.ERROR if came else Level.WARNING,
            "servers-left",
            f"{host} still holds {count}: {names}",
            f"{came[0].name} came to it meanwhile; {plan.runbook} it again."
            if came
            else _after_the_reasons(evidence),
            host,
        )


def _after_the_reasons(evidence: Evidence) -> str:
    """Nova 34 puts a server in ERROR too when its live migration was rolled back because the target died."""
    alive = [
        each
        for each in evidence.on_host
        if each.vm_state == "error" and each.power_state is PowerState.RUNNING
    ]
    if not alive:
        return "See the reasons above."
    names = few([server.name for server in alive])
    mend = f"nodeops states {alive[0].host} --fix"
    return f"See the reasons above; {names} in ERROR, and the guest runs: {mend}"


def _running(plan: Plan, evidence: Evidence, types: frozenset[str] | None = None) -> Iterator[Finding]:
    """A resize that waits for its owner's word (`finished`) is told of at its server."""
    running = [
        each
        for each in evidence.migrations
        if not each.ended and each.status != "finished" and (types is None or each.type in types)
    ]
    if running:
        ids = ", ".join(str(each.id) for each in running)
        yield Finding(
            Level.ERROR,
            "migrations-running",
            f"{plan.host}: migrations still under way: {ids}",
            "Wait for them, then look again.",
            plan.host,
        )


def _left_allocations(plan: Plan, results: Sequence[ServerResult], evidence: Evidence) -> Iterator[Finding]:
    """Consumers that are no server here, and not told of at a server of the plan."""
    held = evidence.allocations.get(plan.host, {})
    here = {server.id for server in evidence.on_host}
    told = {result.id for result in results}
    unfinished = {each.uuid for each in evidence.migrations if not each.ended}
    stray = sorted(held.keys() - here - told - unfinished)
    if stray:
        yield Finding(
            Level.WARNING,
            "allocations-left",
            f"placement counts on {plan.host} what is not there: {', '.join(stray)}",
            "nova-manage placement audit finds and removes them.",
            plan.host,
        )
    moved = [each for each in results if each.verdict is Verdict.MOVED]
    if moved and plan.host not in evidence.allocations and not evidence.unseen:
        yield Finding(Level.ERROR, "unseen", f"allocations on {plan.host} were not seen", subject=plan.host)
