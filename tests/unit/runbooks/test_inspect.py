"""Whether and how a disk can be looked into, by what the server and its guest are."""

from dataclasses import replace

import pytest

from nodeops.model.facts import Flavor, Server
from nodeops.model.inspecting import Disk, Guest, Look
from nodeops.plan import Level, Risk
from nodeops.runbooks.inspect import (
    CLOSE,
    LOCK,
    OPEN,
    SUSPEND,
    UNLOCK,
    InspectFacts,
    InspectOptions,
    locked_by_run,
    plan_inspect,
)

SERVER = Server(
    id="s1",
    name="web",
    host="c01",
    node="c01",
    status="ACTIVE",
    vm_state="active",
    task_state=None,
    power_state=1,
    flavor=Flavor("m1", 1, 512, 1, 0, 0),
)
DISKS = (Disk("vda", "/i/s1/disk", "file", "qcow2"), Disk("vdb", "pool/volume", "network", "raw"))
GUEST = Guest("running", "booted", "7", saved=False, disks=DISKS, ways=("storage-daemon",))
OFF = replace(GUEST, state="shut off", run="")
STOPPED = replace(SERVER, vm_state="stopped", status="SHUTOFF")
LEFT = replace(STOPPED, locked=True, locked_reason="nodeops r7 by ann@desk: inspect")


def codes(guest: Guest, server: Server = SERVER, **options: object) -> list[str]:
    plan = plan_inspect(InspectFacts(server, guest, "cloud"), InspectOptions(**options))  # type: ignore[arg-type]
    return [each.code for each in plan.findings if each.level is Level.ERROR]


def test_a_running_guest_is_suspended_and_resumed() -> None:
    plan = plan_inspect(InspectFacts(SERVER, GUEST, "cloud"), InspectOptions(consent="Ann"))
    assert [step.action for step in plan.steps] == [SUSPEND, OPEN, CLOSE]
    assert [step.risk for step in plan.steps] == [Risk.LIVE, Risk.SAFE, Risk.SAFE]
    assert "resume" in plan.steps[-1].why
    assert plan.options["consent"] == "Ann"


def test_a_guest_that_is_off_is_only_read() -> None:
    plan = plan_inspect(InspectFacts(SERVER, OFF, "cloud"), InspectOptions())
    assert [step.action for step in plan.steps] == [OPEN, CLOSE]
    assert max(step.risk for step in plan.steps) is Risk.SAFE
    assert "resume" not in plan.steps[-1].why


@pytest.mark.parametrize(
    ("guest", "server", "options", "code"),
    [
        (GUEST, replace(SERVER, task_state="migrating"), {}, "in-task"),
        (replace(GUEST, state="in shutdown"), SERVER, {}, "guest-busy"),
        (replace(GUEST, state="paused", reason="migrating"), SERVER, {}, "guest-busy"),
        (replace(GUEST, held=Look("s1", "ready", who="bob")), SERVER, {}, "held"),
        (GUEST, SERVER, {"disk": 1}, "remote-disk"),
        (GUEST, SERVER, {"disk": 2}, "no-disk"),
        (replace(GUEST, disks=(Disk("vda", "/i/disk", "file", ""),)), SERVER, {}, "format"),
        (replace(GUEST, ways=()), SERVER, {}, "no-way"),
        (replace(GUEST, missing=("sfdisk",)), SERVER, {}, "missing-programs"),
        (GUEST, replace(SERVER, vm_state="stopped"), {"write": True}, "not-off"),
        (OFF, SERVER, {"write": True}, "not-stopped"),
        (replace(OFF, saved=True), replace(SERVER, vm_state="stopped"), {"write": True}, "saved"),
        (OFF, replace(STOPPED, locked=True, locked_reason="ours"), {"write": True}, "locked"),
        (OFF, replace(STOPPED, locked=True), {"write": True}, "locked"),
    ],
)
def test_what_stands_against_it(guest: Guest, server: Server, options: dict[str, object], code: str) -> None:
    assert codes(guest, server, **options) == [code]
    plan = plan_inspect(InspectFacts(server, guest, "cloud"), InspectOptions(**options))  # type: ignore[arg-type]
    assert plan.steps == ()
    assert all(each.hint for each in plan.findings if each.level is Level.ERROR)


def test_a_paused_guest_is_looked_into_and_stays_paused() -> None:
    plan = plan_inspect(
        InspectFacts(SERVER, replace(GUEST, state="paused", reason="user"), "cloud"), InspectOptions()
    )
    assert [step.action for step in plan.steps] == [OPEN, CLOSE]
    assert "stays-paused" in [each.code for each in plan.findings]


def test_writing_is_of_the_highest_risk() -> None:
    stopped = replace(SERVER, vm_state="stopped")
    plan = plan_inspect(InspectFacts(stopped, OFF, "cloud"), InspectOptions(write=True))
    assert max(step.risk for step in plan.steps) is Risk.FORCE


def test_a_server_is_locked_as_long_as_its_disk_is_open_for_writing() -> None:
    plan = plan_inspect(InspectFacts(STOPPED, OFF, "cloud"), InspectOptions(write=True))
    assert [step.action for step in plan.steps] == [LOCK, OPEN, CLOSE, UNLOCK]
    assert plan_inspect(InspectFacts(STOPPED, OFF, "cloud"), InspectOptions()).steps[0].action == OPEN


def test_a_lock_that_an_older_run_of_ours_has_left_is_told_and_taken_over() -> None:
    writing = plan_inspect(InspectFacts(LEFT, OFF, "cloud"), InspectOptions(write=True))
    assert [step.action for step in writing.steps] == [LOCK, OPEN, CLOSE, UNLOCK]
    reading = plan_inspect(InspectFacts(LEFT, OFF, "cloud"), InspectOptions())
    words = [each.words for plan in (writing, reading) for each in plan.findings if each.code == "lock-left"]
    assert [("run r7" in each, each.rpartition("; ")[2]) for each in words] == [
        (True, "this one takes the lock over"),
        (True, "nodeops inspect --clean c01 takes it off"),
    ]
    assert locked_by_run(LEFT) == "r7"
    assert locked_by_run(replace(LEFT, locked_reason="nodeops r7 by ann@desk: drain")) == ""
