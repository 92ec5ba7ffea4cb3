"""The readiness gate: whether a host that was away may serve again. Pure.

Every question has what was found, what is wanted, and the way out. What could not be asked has not passed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nodeops.model.machine import Before, Condition, Space
from nodeops.model.readiness import Check, ReadinessFacts, Standing, passes
from nodeops.plan import Finding, Level
from nodeops.runbooks.wording import NAMES, few

CLOCK_SECONDS = 5.0
"""Tokens, heartbeats and logs go wrong well before a minute."""
LEAST_FREE_MB = 1024
LEAST_FREE_SHARE = 0.02
LEAST_INODES = 1000
ACCEPTABLE = {
    "failed-units": "units that are of no matter for servers",
    "libvirt": "another version of libvirt than before",
    "cpu-model": "another CPU model than before",
    "clock": "a clock that is wrong",
    "resources": "other resources than before",
}
"""What `--accept` may let pass, and what that means."""


def judge_readiness(facts: ReadinessFacts, accepted: Collection[str] = ()) -> tuple[Check, ...]:
    """Every question in the order in which a host comes up; `accepted` are codes of `ACCEPTABLE`."""
    return tuple(_accept(check, accepted) for check in _checks(facts))


def _accept(check: Check, accepted: Collection[str]) -> Check:
    if check.code in accepted and check.code in ACCEPTABLE and check.standing is Standing.FAILED:
        return replace(check, standing=Standing.ACCEPTED, way_out="")
    if check.standing.holds_up and check.code in ACCEPTABLE:
        return replace(check, way_out=f"{check.way_out} Or let it: --accept {check.code}.".strip())
    return check


def _checks(facts: ReadinessFacts) -> Iterator[Check]:
    condition = facts.condition
    if condition is None:
        yield Check(
            "host",
            "host",
            Standing.UNKNOWN,
            f"could not be looked at: {facts.why_unseen('host')}",
            "an answer over SSH",
            f"Look at its console; ssh {facts.host} shows what stands in the way.",
        )
    else:
        yield _boot(condition)
        yield _units(condition, facts.before)
        yield _clock(condition)
        yield _libvirt(condition, facts.before)
        yield from _cpu(condition, facts.before)
        yield _instances(condition, facts.before)
        yield _disk(condition)
        yield _compute(condition)
        yield _bus(condition)
    yield _heartbeat(facts)
    yield _agents(facts)
    yield _resources(facts)


def findings_of(host: str, checks: Collection[Check]) -> tuple[Finding, ...]:
    """Those that did not pass, as a plan or a report has them."""
    return tuple(
        Finding(Level.ERROR, f"not-ready-{check.code}", f"{host}: {check.words}", check.way_out, host)
        for check in checks
        if check.standing.holds_up
    )


def summary(host: str, checks: Collection[Check]) -> str:
    """One sentence."""
    wrong = [check for check in checks if check.standing.holds_up]
    if passes(checks):
        return f"{host} is ready: {len(checks)} questions passed"
    return f"{host} is not ready: " + "; ".join(check.words for check in wrong[:NAMES])


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _boot(condition: Condition) -> Check:
    state = condition.system_state
    found = f"since {_moment(condition.booted_at)}"
    if state in {"initializing", "starting"}:
        return Check(
            "boot", "booted", Standing.FAILED, f"{found}, still {state}", "the boot at its end",
            f"Wait; systemctl list-jobs on {condition.host} shows what it waits for.",
        )  # fmt: skip
    if state in {"stopping", "maintenance"}:
        return Check(
            "boot", "booted", Standing.FAILED, f"{found}, the system is {state}", "a system that runs",
            f"systemctl --failed and the console of {condition.host} show why.",
        )  # fmt: skip
    return Check("boot", "booted", Standing.PASSED, found)


def _units(condition: Condition, before: Before | None) -> Check:
    code, subject = "failed-units", "failed units"
    if condition.failed_units is None:
        return Check(code, subject, Standing.NOTED, "there is no systemd to ask")
    old = set(before.failed_units) if before else set()
    new = [unit for unit in condition.failed_units if unit not in old]
    if not new:
        also = f"none but those from before: {few(sorted(old))}" if condition.failed_units else "none"
        return Check(code, subject, Standing.PASSED, also)
    way = f"systemctl status {new[0]} on {condition.host} says why; systemctl reset-failed forgets it."
    return Check(code, subject, Standing.FAILED, few(sorted(new)), "none", way)


def _clock(condition: Condition) -> Check:
    offset, slack = condition.clock_offset, condition.clock_slack
    words = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this machine's"
    if abs(offset) <= CLOCK_SECONDS + slack:
        doubt = ", and its time service calls it unsynchronised" if condition.synchronised is False else ""
        return Check("clock", "clock", Standing.PASSED, f"right within {abs(offset) + slack:.1f} s{doubt}")
    way = (
        f"chronyc tracking (or timedatectl) on {condition.host} shows its sources; chronyc makestep sets it."
    )
    return Check("clock", "clock", Standing.FAILED, words, f"within {CLOCK_SECONDS:.0f} s", way)


def _libvirt(condition: Condition, before: Before | None) -> Check:
    code, host, libvirt = "libvirt", condition.host, condition.libvirt
    if libvirt is None or not libvirt.answers:
        why = libvirt.trouble if libvirt else "there is no virsh"
        way = f"systemctl status libvirtd virtqemud on {host}, or its container, says why."
        return Check("libvirt-answers", code, Standing.FAILED, f"does not answer: {why}", "an answer", way)
    found = f"libvirt {libvirt.version}" + (f", QEMU {libvirt.emulator}" if libvirt.emulator else "")
    if before and before.libvirt and before.libvirt != libvirt.version:
        way = "Right after an upgrade, where the other hosts follow; guests move to older hosts no more."
        wanted = f"libvirt {before.libvirt} as before"
        return Check(code, code, Standing.FAILED, found, wanted, way)
    return Check(code, code, Standing.PASSED, f"answers: {found}")


def _cpu(condition: Condition, before: Before | None) -> Iterator[Check]:
    libvirt = condition.libvirt
    if libvirt is None or not libvirt.answers:
        return
    model = libvirt.cpu_model or "unknown"
    if before and before.cpu_model and before.cpu_model != model:
        way = (
            "Firmware settings or microcode changed what the CPU offers: servers may not move here and away."
        )
        yield Check("cpu-model", "CPU model", Standing.FAILED, model, f"{before.cpu_model} as before", way)
    else:
        yield Check("cpu-model", "CPU model", Standing.PASSED, model)


def _instances(condition: Condition, before: Before | None) -> Check:
    space, host = condition.instances, condition.host
    code, subject = "instances-path", "instances path"
    if space is None:
        return Check(code, subject, Standing.UNKNOWN, "could not be looked at", "there, and writable")
    wanted = "mounted, writable, with space"
    where = f"{space.path} ({space.kind})" if space.kind else space.path
    if space.trouble:
        way = f"df {space.path} and dmesg on {host} show why; mount what is missing."
        return Check(code, subject, Standing.FAILED, f"{where}: {space.trouble}", wanted, way)
    if (
        before
        and before.instances
        and (not space.mounted or f"{space.kind} of {space.source}" != before.instances)
    ):
        found = f"{where} is on {space.source}" if space.mounted else f"{space.path} is not mounted"
        way = f"mount {space.path} on {host} (fstab, the NFS server, Ceph), then restart nova-compute."
        return Check(code, subject, Standing.FAILED, found, f"{before.instances} as before", way)
    if not space.writable:
        way = (
            f"mount | grep {space.path} and dmesg on {host} show whether it is read-only; its owner is nova."
        )
        return Check(code, subject, Standing.FAILED, f"{where} cannot be written to", wanted, way)
    return _space(space, host, code, subject, where)


def _disk(condition: Condition) -> Check:
    if condition.root is None:
        return Check("disk", "root disk", Standing.UNKNOWN, "could not be looked at", "space")
    return _space(condition.root, condition.host, "disk", "root disk", condition.root.path)


def _space(space: Space, host: str, code: str, subject: str, where: str) -> Check:
    least = (
        max(LEAST_FREE_MB, 0) if space.total_mb > 10 * LEAST_FREE_MB else space.total_mb * LEAST_FREE_SHARE
    )
    found = f"{where}, {space.free_mb / 1024:.1f} of {space.total_mb / 1024:.1f} GiB free"
    way = (
        f"du -xh --max-depth=2 {space.path} on {host} shows what fills it, nodeops disks {host} what is left."
    )
    if space.free_mb < least:
        return Check(code, subject, Standing.FAILED, found, f"{least / 1024:.1f} GiB free", way)
    if space.free_inodes is not None and space.free_inodes < LEAST_INODES:
        words = f"{where}, {space.free_inodes} inodes free"
        return Check(code, subject, Standing.FAILED, words, f"{LEAST_INODES} inodes free", way)
    return Check(code, subject, Standing.PASSED, found)


def _compute(condition: Condition) -> Check:
    service, host = condition.compute, condition.host
    code, subject = "nova-compute", "nova-compute"
    wanted = "running"
    if service is None:
        way = "Set nodeops_service_manager and nodeops_nova_compute_unit of it in the inventory."
        return Check(code, subject, Standing.UNKNOWN, "no unit or container of it is known", wanted, way)
    if not service.running:
        way = f"nodeops host {host} start; nodeops host {host} logs shows why it is not."
        return Check(code, subject, Standing.FAILED, service.words, wanted, way)
    if service.masked:
        words = f"{service.words}: it would not start again by itself"
        return Check(
            code, subject, Standing.FAILED, words, "running, not masked", f"nodeops host {host} start"
        )
    since = f" since {_moment(service.since - condition.clock_offset)}" if service.since else ""
    return Check(code, subject, Standing.PASSED, f"{service.name} runs{since}")


def _bus(condition: Condition) -> Check:
    """By its connections; the log speaks where its level shows it (DEBUG for the first connect in 2026.2)."""
    bus, host = condition.bus, condition.host
    code, subject, wanted = "message-bus", "message bus", "connected"
    to = ", ".join(bus.wanted) or "its servers"
    way = f"See nodeops host {host} logs, transport_url in nova.conf, the network there, and RabbitMQ."
    if bus.connections is None and bus.connected is None:
        return Check(code, subject, Standing.UNKNOWN, "could not be seen", wanted, way)
    said = f"; its log: {bus.line}" if bus.line else ""
    if bus.connections == 0:
        return Check(code, subject, Standing.FAILED, f"no connection to {to}{said}", wanted, way)
    if bus.connections is None and not bus.connected:
        return Check(code, subject, Standing.FAILED, f"its log: {bus.line}", wanted, way)
    if bus.connections is None:
        return Check(code, subject, Standing.PASSED, f"its log: {bus.line}")
    count = "1 connection" if bus.connections == 1 else f"{bus.connections} connections"
    return Check(code, subject, Standing.PASSED, f"{count} to {to}")


@dataclass(frozen=True, slots=True)
class _Since:
    """What a heartbeat must be newer than."""

    at: float
    words: str


def _heartbeat(facts: ReadinessFacts) -> Check:
    """Nova's record of the service; a heartbeat from before the boot says nothing of now."""
    service, host = facts.service, facts.host
    code, subject, wanted = "nova-service", "nova's word of it", "up, with a heartbeat newer than the boot"
    if service is None:
        words = f"no service of it: {facts.why_unseen('service')}"
        return Check(
            code, subject, Standing.UNKNOWN, words, wanted, "openstack compute service list shows it."
        )
    if service.forced_down:
        way = f"nodeops readmit {host} asks whether it may serve, and lifts that."
        return Check(code, subject, Standing.FAILED, "forced down", wanted, way)
    seen = heartbeat_of(service.last_seen)
    way = f"Wait a minute; then nodeops host {host} logs: it reports through the message bus."
    if not service.up:
        words = f"down, last seen {service.last_seen or 'never'}"
        return Check(code, subject, Standing.FAILED, words, wanted, way)
    since = _since(facts)
    if since is not None and (seen is None or seen < since.at):
        words = f"up, but its last heartbeat ({service.last_seen or 'none'}) is older than {since.words}"
        return Check(code, subject, Standing.FAILED, words, wanted, way)
    return Check(code, subject, Standing.PASSED, f"up, last heartbeat {service.last_seen}")


def _since(facts: ReadinessFacts) -> _Since | None:
    """Of the boot and the start of nova-compute the later one."""
    condition = facts.condition
    if condition is None:
        return None
    found = _Since(condition.booted_at, "the boot")
    service = condition.compute
    if service is not None and service.since is not None:
        started = service.since - condition.clock_offset
        if started > found.at:
            found = _Since(started, "its start")
    return found


def heartbeat_of(text: str) -> float | None:
    """Nova's times are UTC without saying so."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _agents(facts: ReadinessFacts) -> Check:
    code, subject, host = "network-agent", "neutron's agent", facts.host
    wanted = "the agent that binds ports alive"
    if facts.agents is None:
        words = f"could not be asked: {facts.why_unseen('agents')}"
        return Check(code, subject, Standing.UNKNOWN, words, wanted, "openstack network agent list shows it.")
    binding = [agent for agent in facts.agents if agent.binds_ports]
    dead = [agent for agent in binding if not agent.alive]
    if not binding:
        return Check(code, subject, Standing.NOTED, "neutron knows none there that binds ports of servers")
    if dead:
        words = ", ".join(
            f"{agent.type} is not alive (last seen {agent.last_seen or 'never'})" for agent in dead
        )
        way = f"systemctl status {dead[0].binary} on {host}, or its container; start it."
        return Check(code, subject, Standing.FAILED, words, wanted, way)
    others = [agent.type for agent in facts.agents if not agent.alive]
    also = f"; not alive: {few(sorted(others))}" if others else ""
    return Check(code, subject, Standing.PASSED, f"{binding[0].type} is alive{also}")


def _resources(facts: ReadinessFacts) -> Check:
    code, subject, host = "resources", "resources in placement", facts.host
    wanted = "as before"
    way = (
        f"nodeops host {host} logs: nova-compute writes them down every minute (_update_available_resource)."
    )
    if facts.resources is None:
        words = f"could not be asked: {facts.why_unseen('resources')}"
        return Check("resources-unseen", subject, Standing.UNKNOWN, words, wanted, way)
    now = {name: resource.capacity for name, resource in facts.resources.items()}
    if not now:
        return Check("resources-none", subject, Standing.FAILED, "none", "those of the host", way)
    before = facts.before.resources if facts.before else {}
    lost = {name: amount for name, amount in before.items() if now.get(name, 0) < amount * SAME_ENOUGH}
    shown = ", ".join(f"{name} {amount}" for name, amount in sorted(now.items()) if name in COMMON)
    if lost:
        found = ", ".join(f"{name} {now.get(name, 0)}" for name in sorted(lost))
        was = ", ".join(f"{name} {amount}" for name, amount in sorted(lost.items()))
        way = f"Look at lscpu, free and dmesg of {host} for what is missing, and at nova.conf."
        return Check(code, subject, Standing.FAILED, found, f"{was} as before", way)
    return Check(code, subject, Standing.PASSED, shown or few(sorted(now)))


SAME_ENOUGH = 0.95
"""A new kernel keeps a little more or less memory for itself."""
COMMON = frozenset({"VCPU", "PCPU", "MEMORY_MB", "DISK_GB"})
