"""`nodeops recover` from beginning to end on the simulated cloud."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nodeops.cli.conduct import carry_out
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.recover_task import Recover, Sources
from nodeops.engine import schema
from nodeops.errors import FailedError, NotVerifiedError, PartlyDoneError, RefusedError
from nodeops.gather.guests import Guests
from nodeops.model.facts import PowerState
from nodeops.model.recovering import Probe
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.priority import Priority
from nodeops.runbooks.recover import RecoverOptions
from tests.cli.fake_desk import FakeDesk, told, verdicts
from tests.fake_recovery import HOUR, PANIC, BootedHost, off_with_the_host, ready_host
from tests.fake_world import Crash, FakeWorld, FaultKind
from tests.unit.runbooks.test_audit import attachment_elsewhere

GO = Manner(yes=True, output=Format.JSON)
DRY = replace(GO, dry_run=True)
STARTED = ("s01", "s02", "s03")


@pytest.fixture
def host(world: FakeWorld) -> BootedHost:
    return off_with_the_host(world)


def task(host: BootedHost, wait: float = 0.0, **options: Any) -> Recover:
    guests = Guests(host, host if host.libvirt else None, host, host.nova.clock.now)
    sources = Sources(lambda _: host, lambda *_: guests, lambda *_: ready_host(host), lambda _: host)
    return Recover("c01", RecoverOptions(**options), wait, sources)


def started(world: FakeWorld) -> list[str]:
    return [str(call.arguments[0]) for call in world.writes if call.name == "start"]


def states(world: FakeWorld) -> dict[str, str]:
    return {key: server.vm_state for key, server in world.nova.servers.items()}


def test_a_dry_run_tells_what_ran_and_changes_nothing(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.actions["s02"].clear()
    host.stopped("s02", by="owner", at=-HOUR)
    assert carry_out(desk, task(host), DRY) == 0
    document = told(capsys)
    assert verdicts(document) == {"s01": "DONE", "s02": "LEFT", "s03": "DONE"}
    assert world.writes == []


def test_what_ran_is_started_and_probed_and_what_its_owner_stopped_is_not(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.actions["s02"].clear()
    host.stopped("s02", by="owner", at=-HOUR)
    carry_out(desk, task(host), DRY)
    expected = told(capsys)
    assert carry_out(desk, task(host), GO) == 0
    document = told(capsys)
    assert verdicts(document) == verdicts(expected)
    assert document["digest"] == expected["digest"]
    assert sorted(started(world)) == ["s01", "s03"]
    assert world.named("reboot_hard") == []
    assert states(world) == {"s01": "active", "s02": "stopped", "s03": "active"}
    assert carry_out(desk, task(host), GO) == 0
    assert sorted(started(world)) == ["s01", "s03"]


def test_a_start_that_fails_is_followed_by_a_hard_reboot(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.only_hard.add("s01")
    assert carry_out(desk, task(host), GO) == 0
    assert set(verdicts(told(capsys)).values()) == {"DONE"}
    assert [call.arguments[0] for call in world.named("reboot_hard")] == ["s01"]


def test_what_nova_calls_active_without_a_guest_is_rebooted_hard(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host = BootedHost(world)
    host.gone |= {"s01"}
    host.undefined |= {"s01"}
    host.note("s02", "reboot", by="somebody", at=10)
    assert carry_out(desk, task(host), DRY) == 0
    document = told(capsys)
    assert verdicts(document) == {"s01": "DONE", "s02": "LEFT", "s03": "LEFT"}
    (resumed,) = [each for each in document["findings"] if each["code"] == "resumed-at-boot"]
    assert resumed["subject"] == "s03"
    host.undefined.clear()
    assert carry_out(desk, task(host), GO) == 0
    assert [call.arguments[0] for call in world.named("reboot_hard")] == ["s01"]


def test_one_that_does_not_come_up_is_left_with_its_reason(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.broken["s01"] = (
        "Cannot reboot instance: Could not open '/var/lib/nova/instances/_base/ab12': "
        "No such file or directory"
    )
    with pytest.raises(PartlyDoneError, match="1 server not back, 2 back"):
        carry_out(desk, task(host), GO)
    document = told(capsys)
    assert verdicts(document) == {"s01": "LEFT", "s02": "DONE", "s03": "DONE"}
    (server,) = [each for each in document["servers"] if each["id"] == "s01"]
    assert "_base/ab12" in server["reason"]
    (finding,) = server["findings"]
    assert finding["code"] == "disk-missing"
    assert "c01" in finding["hint"]
    assert states(world)["s01"] == "error"


@pytest.mark.parametrize("probe", [Probe.CONSOLE, Probe.AGENT, Probe.PING])
def test_a_guest_has_to_show_that_it_lives(
    desk: FakeDesk,
    host: BootedHost,
    capsys: pytest.CaptureFixture[str],
    probe: Probe,
) -> None:
    panics = probe is Probe.CONSOLE
    error, words = (PartlyDoneError, "panicked") if panics else (NotVerifiedError, "no sign of life")
    host.consoles["s01"] = PANIC
    host.agents |= {"s02", "s03"}
    host.pings |= {"10.0.0.02", "10.0.0.03"}
    with pytest.raises(error):
        carry_out(desk, task(host, probe=probe), GO)
    document = told(capsys)
    assert words in str(document)
    good = [key for key, verdict in verdicts(document).items() if verdict == "DONE"]
    assert {"s02", "s03"} <= set(good)
    assert ("s01" in good) is not panics


def test_without_a_probe_running_is_enough(
    desk: FakeDesk, host: BootedHost, capsys: pytest.CaptureFixture[str]
) -> None:
    host.consoles["s01"] = PANIC
    assert carry_out(desk, task(host, probe=Probe.NONE), GO) == 0
    assert set(verdicts(told(capsys)).values()) == {"DONE"}


def test_the_order_is_the_operators_and_only_so_many_at_once(
    desk: FakeDesk, host: BootedHost, world: FakeWorld
) -> None:
    world.nova.change("s03", metadata={"tier": "gold"})
    options = RecoverOptions(
        MoveOptions(parallel=1, canary=False, retries=1, max_failures=None),
        (Priority.parse("metadata:tier=gold"),),
    )
    assert carry_out(desk, replace(task(host), options=options), GO) == 0
    assert started(world)[0] == "s03"
    times = [call.at for call in world.writes if call.name == "start"]
    assert all(later - earlier >= world.nova.task_seconds for earlier, later in pairwise(times))


def test_without_ssh_nova_is_asked_for_everything(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.libvirt = False
    with pytest.raises(RefusedError):
        carry_out(desk, task(host), GO)
    assert "not-ready-host" in str(told(capsys))
    assert world.writes == []
    assert carry_out(desk, task(host, force=True), GO) == 0
    assert set(verdicts(told(capsys)).values()) == {"DONE"}


def test_a_host_that_is_not_ready_is_waited_for(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=False)
    with pytest.raises(RefusedError):
        carry_out(desk, task(host), GO)
    assert "not-ready-nova-service" in str(told(capsys))

    def comes_up() -> None:
        world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=True)

    world.nova.at(40, comes_up)
    assert carry_out(desk, task(host, wait=300), GO) == 0
    captured = capsys.readouterr()
    assert "waiting for nova's word of it: down" in captured.err


def test_doubtful_ones_are_refused_until_they_are_named(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    host.actions["s01"].clear()
    world.nova.change("s02", vm_state="error", power_state=PowerState.SHUTDOWN)
    host.actions["s02"].clear()
    world.nova.change("s03", vm_state="rescued", power_state=PowerState.SHUTDOWN)
    with pytest.raises(RefusedError):
        carry_out(desk, task(host), GO)
    document = told(capsys)
    classes = {each["id"]: each["refusals"][0]["class"] for each in document["servers"]}
    assert classes == {"s01": "ran-unknown", "s02": "in-error", "s03": "not-startable"}
    allowed = MoveOptions(
        allow=frozenset({"ran-unknown", "in-error"}), leave_refused=True, parallel=4, canary=False, retries=1
    )
    with pytest.raises(PartlyDoneError):
        carry_out(desk, task(host, move=allowed), GO)
    assert verdicts(told(capsys)) == {"s01": "DONE", "s02": "DONE", "s03": "LEFT"}


def test_a_stop_by_its_owner_meanwhile_is_respected(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop_it(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "start" and len(host.asked("s03")) == 1:
            host.note("s03", "stop", by="owner", at=90)

    world.before.append(stop_it)
    options = MoveOptions(parallel=1, canary=False, retries=1, max_failures=None)
    with pytest.raises(PartlyDoneError):
        carry_out(desk, task(host, move=options), GO)
    assert verdicts(told(capsys))["s03"] == "LEFT"
    assert "s03" not in started(world)


def test_its_stale_volume_is_attached_anew_once_it_runs(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.change("s01", volume_ids=("v1", "v2"), image_id=None, root_device="/dev/vda")
    attachment_elsewhere(world.nova)
    assert carry_out(desk, task(host, volumes=False), DRY) == 0
    assert "volume-elsewhere" not in str(told(capsys))
    assert carry_out(desk, task(host), GO) == 0
    assert set(verdicts(told(capsys)).values()) == {"DONE"}
    names = [call.name for call in world.writes if call.arguments[0] == "s01"]
    assert names == ["start", "detach_volume", "attach_volume"]
    held = [each for each in world.nova.cinder.attachments() if each.volume_id == "v2"]
    assert [each.host for each in held] == ["c01"]


def test_states_that_disagree_afterwards_are_said(
    desk: FakeDesk, host: BootedHost, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def forget(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "explain" or (name == "servers_on" and len(world.named("start")) == len(STARTED)):
            world.nova.change("s01", power_state=PowerState.NOSTATE)

    host.runs_anyway.add("s01")
    world.before.append(forget)
    with pytest.raises(NotVerifiedError, match="power_state"):
        carry_out(desk, task(host), GO)
    assert verdicts(told(capsys))["s01"] == "DONE"


def test_all_of_them_failing_is_a_failure(desk: FakeDesk, host: BootedHost) -> None:
    host.broken |= dict.fromkeys(("s01", "s02", "s03"), "No space left on device")
    with pytest.raises(FailedError):
        carry_out(desk, task(host), GO)


@pytest.mark.parametrize("kind", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER, FaultKind.DROP_AFTER])
@pytest.mark.parametrize("write", ["start", "reboot_hard"])
def test_cut_off_at_any_write_the_same_command_brings_all_back(
    host: BootedHost, world: FakeWorld, tmp_path: Path, write: str, kind: FaultKind
) -> None:
    host.only_hard.add("s01")
    struck: list[str] = []

    def strike(name: str, _: tuple[object, ...]) -> None:
        if name == write and not struck:
            struck.append(name)
            world.faults[len(world.calls)] = kind

    world.before.append(strike)
    codes = []
    for _ in range(2):
        with FakeDesk(world, tmp_path) as desk:
            with desk.journal().engine.begin() as connection:
                connection.execute(update(schema.runs).values(owner_start="1"))
            try:
                codes.append(carry_out(desk, task(host), GO))
            except Crash:
                world.nova.clock.sleep(30)
    assert struck
    assert codes[-1] == 0
    assert set(states(world).values()) == {"active"}
    assert [started(world).count(each) for each in ("s02", "s03")] == [1, 1]


def test_resume_finds_its_options_in_the_run(host: BootedHost, world: FakeWorld, tmp_path: Path) -> None:
    plan = task(host, probe=Probe.AGENT, force=True).options
    with FakeDesk(world, tmp_path) as desk:
        found = task(host, probe=Probe.AGENT, force=True)
        facts = found.gather(desk, None)
        assert Recover.of_plan(found.plan(facts)).options == plan
