"""The fake keeps its word; `tests/contract` holds it to a real cloud."""

import pytest

from nodeops.errors import ApiError
from nodeops.model.world import World
from tests.fake_world import Behaviour, Crash, FaultKind, small_cloud


def test_is_a_world() -> None:
    world: World = small_cloud()
    assert world.identity().cloud == "fake"


def test_live_migration_takes_time_and_moves_the_server() -> None:
    world = small_cloud(servers=1)
    world.live_migrate("s01", "c02")
    assert world.nova.servers["s01"].task_state == "migrating"
    world.nova.clock.sleep(60)
    server = world.server("s01")
    assert server is not None
    assert (server.host, server.task_state, server.status) == ("c02", None, "ACTIVE")
    assert [m.status for m in world.migrations_from("c01")] == ["completed"]


def test_a_host_runs_one_at_a_time_and_queues_the_rest() -> None:
    world = small_cloud(servers=3)
    for server_id in ("s01", "s02", "s03"):
        world.live_migrate(server_id, "c02")
    world.nova.clock.sleep(1)
    assert sorted(m.status for m in world.migrations_from("c01")) == ["queued", "queued", "running"]
    world.nova.clock.sleep(60)
    assert world.servers_on("c01") == ()
    assert world.nova.peak_running == 1


def test_second_request_is_a_conflict() -> None:
    world = small_cloud(servers=1)
    world.live_migrate("s01", "c02")
    with pytest.raises(ApiError) as caught:
        world.live_migrate("s01", "c02")
    assert caught.value.status == 409


def test_no_valid_host_comes_later() -> None:
    world = small_cloud(servers=1)
    world.nova.refusals.add(("c02", "s01"))
    request_id = world.live_migrate("s01", "c02")
    world.nova.clock.sleep(2)
    server = world.server("s01")
    assert server is not None
    assert (server.host, server.task_state) == ("c01", None)
    explanation = world.explain("s01", request_id)
    assert explanation is not None
    assert "No valid host" in explanation.words


def test_cold_migration_waits_for_its_confirmation() -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s01", "c01", vm_state="stopped")
    world.cold_migrate("s01", "c02")
    world.nova.clock.sleep(10)
    assert world.nova.servers["s01"].status == "VERIFY_RESIZE"
    world.confirm_resize("s01")
    world.nova.clock.sleep(10)
    server = world.server("s01")
    assert server is not None
    assert (server.host, server.status) == ("c02", "SHUTOFF")


def test_split_leaves_the_row_behind() -> None:
    world = small_cloud(servers=1)
    world.nova.behaviour["s01"] = Behaviour.SPLIT
    world.live_migrate("s01", "c02")
    world.nova.clock.sleep(60)
    assert [m.status for m in world.migrations_from("c01")] == ["completed"]
    assert [s.task_state for s in world.servers_on("c01")] == ["migrating"]


def test_faults_hit_before_or_after_the_effect() -> None:
    world = small_cloud(servers=2)
    world.faults = {1: FaultKind.DROP_BEFORE, 2: FaultKind.DROP_AFTER, 3: FaultKind.CRASH_AFTER}
    with pytest.raises(ApiError) as caught:
        world.live_migrate("s01", "c02")
    assert caught.value.ambiguous
    with pytest.raises(ApiError):
        world.live_migrate("s01", "c02")
    with pytest.raises(Crash):
        world.live_migrate("s02", "c02")
    assert world.nova.arrived == [("live_migrate", "s01"), ("live_migrate", "s02")]
