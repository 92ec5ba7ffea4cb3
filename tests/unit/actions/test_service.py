"""Disabling and enabling a compute host, and whose reason it is."""

from dataclasses import replace

from nodeops.actions.action import Sent, State
from nodeops.actions.registry import ACTIONS
from nodeops.gates import GATES
from tests.fake_world import FakeWorld, small_cloud
from tests.unit.engine.plans import disable, live

DISABLE = replace(disable(), params={"reason": "nodeops d-1 by ann@desk: drain"})
ENABLE = replace(disable(), id="enable-service:c01", action="enable-service")
NO_ANSWER = Sent(0.0, ambiguous=True, waited=1)
NO_ANSWER_LATE = Sent(0.0, ambiguous=True, waited=60)


def disabled(reason: str) -> FakeWorld:
    world = small_cloud(servers=0)
    world.nova.set_service("service-c01", enabled=False, reason=reason)
    return world


def look(world: FakeWorld, action: str, sent: Sent | None = None, *, force: bool = False) -> State:
    step = DISABLE if action == "disable-service" else ENABLE
    return ACTIONS[action].look(world, replace(step, params={**step.params, "force": force}), sent).state


def test_disable() -> None:
    world = small_cloud(servers=0)
    assert look(world, "disable-service") is State.READY
    ACTIONS["disable-service"].act(world, DISABLE)
    assert world.nova.hosts["c01"].disabled_reason == "nodeops d-1 by ann@desk: drain"
    assert look(world, "disable-service", Sent(0.0, "req-1")) is State.DONE


def test_a_reason_that_came_in_between_is_not_overwritten() -> None:
    world = disabled("bob was faster")
    assert ACTIONS["disable-service"].act(world, DISABLE) == ""
    assert world.writes == []
    assert world.nova.hosts["c01"].disabled_reason == "bob was faster"


def test_disabling_without_an_answer() -> None:
    world = small_cloud(servers=0)
    assert look(world, "disable-service", NO_ANSWER) is State.MOVING
    assert look(world, "disable-service", NO_ANSWER_LATE) is State.READY
    assert look(world, "disable-service", Sent(0.0, "req-1")) is State.FAILED
    assert look(disabled("x"), "disable-service", NO_ANSWER) is State.DONE


def test_only_what_nodeops_disabled_is_enabled() -> None:
    assert look(disabled("nodeops d-1 by ann@desk: drain"), "enable-service") is State.READY
    assert look(disabled("broken fan"), "enable-service") is State.BLOCKED
    assert look(disabled(""), "enable-service") is State.BLOCKED
    assert look(disabled("broken fan"), "enable-service", force=True) is State.READY
    assert look(small_cloud(servers=0), "enable-service") is State.DONE


def test_enable() -> None:
    world = disabled("nodeops d-1 by ann@desk: drain")
    ACTIONS["enable-service"].act(world, ENABLE)
    assert world.nova.hosts["c01"].enabled
    assert ACTIONS["enable-service"].act(world, ENABLE) == ""
    assert look(world, "enable-service", Sent(0.0, "req-1")) is State.DONE


def test_enabling_without_an_answer() -> None:
    world = disabled("nodeops d-1 by ann@desk: drain")
    assert look(world, "enable-service", NO_ANSWER) is State.MOVING
    assert look(world, "enable-service", NO_ANSWER_LATE) is State.READY
    assert look(world, "enable-service", Sent(0.0, "req-1")) is State.FAILED


def test_a_host_that_is_gone() -> None:
    world = small_cloud(servers=0)
    del world.nova.hosts["c01"]
    assert look(world, "disable-service") is State.BLOCKED
    assert look(world, "enable-service") is State.BLOCKED
    assert ACTIONS["disable-service"].act(world, DISABLE) == ""
    assert ACTIONS["enable-service"].act(world, ENABLE) == ""


def test_the_gate_asks_whether_the_target_serves() -> None:
    world, gate = disabled("broken fan"), GATES["target-serves"]
    assert gate.veto(world, live("s01", "c02")) is None
    assert gate.veto(world, live("s01", None)) is None
    assert gate.veto(world, live("s01", "c01")) == "target c01 is disabled: broken fan"
    assert gate.veto(world, live("s01", "c09")) == "target c09 is no compute host any more"
    world.nova.hosts["c02"] = replace(world.nova.hosts["c02"], up=False)
    assert gate.veto(world, live("s01", "c02")) == "target c02 is down"
