"""How operations other than live copies obey the rules, with a clock that moves by waiting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, Rule, Subject
from nodeops.lab.hypervisor.obedience import Obedience, SimulatedFaultError
from nodeops.lab.hypervisor.settings import Settings, write_settings
from nodeops.lab.hypervisor_faults import RuleBook, add_rule, clear_rules

SNAPSHOT = Subject(Operation.SNAPSHOT, "id-1", "web-1", "c01")


@dataclass
class Time:
    """A clock; `later` runs once when its second has come."""

    now: float = 0.0
    later: tuple[float, Callable[[], object]] | None = None
    waits: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        assert self.now < 1000, "the operation does not end"
        if self.later and self.now >= self.later[0]:
            self.later[1]()


def obedience(state_dir: Path, time: Time) -> Obedience:
    return Obedience(state_dir, RuleBook(state_dir), time.clock, time.wait)


def test_without_rules_it_takes_its_own_time(tmp_path: Path) -> None:
    time = Time()
    write_settings(tmp_path, Settings(operation_seconds=0.25))
    obedience(tmp_path, time).perform(SNAPSHOT, {}, 2.0)
    assert time.now == pytest.approx(2.25)


def test_slow_multiplies_and_adds(tmp_path: Path) -> None:
    time = Time()
    add_rule(tmp_path, Rule(Behaviour.SLOW, operation=Operation.SNAPSHOT, factor=3.0, seconds=10.0))
    obedience(tmp_path, time).perform(SNAPSHOT, {}, 2.0)
    assert time.now == pytest.approx(16.0)
    assert max(time.waits) <= 0.5


def test_hang_ends_when_cleared(tmp_path: Path) -> None:
    add_rule(tmp_path, Rule(Behaviour.HANG, operation=Operation.SNAPSHOT, server="web-1"))
    time = Time(later=(30.0, lambda: clear_rules(tmp_path)))
    obedience(tmp_path, time).perform(SNAPSHOT, {}, 1.0)
    assert 30.0 <= time.now < 31.0


@pytest.mark.parametrize(
    ("behaviour", "after"),
    [
        (Behaviour.REFUSE, 0.0),
        (Behaviour.FAIL_BEFORE, 0.0),
        (Behaviour.FAIL_COPY, 2.0),
        (Behaviour.FAIL_AFTER, 2.0),
    ],
)
def test_failures_come_when_they_say(tmp_path: Path, behaviour: Behaviour, after: float) -> None:
    time = Time()
    add_rule(tmp_path, Rule(behaviour, operation=Operation.SNAPSHOT, message="disk is full", times=1))
    obeying = obedience(tmp_path, time)
    with pytest.raises(SimulatedFaultError, match="disk is full"):
        obeying.perform(SNAPSHOT, {}, 2.0)
    assert time.now == pytest.approx(after)
    obeying.perform(SNAPSHOT, {}, 0.0)


def test_a_server_carries_its_own_failure(tmp_path: Path) -> None:
    with pytest.raises(SimulatedFaultError, match="fail-before"):
        obedience(tmp_path, Time()).perform(SNAPSHOT, {"nodeops:behaviour": "fail-before:operation=snapshot"})
