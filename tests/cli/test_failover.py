"""`failover` and `readmit` from beginning to end on the world in memory."""

from dataclasses import replace

import pytest

from nodeops.cli.conduct import carry_out, resume_run
from nodeops.cli.failover_task import Failover
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.readmit_task import Readmit
from nodeops.errors import DeclinedError, NeedsMoreRiskError, PartlyDoneError, RefusedError, UnknownHostError
from nodeops.model.senses import Guests, Heard, Power
from nodeops.plan import Risk
from nodeops.runbooks.failover import FailoverOptions
from nodeops.runbooks.options import MoveOptions
from tests.cli.fake_desk import FakeDesk, forget_owner, told, verdicts
from tests.fake_evacuation import come_back
from tests.fake_world import Crash, FakeWorld, FaultKind, small_cloud

DRY = Manner(dry_run=True, output=Format.JSON)
GO = Manner(yes=True, output=Format.JSON)
MOVE = MoveOptions(allow=frozenset({"would-lose-disk"}), parallel=4, canary=False)
SAID = FailoverOptions(MOVE, fenced_by="outlet 7 off, seen by Ann")


@pytest.fixture
def world() -> FakeWorld:
    """c01 is dead, with two servers that run and one that is off."""
    world = small_cloud()
    world.nova.add_server("off", "c01", vm_state="stopped")
    for name, host in world.nova.hosts.items():
        seen = "2026-11-21T09:00:00" if name == "c01" else "2026-11-21T10:00:00"
        world.nova.hosts[name] = replace(host, up=name != "c01", last_seen=seen)
    return world


def confirmed(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str], options: FailoverOptions = SAID
) -> Failover:
    """The task with the digest of its plan."""
    carry_out(desk, Failover("c01", options), DRY)
    return Failover("c01", options, confirmed=f"c01@{told(capsys)['digest']}")


def test_a_host_that_is_not_proved_dead_is_refused(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(RefusedError, match="not proved dead") as raised:
        carry_out(desk, Failover("c01", FailoverOptions(MOVE)), GO)
    assert "--fenced-by" in raised.value.hint
    assert "nodeops inquest c01 --fence" in raised.value.hint
    assert world.writes == []


def test_yes_is_not_enough_without_proof(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(DeclinedError, match="not proved dead, and --yes is not enough") as raised:
        carry_out(desk, Failover("c01", SAID), GO)
    assert "--confirm c01@" in raised.value.hint
    with pytest.raises(DeclinedError, match="is not of this plan"):
        carry_out(desk, Failover("c01", SAID, confirmed="c01@0123456789abcdef"), GO)
    assert world.writes == []


def test_with_proof_yes_is_enough(desk: FakeDesk, world: FakeWorld) -> None:
    desk.hosts.powers = [Power.OFF]
    assert carry_out(desk, Failover("c01", FailoverOptions(MOVE)), GO) == 0
    assert {server.host for server in world.nova.servers.values()} <= {"c02", "c03"}


def test_with_proof_the_plans_digest_is_enough_and_another_is_not(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.hosts.powers = [Power.OFF]
    task, asks = confirmed(desk, capsys, FailoverOptions(MOVE)), replace(GO, yes=False)
    with pytest.raises(DeclinedError, match="is not of this plan"):
        carry_out(desk, replace(task, confirmed="c01@0123456789abcdef"), asks)
    assert world.writes == []
    assert carry_out(desk, task, asks) == 0
    assert {server.host for server in world.nova.servers.values()} <= {"c02", "c03"}


def test_a_host_that_lives_is_refused_whatever_is_said(desk: FakeDesk, world: FakeWorld) -> None:
    desk.hosts.reached = Heard(answered=True, words="uptime 4 days")
    for options in (FailoverOptions(MOVE), SAID, replace(SAID, move=replace(MOVE, risk=Risk.FORCE))):
        with pytest.raises(RefusedError, match="c01 lives"):
            carry_out(desk, Failover("c01", options), GO)
    assert world.writes == []


def test_both_overrides_go_against_the_evidence(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.hosts.reached = Heard(answered=True, words="uptime 4 days")
    options = replace(SAID, move=replace(MOVE, allow=frozenset({"would-lose-disk", "host-alive"})))
    carry_out(desk, Failover("c01", options), DRY)
    digest = told(capsys)["digest"]
    with pytest.raises(DeclinedError):
        carry_out(desk, Failover("c01", options), GO)
    assert carry_out(desk, Failover("c01", options, confirmed=f"c01@{digest}"), GO) == 0
    assert {server.host for server in world.nova.servers.values()} <= {"c02", "c03"}


def test_the_word_and_the_plan_are_enough(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    task = confirmed(desk, capsys)
    assert carry_out(desk, task, GO) == 0
    document = told(capsys)
    assert set(verdicts(document).values()) == {"MOVED"}
    assert document["options"]["fenced_by"] == "outlet 7 off, seen by Ann"
    assert world.nova.servers["off"].vm_state == "stopped"
    assert {server.host for server in world.nova.servers.values()} <= {"c02", "c03"}
    assert "held-until-return" in {finding["code"] for finding in document["findings"]}
    dead = world.nova.hosts["c01"]
    assert (dead.enabled, dead.forced_down) == (False, True)
    assert "failover" in dead.disabled_reason


def test_again_there_is_nothing_to_do(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, confirmed(desk, capsys), GO)
    before = len(world.writes)
    assert carry_out(desk, Failover("c01", SAID), GO) == 0
    assert len(world.writes) == before


def test_local_disks_are_refused_by_default(desk: FakeDesk, world: FakeWorld) -> None:
    options = FailoverOptions(MoveOptions(parallel=4, canary=False), fenced_by="seen")
    with pytest.raises(NeedsMoreRiskError) as raised:
        carry_out(desk, Failover("c01", options), GO)
    assert "--allow would-lose-disk" in raised.value.hint
    assert world.writes == []


def test_a_host_that_is_up_is_never_evacuated(desk: FakeDesk, world: FakeWorld) -> None:
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=True)
    options = replace(SAID, move=replace(MOVE, allow=frozenset({"would-lose-disk", "host-alive"})))
    with pytest.raises(RefusedError, match="its nova-compute is up"):
        carry_out(desk, Failover("c01", options), GO)
    assert world.writes == []


def test_hosts_that_do_not_exist(desk: FakeDesk) -> None:
    with pytest.raises(UnknownHostError, match="c09"):
        carry_out(desk, Failover("c09", SAID), GO)
    with pytest.raises(UnknownHostError, match="c99"):
        carry_out(desk, Failover("c01", replace(SAID, move=replace(MOVE, to=("c99",)))), GO)


def test_killed_and_resumed(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    one_by_one = replace(SAID, move=replace(MOVE, parallel=1))
    carry_out(desk, Failover("c01", one_by_one), DRY)
    digest = f"c01@{told(capsys)['digest']}"
    world.faults[len(world.calls) + 40] = FaultKind.CRASH_AFTER
    with pytest.raises(Crash):
        carry_out(desk, Failover("c01", one_by_one, confirmed=digest), GO)
    forget_owner(desk)
    capsys.readouterr()
    assert resume_run(desk, "last", GO) == 0  # the word was given for all that is left
    assert set(verdicts(told(capsys)).values()) == {"MOVED"}
    asked = [name for operation, name in world.nova.arrived if operation == "evacuate"]
    assert sorted(asked) == ["off", "s01", "s02", "s03"]


def test_another_word_than_that_of_the_killed_run_is_asked_for(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    task = confirmed(desk, capsys)
    world.faults[len(world.calls) + 25] = FaultKind.CRASH_AFTER
    with pytest.raises(Crash):
        carry_out(desk, task, GO)
    forget_owner(desk)
    with pytest.raises(DeclinedError, match="not proved dead"):
        carry_out(desk, Failover("c01", replace(SAID, fenced_by="somebody said so")), GO)
    assert carry_out(desk, Failover("c01", SAID), GO) == 0


def test_what_could_not_be_saved_is_tried_again(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.refusals |= {("c02", "off"), ("c03", "off")}
    with pytest.raises(PartlyDoneError):
        carry_out(desk, confirmed(desk, capsys), GO)
    left = next(each for each in told(capsys)["servers"] if each["verdict"] == "LEFT")
    assert "No valid host" in left["reason"]
    assert world.nova.servers["off"].vm_state == "error"
    world.nova.refusals.clear()
    assert carry_out(desk, confirmed(desk, capsys), GO) == 0
    assert world.nova.servers["off"].vm_state == "stopped"


def returned(world: FakeWorld) -> None:
    """Its nova-compute started, and Nova shows it as what it is: forced down."""
    come_back(world.nova, "c01")
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], last_seen="2026-11-21T10:00:01")


def test_a_host_is_readmitted_step_by_step(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, confirmed(desk, capsys), GO)
    before = len(world.writes)
    with pytest.raises(RefusedError, match="nova-compute has not reported") as raised:
        carry_out(desk, Readmit("c01"), GO)
    assert "nodeops readmit c01" in raised.value.hint
    capsys.readouterr()
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=True, last_seen="2026-11-21T10:00:01")
    with pytest.raises(RefusedError, match="old copies of 4 evacuated servers are not removed") as raised:
        carry_out(desk, Readmit("c01"), GO)
    assert "Restart nova-compute" in raised.value.hint
    assert len(world.writes) == before
    returned(world)
    capsys.readouterr()
    assert carry_out(desk, Readmit("c01"), GO) == 0
    host = world.nova.hosts["c01"]
    assert (host.enabled, host.forced_down) == (True, False)
    assert [call.name for call in world.writes[before:]] == ["force_down", "enable"]
    assert carry_out(desk, Readmit("c01"), GO) == 0  # nothing left to do


def test_guests_that_are_left_keep_it_out(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, confirmed(desk, capsys), GO)
    returned(world)
    desk.hosts.domains = Guests(running=("s01",), words="1 runs", defined=("s01", "s02"))
    with pytest.raises(RefusedError, match="guests of servers that are not on it any more: s01, s02"):
        carry_out(desk, Readmit("c01"), GO)
    desk.hosts.domains = Guests(running=(), words="none runs")
    assert carry_out(desk, Readmit("c01"), GO) == 0


def test_give_back_brings_home_what_the_failover_moved(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(desk, confirmed(desk, capsys), GO)
    world.nova.add_server("other", "c02")
    world.nova.delete("s03")
    returned(world)
    capsys.readouterr()
    assert carry_out(desk, Readmit("c01", give_back=True), GO) == 0
    assert verdicts(told(capsys)) == {"s01": "MOVED", "s02": "MOVED", "off": "MOVED"}
    homes = {server.id: server.host for server in world.nova.servers.values()}
    assert homes == {"s01": "c01", "s02": "c01", "off": "c01", "other": "c02"}
    assert world.nova.servers["off"].vm_state == "stopped"
