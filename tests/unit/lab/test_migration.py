"""The arithmetic of simulated copies, with a clock that only moves when the copy waits."""

from dataclasses import dataclass, field

import pytest

from nodeops.lab.hypervisor.migration import (
    Control,
    Copy,
    CopyEnd,
    Figures,
    Hindrance,
    Surroundings,
    Work,
    figures,
)

GIB = 1024**3


@dataclass
class Time:
    """A clock, and a control whose waiting moves it on."""

    now: float = 0.0
    seen: list[Figures] = field(default_factory=list)

    def clock(self) -> float:
        return self.now


class Buttons(Control):
    """Presses a button when the clock reaches its second."""

    def __init__(self, time: Time, *, abort_at: float | None = None, force_at: float | None = None) -> None:
        super().__init__()
        self._time = time
        self._abort_at = abort_at
        self._force_at = force_at

    def wait(self, seconds: float) -> None:
        self._time.now += seconds
        assert self._time.now < 1000, "the copy does not end"
        if self._abort_at is not None and self._time.now >= self._abort_at:
            self.abort()
        if self._force_at is not None and self._time.now >= self._force_at:
            self.force()


def run(
    work: Work, time: Time, buttons: Buttons, *hindrances: tuple[float, Hindrance], dies_at: float = 1e9
) -> CopyEnd:
    """Run a copy; each hindrance holds from its second on."""

    def current() -> Hindrance:
        return [found for since, found in ((0.0, Hindrance()), *hindrances) if time.now >= since][-1]

    around = Surroundings(time.clock, current, lambda: time.now < dies_at, time.seen.append)
    return Copy(work, buttons, around).run()


def test_disk_goes_first_then_memory() -> None:
    work = Work(memory=4 * GIB, disk=2 * GIB, rate=GIB)
    early, late = figures(work, GIB), figures(work, 3 * GIB)
    assert (early.disk_processed, early.disk_remaining, early.memory_processed) == (GIB, GIB, 0)
    assert (late.disk_remaining, late.memory_processed, late.memory_remaining) == (0, GIB, 3 * GIB)
    assert (early.progress, late.progress) == (0, 25)


def test_a_copy_takes_memory_by_rate() -> None:
    time = Time()
    assert run(Work(4 * GIB, 0, GIB), time, Buttons(time)) is CopyEnd.COMPLETED
    assert time.now == pytest.approx(4.0)
    assert time.seen[-1].memory_remaining == 0
    remaining = [seen.memory_remaining for seen in time.seen]
    assert remaining == sorted(remaining, reverse=True)
    assert len(remaining) >= 8


def test_slow_takes_factor_times_as_long() -> None:
    time = Time()
    assert run(Work(GIB, 0, GIB), time, Buttons(time), (0.0, Hindrance(slower=6.0))) is CopyEnd.COMPLETED
    assert time.now == pytest.approx(6.0)


def test_never_converging_swings_and_ends_by_abort() -> None:
    time = Time()
    stuck = (0.0, Hindrance(converging=False))
    assert run(Work(GIB, 0, GIB), time, Buttons(time, abort_at=30.0), stuck) is CopyEnd.ABORTED
    tail = [seen.memory_remaining / GIB for seen in time.seen[5:]]
    assert all(0.1 <= share <= 0.26 for share in tail)
    assert time.seen[-1].memory_processed > 20 * GIB


def test_never_converging_ends_by_force() -> None:
    time = Time()
    stuck = (0.0, Hindrance(converging=False))
    assert run(Work(GIB, 0, GIB), time, Buttons(time, force_at=10.0), stuck) is CopyEnd.COMPLETED
    assert time.now == pytest.approx(10.0, abs=0.6)
    assert time.seen[-1].memory_remaining == 0


def test_never_converging_ends_when_the_rule_is_cleared() -> None:
    time = Time()
    rules = ((0.0, Hindrance(converging=False)), (12.0, Hindrance()))
    assert run(Work(GIB, 0, GIB), time, Buttons(time), *rules) is CopyEnd.COMPLETED
    assert 12.0 <= time.now < 13.0


def test_hang_stands_still_and_hears_no_button() -> None:
    time = Time()
    rules = ((0.0, Hindrance(frozen_at=0.5)), (20.0, Hindrance()))
    assert run(Work(2 * GIB, 0, GIB), time, Buttons(time, abort_at=5.0), *rules) is CopyEnd.ABORTED
    assert time.now >= 20.0
    assert {seen.memory_processed for seen in time.seen[6:30]} == {GIB}


def test_failure_in_mid_copy() -> None:
    time = Time()
    broken = (0.0, Hindrance(fails_at=0.5))
    assert run(Work(2 * GIB, 0, GIB), time, Buttons(time), broken) is CopyEnd.FAILED
    assert time.now == pytest.approx(1.0, abs=0.51)
    assert time.seen[-1].memory_remaining > 0


def test_a_target_that_dies_fails_the_copy() -> None:
    time = Time()
    assert run(Work(8 * GIB, 0, GIB), time, Buttons(time), dies_at=3.0) is CopyEnd.FAILED


def test_nothing_to_copy_is_done_at_once() -> None:
    time = Time()
    assert run(Work(0, 0, GIB), time, Buttons(time)) is CopyEnd.COMPLETED
    assert time.seen[-1].progress == 100
    assert time.now == 0.0
