"""Clues are gathered side by side, and what hangs is not waited for."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Barrier, Event

import pytest

from nodeops.errors import ApiError, UnknownHostError
from nodeops.gather.inquest import Patience, gather_clues
from nodeops.model.senses import Clues, Heard, Power, PowerReading
from tests.fake_senses import SILENT, FakeSenses
from tests.fake_world import FakeWorld, small_cloud

HURRY = Patience(limit=30.0, sleep=lambda _seconds: None)


class Hanging(FakeSenses):
    """Its ping never comes back, until the test ends."""

    def __init__(self) -> None:
        super().__init__([Power.OFF])
        self.end = Event()

    def ping(self, host: str) -> Heard:  # noqa: ARG002 - all are alike
        self.end.wait()
        return SILENT


@pytest.fixture
def world() -> FakeWorld:
    return small_cloud()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    senses = Hanging()
    yield senses
    senses.end.set()


def clues_of(world: FakeWorld, senses: FakeSenses, patience: Patience = HURRY) -> Clues:
    return gather_clues(world, senses, "c01", world.nova.clock.now, patience=patience)


def test_everything_is_asked_once(world: FakeWorld) -> None:
    told: list[str] = []
    clues = gather_clues(
        world, FakeSenses(), "c01", lambda: 7.0, told=lambda source, _: told.append(source), patience=HURRY
    )
    assert sorted(told) == ["cloud", "hook", "libvirt", "ping", "power", "ssh"]
    assert clues.at == 7.0
    assert clues.service is not None
    assert clues.powers == ()
    assert clues.agents is not None
    assert {port.host for port in clues.ports or ()} <= {"c01"}
    assert clues.silent == {}


def test_all_are_asked_at_the_same_time(world: FakeWorld) -> None:
    meeting = Barrier(3, timeout=20)

    class Meeting(FakeSenses):
        def power(self, host: str) -> PowerReading | None:
            meeting.wait()
            return super().power(host)

        def ping(self, host: str) -> Heard:
            meeting.wait()
            return super().ping(host)

        def ssh(self, host: str) -> Heard:
            meeting.wait()
            return super().ssh(host)

    assert clues_of(world, Meeting()).silent == {}


def test_one_that_hangs_is_left_behind_and_named(world: FakeWorld, hanging: Hanging) -> None:
    clues = clues_of(world, hanging, replace(HURRY, limit=1.0))
    assert clues.silent["ping"] == "no answer within 1 s"
    assert clues.ping is None
    assert clues.powers is not None


def test_power_that_is_off_is_looked_at_twice_some_time_apart(world: FakeWorld) -> None:
    slept: list[float] = []
    clues = clues_of(world, FakeSenses([Power.OFF, Power.ON]), replace(HURRY, apart=2.0, sleep=slept.append))
    assert [each.state for each in clues.powers or ()] == [Power.OFF, Power.ON]
    assert slept == [2.0]


def test_power_that_is_on_is_asked_once(world: FakeWorld) -> None:
    clues = clues_of(world, FakeSenses([Power.ON]))
    assert [each.state for each in clues.powers or ()] == [Power.ON]


def test_a_service_of_the_cloud_that_is_missing_is_a_missing_clue(world: FakeWorld) -> None:
    class Blind(FakeWorld):
        def agents_on(self, host: str) -> tuple[()]:
            raise ApiError(f"neutron: 503 for {host}")

    clues = clues_of(Blind(world.nova), FakeSenses())
    assert clues.agents is None
    assert clues.silent == {"network-agent": "neutron: 503 for c01"}
    assert clues.ports is not None


def test_a_host_that_does_not_exist(world: FakeWorld) -> None:
    with pytest.raises(UnknownHostError):
        gather_clues(world, FakeSenses(), "c99", lambda: 0.0)


def test_a_mistake_in_a_sense_is_no_silence(world: FakeWorld) -> None:
    class Broken(FakeSenses):
        def ssh(self, host: str) -> Heard:
            raise ZeroDivisionError(host)

    with pytest.raises(ZeroDivisionError):
        clues_of(world, Broken())
