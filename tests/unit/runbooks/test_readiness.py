"""The readiness gate: what passes, what does not, and the way out of each."""

from dataclasses import replace
from typing import Any

import pytest

from nodeops.inventory.variables import ServiceManager
from nodeops.model.facts import Host, NetworkAgent, Resource
from nodeops.model.machine import Before, Boot, Bus, Condition, Libvirt, Service, ServiceState, Space
from nodeops.model.readiness import Check, ReadinessFacts, Standing, passes
from nodeops.runbooks.readiness import ACCEPTABLE, findings_of, heartbeat_of, judge_readiness, summary

NOW = 1_790_000_000.0
BOOTED = NOW - 600
SERVICE = Service(
    "nova-compute", ServiceManager.SYSTEMD, ServiceState.RUNNING, pid=100, since=NOW - 500, age=500.0
)
CONDITION = Condition(
    host="c01",
    boot=Boot("b2", BOOTED, "6.12"),
    clock_offset=0.0,
    system_state="running",
    failed_units=(),
    compute=SERVICE,
    bus=Bus(("192.0.2.1:5672",), 4),
    libvirt=Libvirt(answers=True, version="11.3.0", emulator="10.0.2", cpu_model="EPYC"),
    instances=Space(
        "/i", mounted=True, source="nfs:/i", kind="nfs4", free_mb=90_000, total_mb=100_000, writable=True
    ),
    root=Space("/", mounted=False, source="/dev/sda1", kind="ext4", free_mb=40_000, total_mb=50_000),
    guests=(),
)  # fmt: skip
HOST = Host("c01", "s1", last_seen="2026-09-21T14:13:10.000000", provider_id="rp")
AGENT = NetworkAgent("a1", "Open vSwitch agent", "neutron-openvswitch-agent", "c01", alive=True)
FACTS = ReadinessFacts(
    host="c01",
    at=NOW,
    condition=CONDITION,
    service=HOST,
    agents=(AGENT,),
    resources={"VCPU": Resource(64, 0), "MEMORY_MB": Resource(200_000, 0)},
    before=Before("11.3.0", "EPYC", "nfs4 of nfs:/i", (), {"VCPU": 64, "MEMORY_MB": 200_000}),
)


def on_host(**changes: Any) -> ReadinessFacts:
    return replace(FACTS, condition=replace(CONDITION, **changes))


def check(facts: ReadinessFacts, subject: str) -> Check:
    return next(each for each in judge_readiness(facts) if each.subject == subject)


def test_the_times_of_these_tests_fit_together() -> None:
    assert heartbeat_of(HOST.last_seen) == pytest.approx(NOW - 10, abs=20)


def test_a_host_that_is_as_it_was_passes() -> None:
    checks = judge_readiness(FACTS)
    assert passes(checks), [each.words for each in checks if each.standing.holds_up]
    assert len(checks) == 12
    assert findings_of("c01", checks) == ()
    assert summary("c01", checks) == "c01 is ready: 12 questions passed"


OLD = "2026-09-21T13:00:00"
STOPPED = replace(SERVICE, state=ServiceState.STOPPED)
SHORT = replace(CONDITION.instances or Space("", mounted=False), free_mb=10)


@pytest.mark.parametrize(
    ("facts", "subject", "found"),
    [
        (on_host(system_state="starting"), "booted", "still starting"),
        (on_host(system_state="maintenance"), "booted", "the system is maintenance"),
        (on_host(failed_units=("nfs.mount",)), "failed units", "nfs.mount"),
        (on_host(clock_offset=90.0), "clock", "90.0 s ahead of this machine's"),
        (on_host(clock_offset=-90.0), "clock", "90.0 s behind this machine's"),
        (on_host(libvirt=Libvirt(answers=False, trouble="refused")), "libvirt", "does not answer: refused"),
        (on_host(libvirt=None), "libvirt", "does not answer: there is no virsh"),
        (on_host(libvirt=replace(CONDITION.libvirt, version="12.0")), "libvirt", "libvirt 12.0"),  # type: ignore[type-var]
        (on_host(libvirt=replace(CONDITION.libvirt, cpu_model="kvm64")), "CPU model", "kvm64"),  # type: ignore[type-var]
        (on_host(instances=None), "instances path", "could not be looked at"),
        (on_host(instances=Space("/i", mounted=True, trouble="hangs")), "instances path", "hangs"),
        (on_host(instances=replace(SHORT, writable=False)), "instances path", "cannot be written to"),
        (on_host(instances=SHORT), "instances path", "0.0 of 97.7 GiB free"),
        (on_host(instances=replace(SHORT, free_mb=9000, free_inodes=3)), "instances path", "3 inodes free"),
        (on_host(root=None), "root disk", "could not be looked at"),
        (on_host(compute=None), "nova-compute", "no unit or container"),
        (on_host(compute=STOPPED), "nova-compute", "nova-compute is stopped"),
        (on_host(compute=replace(SERVICE, masked=True)), "nova-compute", "would not start again"),
        (on_host(bus=Bus(("a:5672",), 0)), "message bus", "no connection to a:5672"),
        (on_host(bus=Bus()), "message bus", "could not be seen"),
        (on_host(bus=Bus((), None, "AMQP server a unreachable", False)), "message bus", "unreachable"),  # noqa: FBT003 - a value
        (replace(FACTS, service=None), "nova's word of it", "no service of it"),
        (replace(FACTS, service=replace(HOST, up=False)), "nova's word of it", "down, last seen"),
        (replace(FACTS, service=replace(HOST, forced_down=True)), "nova's word of it", "forced down"),
        (replace(FACTS, service=replace(HOST, last_seen=OLD)), "nova's word of it", "older than"),
        (replace(FACTS, agents=(replace(AGENT, alive=False),)), "neutron's agent", "is not alive"),
        (replace(FACTS, agents=None), "neutron's agent", "could not be asked"),
        (replace(FACTS, resources=None), "resources in placement", "could not be asked"),
        (replace(FACTS, resources={}), "resources in placement", "none"),
        (replace(FACTS, resources={"VCPU": Resource(32, 0)}), "resources in placement", "VCPU 32"),
        (replace(FACTS, condition=None), "host", "could not be looked at"),
    ],
)  # fmt: skip
def test_what_does_not_pass_says_what_was_found_and_the_way_out(
    facts: ReadinessFacts, subject: str, found: str
) -> None:
    one = check(facts, subject)
    assert one.standing in {Standing.FAILED, Standing.UNKNOWN}
    assert found in one.found
    assert one.wanted or one.standing is Standing.UNKNOWN
    assert one.way_out or subject in {"root disk", "instances path"}
    assert not passes(judge_readiness(facts))
    assert any(found in each.words for each in findings_of("c01", judge_readiness(facts)))


def test_a_heartbeat_is_measured_by_the_hosts_own_clock() -> None:
    """A clock that is an hour ahead makes the boot look later than it was."""
    ahead = on_host(
        clock_offset=3600.0,
        boot=Boot("b2", BOOTED + 3600, "6.12"),
        compute=replace(SERVICE, since=NOW + 3100),
    )
    assert check(ahead, "nova's word of it").standing is Standing.PASSED
    assert check(ahead, "clock").standing is Standing.FAILED


def test_without_anything_from_before_nothing_is_compared() -> None:
    facts = replace(on_host(libvirt=replace(CONDITION.libvirt, cpu_model="kvm64")), before=None)  # type: ignore[type-var]
    assert passes(judge_readiness(facts))


def test_what_had_failed_before_is_told_and_passes() -> None:
    facts = replace(on_host(failed_units=("old.service",)), before=Before(failed_units=("old.service",)))
    assert check(facts, "failed units").found == "none but those from before: old.service"


def test_only_some_questions_may_be_let_pass() -> None:
    facts = on_host(failed_units=("x.service",), bus=Bus(("a:5672",), 0))
    checks = judge_readiness(facts, {"failed-units", "message-bus"})
    standing = {each.code: each.standing for each in checks}
    assert standing["failed-units"] is Standing.ACCEPTED
    assert standing["message-bus"] is Standing.FAILED
    assert "message-bus" not in ACCEPTABLE


def test_a_log_line_speaks_where_connections_cannot_be_seen() -> None:
    line = "Connected to AMQP server on 192.0.2.1:5672"
    facts = on_host(bus=Bus((), None, line, True))  # noqa: FBT003 - a value
    assert check(facts, "message bus").standing is Standing.PASSED
