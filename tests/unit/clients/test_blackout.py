"""What is said of guests that were pinged, or asked for, while they moved."""

from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import pytest

from nodeops.clients.blackout import LINGER_SECONDS, PingProbe, downtime, ping_addresses
from nodeops.clients.compute_json import addresses
from nodeops.clients.ping import INTERVAL, Heard
from nodeops.events import StepEnded, StepSent
from nodeops.model.blackout import Blackout, Figures, Way, figures_of
from nodeops.model.facts import Flavor, Server
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Risk, Step, StepId

ADDRESS = "192.0.2.7"
STEP = Step(
    id=StepId("live-migrate:s1"),
    action="live-migrate",
    subject_id="s1",
    subject_name="web-1",
    why="",
    risk=Risk.LIVE,
    source="c01",
    target="c02",
)
DONE = StepResult(STEP.id, "s1", "live-migrate", StepState.DONE, target="c02")
SERVER = Server("s1", "web-1", "c01", "c01", "ACTIVE", "active", None, 1, Flavor("tiny", 1, 128, 1))


@dataclass
class FakePinger:
    """Answers when told to, by a clock that goes on when somebody sleeps."""

    now: float = 100.0
    answers_at: list[float] = field(default_factory=list)
    """Answers that are still to come."""
    trouble: str = ""
    active: set[str] = field(default_factory=set)
    ended: bool = False
    told: Heard = field(default_factory=Heard)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = True

    def begin(self, address: str) -> None:
        self.active.add(address)

    def end(self, address: str) -> None:
        self.active.discard(address)

    def heard(self, address: str) -> Heard:
        assert address == ADDRESS
        while self.answers_at and self.answers_at[0] <= self.now:
            self.told.answered(self.answers_at.pop(0))
        self.told.trouble = self.trouble
        return self.told

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def moved(pinger: FakePinger, seconds: float = 10.0) -> Blackout:
    probe = PingProbe({"s1": ADDRESS}, {}, pinger=pinger, clock=pinger.clock, sleep=pinger.sleep)
    with probe:
        probe(StepSent(STEP, "req-1", 1, 0.0))
        assert pinger.active == {ADDRESS}
        pinger.now += seconds
        probe(StepEnded(STEP, DONE, 0.0))
    assert pinger.active == set()
    assert pinger.ended
    return probe.blackouts()["s1"]


def test_the_longest_time_without_an_answer_is_measured() -> None:
    steady = [100 + INTERVAL * number for number in range(1, 60)]
    after = [steady[-1] + 0.3 + INTERVAL * number for number in range(1, 400)]
    found = moved(FakePinger(answers_at=[*steady, *after]))
    assert found.seconds == pytest.approx(0.3, abs=0.001)
    assert not found.silent


def test_the_first_answer_after_the_move_ends_the_blackout() -> None:
    pinger = FakePinger(answers_at=[101.0, 112.0])
    assert moved(pinger).seconds == pytest.approx(11.0 - INTERVAL)
    assert pinger.now == pytest.approx(112.0, abs=0.1), "nobody waits longer than that"


def test_one_that_never_answers_is_said_so_and_not_waited_for() -> None:
    pinger = FakePinger()
    assert moved(pinger) == Blackout(Way.PING, None, f"{ADDRESS} does not answer a ping")
    assert pinger.now == 110.0


def test_one_that_cannot_be_pinged_is_said_why() -> None:
    found = moved(FakePinger(trouble="operation not permitted"))
    assert found.words == f"{ADDRESS} cannot be pinged: operation not permitted"


def test_one_that_is_silent_after_its_move_is_told_apart() -> None:
    pinger = FakePinger(answers_at=[101.0, 102.0])
    found = moved(pinger)
    assert (found.seconds, found.silent) == (None, True)
    assert pinger.now == pytest.approx(110.0 + LINGER_SECONDS, abs=0.2), "the wait is bounded"


def test_one_that_answers_only_afterwards_has_no_figure() -> None:
    late = FakePinger(answers_at=[109.99])
    late.answers_at.append(110.2)
    assert moved(late).seconds is not None
    none_before = FakePinger()
    probe = PingProbe(
        {"s1": ADDRESS}, {}, pinger=none_before, clock=none_before.clock, sleep=none_before.sleep
    )
    with probe:
        probe(StepSent(STEP, "req-1", 1, 0.0))
        probe(StepEnded(STEP, DONE, 0.0))
        none_before.told.answered(none_before.now + 1)
    assert probe.blackouts()["s1"].words == f"{ADDRESS} answered only after its move"


def test_only_live_moves_are_measured_and_those_without_address_are_named() -> None:
    pinger = FakePinger()
    probe = PingProbe({}, {"s1": "it has no address"}, pinger=pinger)
    probe(StepSent(replace(STEP, action="cold-migrate"), "", 1, 0.0))
    assert probe.blackouts() == {}
    probe(StepSent(STEP, "", 1, 0.0))
    assert probe.blackouts() == {"s1": Blackout(Way.PING, None, "it has no address")}


def test_an_address_that_two_servers_have_is_nobody_s() -> None:
    one = replace(SERVER, addresses=("192.0.2.7", "198.51.100.7"))
    two = replace(SERVER, id="s2", addresses=("192.0.2.7",))
    three = replace(SERVER, id="s3", addresses=("192.0.2.8",))
    four = replace(SERVER, id="s4")
    chosen, words = ping_addresses((one, two, three, four))
    assert chosen == {"s3": "192.0.2.8"}
    assert words == {
        "s1": "several servers have 192.0.2.7",
        "s2": "several servers have 192.0.2.7",
        "s4": "it has no address",
    }


def test_floating_addresses_come_first() -> None:
    fixed = {"addr": "10.0.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"}
    sixth = {"addr": "2001:db8::5", "version": 6, "OS-EXT-IPS:type": "fixed"}
    floating = {"addr": "203.0.113.5", "version": 4, "OS-EXT-IPS:type": "floating"}
    assert addresses({"a": [sixth, fixed], "b": [floating]}) == ("203.0.113.5", "10.0.0.5", "2001:db8::5")


def test_libvirt_s_downtime_is_read() -> None:
    printed = "Job type:         Completed\nTotal downtime:   222          ms\nDowntime w/o network: 220 ms\n"
    assert downtime(printed, "c02") == Blackout(Way.LIBVIRT, 0.222)
    assert downtime("Job type:         None\n", "c02").words == "libvirt of c02 does not tell it"


def test_figures_are_of_those_that_were_measured() -> None:
    found = figures_of([Blackout(Way.PING, each) for each in (0.2, 0.4, None, 0.3)])
    assert found == Figures(Way.PING, 3, 1, 0.3, 0.4)
    assert figures_of([]) is None
