"""The last questions before a step on or to a host that was dead."""

from dataclasses import replace

from nodeops.engine.snapshot import Snapshot
from nodeops.gates import BEATS_OF_LIFE, GATES
from nodeops.plan import Risk, Step
from tests.fake_world import FakeWorld, small_cloud

STEP = Step(
    id="evacuate:s01",
    action="evacuate",
    subject_id="s01",
    subject_name="s01",
    why="",
    risk=Risk.REBOOT,
    source="c01",
    target="c02",
)
SILENT, UP = GATES["source-silent"], GATES["host-up"]


def dead(**host: object) -> FakeWorld:
    world = small_cloud(servers=1)
    changes = {"up": False, "forced_down": True, "last_seen": "2026-11-21T09:00:00", **host}
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], **changes)  # type: ignore[arg-type]  # fields of Host
    return world


def seen_at(world: FakeWorld, view: Snapshot, second: int) -> str | None:
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], last_seen=f"2026-11-21T09:00:{second:02}")
    view.refresh()
    return SILENT.veto(view, STEP)


def test_a_dead_host_is_silent() -> None:
    world = dead()
    view = Snapshot(world, "c01", world.nova.clock.now)
    assert [SILENT.veto(view, STEP) for _ in range(9)] == [None] * 9


def test_a_host_that_is_up_is_not() -> None:
    world = dead(up=True, forced_down=False)
    veto = SILENT.veto(Snapshot(world, "c01", world.nova.clock.now), STEP)
    assert veto is not None
    assert "is up" in veto


def test_forced_down_and_reporting_again() -> None:
    world = dead()
    view = Snapshot(world, "c01", world.nova.clock.now)
    said = [seen_at(world, view, second) for second in range(BEATS_OF_LIFE)]
    assert said[:-1] == [None] * (BEATS_OF_LIFE - 1)
    assert "reports again" in str(said[-1])
    other = Snapshot(world, "c01", world.nova.clock.now)
    assert SILENT.veto(other, STEP) is None  # another run has seen nothing yet


def test_gone() -> None:
    world = dead()
    del world.nova.hosts["c01"]
    view = Snapshot(world, "c01", world.nova.clock.now)
    assert "no compute host" in str(SILENT.veto(view, STEP))
    assert "no compute host" in str(UP.veto(view, replace(STEP, subject_id="c01")))
    assert SILENT.veto(view, replace(STEP, source=None)) is None


def test_a_host_is_enabled_only_once_it_is_up() -> None:
    step = replace(STEP, subject_id="c01", action="enable-service")
    for up, forced, opens in ((False, False, False), (True, True, False), (True, False, True)):
        world = dead(up=up, forced_down=forced)
        veto = UP.veto(Snapshot(world, "c01", world.nova.clock.now), step)
        assert (veto is None) is opens
