"""The executor on a world in memory: order, pace, retries, ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.outcome import StepState
from nodeops.plan import Verdict
from nodeops.runbooks.options import MoveOptions, OnStuck
from tests.fake_world import Behaviour, FakeWorld, small_cloud
from tests.unit.engine.plans import cold, disable, drain, live, server_step, suspended
from tests.unit.engine.runs import Run, any_other_target

MakeRun = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> MakeRun:
    def make(world: FakeWorld, **options: object) -> Run:
        return Run(world, tmp_path, MoveOptions(**{"canary": False, **options}))  # type: ignore[arg-type]

    return make


def test_a_drain_moves_everything_and_disables_first(make: MakeRun) -> None:
    world = small_cloud(servers=3)
    run = make(world)
    execution = run.go(drain(disable(), *(live(f"s0{number}") for number in (1, 2, 3))))
    assert run.hosts() == {"s01": "c02", "s02": "c02", "s03": "c02"}
    assert set(run.states(execution).values()) == {StepState.DONE}
    assert world.nova.arrived[0] == ("disable", "service-c01")
    assert run.record is not None
    assert world.nova.hosts["c01"].disabled_reason == run.record.reason
    assert execution.still_running == {}
    result = run.result(execution, "live-migrate:s01")
    assert (result.target, result.attempts) == ("c02", 1)
    assert result.request_id.startswith("req-")


def test_a_reason_somebody_set_is_not_overwritten(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.set_service("service-c01", enabled=False, reason="broken fan, ask bob")
    run = make(world)
    execution = run.go(drain(disable(), live("s01")))
    assert run.states(execution)["disable-service:c01"] is StepState.SKIPPED
    assert world.nova.hosts["c01"].disabled_reason == "broken fan, ask bob"
    assert run.hosts()["s01"] == "c02"


def test_nothing_is_moved_when_the_host_cannot_be_disabled(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    del world.nova.hosts["c01"]
    run = make(world)
    execution = run.go(drain(disable(), live("s01")))
    assert set(run.states(execution).values()) == {StepState.BLOCKED}
    assert world.writes == []


def test_longest_first(make: MakeRun) -> None:
    run = make(small_cloud(servers=3))
    run.go(drain(live("s01", expected=5), live("s02", expected=50), live("s03", expected=20)))
    assert run.sent() == ["live-migrate:s02", "live-migrate:s03", "live-migrate:s01"]


def test_the_smallest_goes_first_and_alone(make: MakeRun) -> None:
    run = make(small_cloud(servers=3), canary=True)
    run.go(drain(live("s01", expected=5), live("s02", expected=3), live("s03", expected=20)))
    assert run.sent()[0] == "live-migrate:s02"
    assert run.ended()[0] == "live-migrate:s02"
    first_end = run.events.index(next(e for e in run.events if type(e).__name__ == "StepEnded"))
    assert sum(type(event).__name__ == "StepSent" for event in run.events[:first_end]) == 1
    assert set(run.hosts().values()) == {"c02"}


def test_after_a_failed_canary_nothing_else_is_begun(make: MakeRun) -> None:
    world = small_cloud(servers=3)
    world.nova.behaviour["s02"] = Behaviour.FAIL
    run = make(world, canary=True, retries=1)
    execution = run.go(drain(live("s01", expected=5), live("s02", expected=3), live("s03", expected=20)))
    states = run.states(execution)
    assert states["live-migrate:s02"] is StepState.FAILED
    assert states["live-migrate:s01"] is StepState.PENDING
    assert {name for name, _ in world.nova.arrived} == {"live_migrate"}
    assert {server for _, server in world.nova.arrived} == {"s02"}
    assert "no other is begun" in run.notes()


def test_a_canary_that_somebody_else_took_is_replaced(make: MakeRun) -> None:
    world = small_cloud(servers=3)
    world.nova.delete("s02")
    run = make(world, canary=True)
    execution = run.go(drain(live("s01", expected=5), live("s02", expected=3), live("s03", expected=20)))
    assert run.states(execution)["live-migrate:s02"] is StepState.BLOCKED
    assert run.hosts() == {"s01": "c02", "s03": "c02"}
    assert run.sent()[0] == "live-migrate:s01"


def test_a_canary_that_is_busy_gives_way(make: MakeRun) -> None:
    world = small_cloud(servers=3)
    world.nova.change("s02", task_state="image_uploading")
    world.nova.at(50, lambda: world.nova.change("s02", task_state=None))
    run = make(world, canary=True)
    start = world.nova.clock.now()
    run.go(drain(live("s01", expected=5), live("s02", expected=3), live("s03", expected=20)))
    assert set(run.hosts().values()) == {"c02"}
    assert run.sent() == ["live-migrate:s01", "live-migrate:s03", "live-migrate:s02"]
    assert world.nova.clock.now() - start < 70


@pytest.mark.parametrize("at_once", [1, 2, 3, 5])
def test_the_source_never_idles_and_is_not_flooded(make: MakeRun, at_once: int) -> None:
    world = small_cloud(servers=20, hosts=8)
    world.nova.max_concurrent = at_once
    run = make(world)
    world.nova.copy_seconds = lambda _: 4.0
    steps = [live(f"s{n:02}", f"c0{n % 7 + 2}", expected=4.0) for n in range(1, 21)]
    start = world.nova.clock.now()
    run.go(drain(*steps))
    took = world.nova.clock.now() - start
    assert set(run.hosts().values()) == {f"c0{n}" for n in range(2, 9)}
    assert world.nova.peak_running == at_once
    ideal = 20 / at_once * 4.3
    assert took <= 1.05 * ideal + 4, f"{took:.1f} s for {ideal:.1f}"


def test_calls_are_few(make: MakeRun) -> None:
    world = small_cloud(servers=20, hosts=8)
    run = make(world)
    world.nova.copy_seconds = lambda _: 4.4
    run.go(drain(disable(), *(live(f"s{n:02}", f"c0{n % 7 + 2}", expected=4.0) for n in range(1, 21))))
    assert len(world.calls) / 20 <= 4.6, f"{len(world.calls)} calls"
    assert len(world.named("live_migrate")) == 20


def test_parallel_and_inbound_are_kept(make: MakeRun) -> None:
    world = small_cloud(servers=12)
    world.nova.max_concurrent = 10
    run = make(world, parallel=4, inbound=1)
    run.go(drain(*(live(f"s{n:02}", "c02" if n % 2 else "c03", expected=2) for n in range(1, 13))))
    assert set(run.hosts().values()) == {"c02", "c03"}
    assert world.nova.peak_running <= 2
    assert max(world.nova.peak_inbound.values()) == 1


def test_a_refused_target_is_replaced(make: MakeRun) -> None:
    world = small_cloud(servers=2, hosts=4)
    world.nova.refusals = {("c02", "s01"), ("c03", "s01")}
    run = make(world)
    run.retarget = any_other_target("c02", "c03", "c04")
    execution = run.go(drain(live("s01", "c02"), live("s02", "c02")))
    assert run.hosts() == {"s01": "c04", "s02": "c02"}
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.target, result.attempts) == (StepState.DONE, "c04", 3)


def test_a_server_that_no_host_takes_fails_with_novas_words(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.refusals.add(("c02", "*"))
    run = make(world)
    execution = run.go(drain(live("s01")))
    result = run.result(execution, "live-migrate:s01")
    assert result.state is StepState.FAILED
    assert "No valid host was found" in result.words
    assert "no other host can take it" in result.words
    assert result.request_id.startswith("req-")


def test_a_target_that_went_down_is_not_tried(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.hosts["c02"] = replace(world.nova.hosts["c02"], up=False)
    run = make(world)
    run.retarget = any_other_target("c02", "c03")
    run.go(drain(live("s01", "c02")))
    assert run.hosts()["s01"] == "c03"
    assert [call.arguments[1] for call in world.named("live_migrate")] == ["c03"]


def test_a_failed_copy_is_tried_again_so_often(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.FAIL
    run = make(world, retries=2)
    execution = run.go(drain(live("s01")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.attempts) == (StepState.FAILED, 3)
    assert result.verdict is Verdict.ROLLED_BACK
    assert "rolled back: Live Migration failure" in result.words


def test_a_failed_copy_may_succeed_later(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.FAIL
    world.nova.at(10, world.nova.behaviour.clear)
    run = make(world, retries=5)
    execution = run.go(drain(live("s01")))
    assert run.result(execution, "live-migrate:s01").state is StepState.DONE
    assert run.hosts()["s01"] == "c02"


def test_an_error_on_the_source_is_not_tried_again(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.ERROR_HERE
    run = make(world)
    execution = run.go(drain(live("s01")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.attempts) == (StepState.FAILED, 1)
    assert "is in ERROR on c01, its guest still runs" in result.words


def test_an_error_on_the_target_says_so(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.ERROR_THERE
    run = make(world)
    result = run.result(run.go(drain(live("s01"))), "live-migrate:s01")
    assert result.state is StepState.FAILED
    assert "is on c02, and in ERROR, its guest still runs" in result.words


def test_a_split_is_called_so(make: MakeRun) -> None:
    world = small_cloud(servers=2)
    world.nova.behaviour["s01"] = Behaviour.SPLIT
    run = make(world)
    start = world.nova.clock.now()
    execution = run.go(drain(live("s01", expected=3, budget=600), live("s02")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.verdict) == (StepState.FAILED, Verdict.SPLIT)
    assert "its record is still on c01" in result.words
    assert run.hosts()["s02"] == "c02"
    assert world.nova.clock.now() - start < 90


@pytest.mark.parametrize(
    ("policy", "state", "words", "host"),
    [
        (
            OnStuck.ABORT,
            StepState.FAILED,
            "aborted: the migration was aborted",
            "c01",
        ),
        (
            OnStuck.FORCE_COMPLETE,
            StepState.DONE,
            "forced to complete: is on c02",
            "c02",
        ),
        (OnStuck.LEAVE, StepState.UNKNOWN, "left to nova", "c01"),
    ],
)
def test_what_is_stuck_is_dealt_with_as_chosen(
    make: MakeRun, policy: OnStuck, state: StepState, words: str, host: str
) -> None:
    world = small_cloud(servers=2)
    world.nova.behaviour["s01"] = Behaviour.NEVER
    world.nova.max_concurrent = 2
    run = make(world, on_stuck=policy)
    execution = run.go(drain(live("s01", budget=60), live("s02")))
    result = run.result(execution, "live-migrate:s01")
    assert (result.state, result.attempts) == (state, 1)
    assert f"did not end within 60 s, {words}" in result.words
    assert run.hosts() == {"s01": host, "s02": "c02"}
    assert ("s01" in execution.still_running) == (policy is OnStuck.LEAVE)


def test_what_waits_behind_a_stuck_one_is_not_stuck(make: MakeRun) -> None:
    world = small_cloud(servers=3)
    world.nova.behaviour["s01"] = Behaviour.NEVER
    run = make(world, parallel=3)
    execution = run.go(drain(live("s01", expected=9, budget=60), live("s02"), live("s03")))
    assert run.states(execution) == {
        "live-migrate:s01": StepState.FAILED,
        "live-migrate:s02": StepState.DONE,
        "live-migrate:s03": StepState.DONE,
    }
    assert [call.arguments[0] for call in world.named("abort_migration")] == ["s01"]


def test_nothing_new_after_so_many_failures(make: MakeRun) -> None:
    world = small_cloud(servers=6)
    for number in (1, 2, 3, 4, 5, 6):
        world.nova.behaviour[f"s0{number}"] = Behaviour.ERROR_HERE
    run = make(world, max_failures=2)
    execution = run.go(drain(*(live(f"s0{number}") for number in range(1, 7))))
    states = list(run.states(execution).values())
    assert states.count(StepState.FAILED) >= 2
    assert states.count(StepState.PENDING) >= 2
    assert "nothing new is begun" in run.notes()


def test_cold_migration_is_confirmed(make: MakeRun) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="stopped")
    run = make(world)
    execution = run.go(drain(disable(), *cold("s01")))
    assert set(run.states(execution).values()) == {StepState.DONE}
    server = world.nova.servers["s01"]
    assert (server.host, server.status) == ("c02", "SHUTOFF")


def test_a_move_that_has_begun_is_completed_though_others_fail(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.add_server("s02", "c01", vm_state="stopped")
    world.nova.copy_seconds = lambda server: 1 if server.id == "s01" else 30
    world.nova.behaviour["s01"] = Behaviour.ERROR_HERE
    run = make(world, max_failures=1)
    run.go(drain(live("s01"), *cold("s02")))
    assert world.nova.servers["s02"].status == "SHUTOFF"


def test_a_suspended_server_is_suspended_again(make: MakeRun) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="suspended")
    run = make(world)
    run.go(drain(disable(), *suspended("s01")))
    server = world.nova.servers["s01"]
    assert (server.host, server.status) == ("c02", "SUSPENDED")


def test_a_suspended_server_is_suspended_again_where_its_move_fails(make: MakeRun) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="suspended")
    world.nova.refusals.add(("c02", "*"))
    run = make(world)
    execution = run.go(drain(disable(), *suspended("s01")))
    server = world.nova.servers["s01"]
    assert (server.host, server.status) == ("c01", "SUSPENDED")
    assert run.states(execution)["live-migrate:s01"] is StepState.FAILED


def test_what_needs_a_failed_step_is_not_made(make: MakeRun) -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="stopped")
    world.nova.refusals.add(("c02", "*"))
    run = make(world)
    execution = run.go(drain(*cold("s01")))
    result = run.result(execution, "confirm-resize:s01")
    assert (result.state, result.words) == (
        StepState.BLOCKED,
        "needs cold-migrate:s01, which failed",
    )


def test_a_task_that_ends_by_itself_is_waited_for(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.change("s01", task_state="image_uploading")
    world.nova.at(25, lambda: world.nova.change("s01", task_state=None))
    run = make(world)
    wait = server_step("wait-task", "s01")
    execution = run.go(drain(wait, replace(live("s01"), needs=(wait.id,))))
    assert run.hosts()["s01"] == "c02"
    assert run.states(execution)[wait.id] is StepState.SKIPPED


def test_a_task_that_does_not_end_is_given_up_after_its_budget(make: MakeRun) -> None:
    world = small_cloud(servers=1)
    world.nova.change("s01", task_state="image_uploading")
    run = make(world)
    wait = server_step("wait-task", "s01")
    execution = run.go(drain(wait, replace(live("s01"), needs=(wait.id,))))
    assert run.states(execution) == {wait.id: StepState.BLOCKED, "live-migrate:s01": StepState.BLOCKED}
    assert "image_uploading" in run.result(execution, wait.id).words


def test_progress_is_asked_only_when_wanted_and_worth_it(make: MakeRun) -> None:
    world = small_cloud(servers=2, ram_mb=65536)
    run = make(world)
    run.want_progress = True
    run.go(drain(live("s01", expected=60, budget=600), live("s02", expected=60, budget=600)))
    assert 0 < len(world.named("progress")) < 40
    quick = small_cloud(servers=2)
    run.world = quick
    run.go(drain(live("s01"), live("s02"), host="c09"))
    assert quick.named("progress") == []


def test_an_empty_plan_is_done_at_once(make: MakeRun) -> None:
    world = small_cloud(servers=0)
    run = make(world)
    assert run.go(drain()).step_results == ()
    assert world.calls == []
