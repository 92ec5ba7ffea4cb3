"""Actions on a host itself: what a look finds, before and after each was sent."""

from dataclasses import replace

import pytest

from nodeops.actions.action import Sent, State
from nodeops.actions.compute_service import KeepStopped, StartCompute, StopCompute
from nodeops.actions.host_work import RebootHost, RunWork, work_id
from nodeops.actions.window import Hook, WaitHost
from nodeops.errors import ApiError, SshError, SshReason
from nodeops.model.machine import ServiceState
from nodeops.model.senses import Power
from nodeops.plan import Json, Risk, Step, Verdict
from tests.fake_machine import FakeMachine
from tests.fake_senses import FakeSenses
from tests.fake_world import FakeWorld, small_cloud


@pytest.fixture
def world() -> FakeWorld:
    return small_cloud()


@pytest.fixture
def machine(world: FakeWorld) -> FakeMachine:
    return FakeMachine(world.nova)


def step(action: str, **params: Json) -> Step:
    return Step(f"{action}:c01", action, "c01", "c01", "", Risk.SAFE, params)


def sent(waited: float = 1.0, *, ambiguous: bool = False) -> Sent:
    return Sent(0.0, waited=waited, ambiguous=ambiguous)


def test_a_stop_is_waited_for_and_told_how_it_ended(world: FakeWorld, machine: FakeMachine) -> None:
    stop, one = StopCompute(machine), step("stop-compute")
    assert stop.look(world, one, None).state is State.READY
    stop.act(world, one)
    look = stop.look(world, one, sent())
    assert look.state is State.MOVING
    assert "killed by its manager at 65 s" in look.words
    world.nova.clock.sleep(6)
    assert stop.look(world, one, sent(6)).state is State.DONE
    machine.host("c01").state = ServiceState.FAILED
    assert "ended badly" in stop.look(world, one, sent(6)).words


def test_a_stop_that_does_not_end_is_said(world: FakeWorld, machine: FakeMachine) -> None:
    look = StopCompute(machine).look(world, step("stop-compute"), sent(200))
    assert look.state is State.FAILED
    assert look.words == "nova-compute still runs 200 s after it was stopped"


def test_a_lost_stop_is_sent_again(world: FakeWorld, machine: FakeMachine) -> None:
    stop, one = StopCompute(machine), step("stop-compute")
    assert stop.look(world, one, sent(1, ambiguous=True)).state is State.MOVING
    assert stop.look(world, one, sent(20, ambiguous=True)).state is State.READY


def test_masking_stops_what_was_started_meanwhile(world: FakeWorld, machine: FakeMachine) -> None:
    keep, one = KeepStopped(machine), step("keep-stopped")
    keep.act(world, one)
    assert keep.look(world, one, sent()).state is State.MOVING
    world.nova.clock.sleep(6)
    assert keep.look(world, one, sent(6)).state is State.DONE


def test_a_start_has_to_last(world: FakeWorld, machine: FakeMachine) -> None:
    start, one, host = StartCompute(machine), step("start-compute"), machine.host("c01")
    host.state, host.masked = ServiceState.STOPPED, True
    assert start.look(world, one, None).state is State.READY
    start.act(world, one)
    assert not host.masked
    assert start.look(world, one, sent()).state is State.MOVING
    world.nova.clock.sleep(6)
    assert start.look(world, one, sent(6)).state is State.DONE


def test_a_start_that_fails_says_so(world: FakeWorld, machine: FakeMachine) -> None:
    start, one, host = StartCompute(machine), step("start-compute"), machine.host("c01")
    host.state, host.starts = ServiceState.STOPPED, False
    start.act(world, one)
    assert start.look(world, one, sent()).state is State.FAILED
    host.state = ServiceState.STOPPED
    assert start.look(world, one, sent(10)).state is State.MOVING
    assert start.look(world, one, sent(30)).state is State.FAILED


@pytest.mark.parametrize("reason", [SshReason.HOST_KEY_CHANGED, SshReason.SUDO, SshReason.AUTHENTICATION])
def test_what_waiting_does_not_mend_ends_at_once(
    world: FakeWorld, machine: FakeMachine, reason: SshReason
) -> None:
    machine.errors["c01"] = SshError("c01: no", reason=reason)
    for action in (StopCompute(machine), StartCompute(machine), RebootHost(machine), WaitHost(machine)):
        one = step(action.name, boot="b")
        assert action.look(world, one, None).state is State.BLOCKED
        look = action.look(world, one, sent())
        assert (look.state, look.retry) == (State.FAILED, False)


def test_a_host_that_is_away_is_waited_for(world: FakeWorld, machine: FakeMachine) -> None:
    machine.errors["c01"] = SshError("c01: no route", reason=SshReason.UNREACHABLE)
    for action in (StopCompute(machine), StartCompute(machine), RebootHost(machine), WaitHost(machine)):
        assert action.look(world, step(action.name, boot="b"), sent()).state is State.MOVING


WORK = step("work", work="abc", run="m-1", argv=["true"], script_sha256="", again=False)


def test_work_is_begun_once_whatever_is_asked(world: FakeWorld, machine: FakeMachine) -> None:
    work = RunWork(machine)
    one = work.remember(WORK)
    assert one.params["boot"] == "boot-1-of-c01"
    assert work_id(one) == "m-1-abc"
    for _ in range(3):
        work.act(world, one)
    assert machine.ran == [("true",)]
    assert work.look(world, one, sent()).words == "runs: last words"
    world.nova.clock.sleep(31)
    assert work.look(world, one, sent()).state is State.DONE
    assert work.look(world, one, None).state is State.DONE


@pytest.mark.parametrize(
    ("ambiguous", "waited", "boots", "state", "verdict"),
    [
        (True, 1.0, 1, State.MOVING, None),
        (True, 20.0, 1, State.READY, None),
        (True, 20.0, 2, State.FAILED, Verdict.UNKNOWN),
        (False, 20.0, 1, State.FAILED, Verdict.UNKNOWN),
    ],
    ids=["may still come", "never came", "may have run before a boot", "traces are gone"],
)
def test_work_without_a_trace(  # noqa: PLR0917 - a table
    world: FakeWorld,
    machine: FakeMachine,
    ambiguous: bool,  # noqa: FBT001 - a column
    waited: float,
    boots: int,
    state: State,
    verdict: Verdict | None,
) -> None:
    one = RunWork(machine).remember(WORK)
    machine.host("c01").boots = boots
    look = RunWork(machine).look(world, one, sent(waited, ambiguous=ambiguous))
    assert (look.state, look.verdict) == (state, verdict)


def test_work_that_failed_is_begun_again_only_by_word(world: FakeWorld, machine: FakeMachine) -> None:
    work, again = RunWork(machine), replace(WORK, params={**WORK.params, "again": True})
    machine.work_codes = [3]
    work.act(world, WORK)
    world.nova.clock.sleep(31)
    assert work.look(world, WORK, sent()).state is State.FAILED
    assert work.look(world, WORK, None).state is State.BLOCKED
    assert work.look(world, again, None).state is State.READY
    work.act(world, again)
    assert len(machine.ran) == 2


def test_a_boot_is_proved_by_its_id(world: FakeWorld, machine: FakeMachine) -> None:
    reboot = RebootHost(machine)
    one = reboot.remember(step("reboot-host"))
    assert reboot.look(world, one, None).state is State.READY
    assert reboot.look(world, one, sent()).state is State.MOVING
    reboot.act(world, one)
    assert reboot.look(world, one, sent()).words.startswith("is down, or booting")
    world.nova.clock.sleep(61)
    assert reboot.look(world, one, sent(61)).state is State.DONE


def test_a_power_cycle_is_asked_of_the_power(world: FakeWorld, machine: FakeMachine) -> None:
    senses = FakeSenses(powers=[Power.ON])
    cycle = RebootHost(machine, senses)
    assert cycle.name == "power-cycle-host"
    cycle.act(world, cycle.remember(step("power-cycle-host")))
    assert [str(each) for each in senses.switched] == ["cycle"]


def test_a_hook_that_may_not_have_run_is_run_again(world: FakeWorld) -> None:
    ran: list[str] = []

    def run(command: str) -> str:
        ran.append(command)
        return ""

    hook, one = Hook(run), step("hook", when="before", command="silence c01")
    hook.act(world, one)
    assert ran == ["silence c01"]
    assert hook.look(world, one, sent()).state is State.DONE
    assert hook.look(world, one, sent(ambiguous=True)).state is State.READY
    assert hook.refused(one, ApiError("silence ended with 1")).retry is False
