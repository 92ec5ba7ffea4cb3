"""The judgement of a run waits for what goes away by itself, and not for ever."""

from dataclasses import dataclass

import pytest

from nodeops.cli.perform import SETTLE_LOOKS, Judgement, judge_settled
from nodeops.outcome import ServerResult
from nodeops.plan import Finding, Level, Verdict


@dataclass
class Clock:
    slept: float = 0.0

    def now(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@dataclass
class Judge:
    """Finds something wrong so many times, of the server or of the host."""

    code: str
    times: int
    of_host: bool = False
    looks: int = 0

    def __call__(self) -> Judgement:
        self.looks += 1
        finding = Finding(Level.ERROR, self.code, "server web01: it is so", "", "web")
        found = (finding,) if self.looks <= self.times else ()
        server = ServerResult(
            "web", "web01", "live-migrate", Verdict.MOVED, findings=() if self.of_host else found
        )
        return (server,), found if self.of_host else ()


@pytest.mark.parametrize(
    ("code", "of_host"), [("port-down", False), ("migrations-running", True), ("ports-coming-up", True)]
)
def test_what_goes_away_by_itself_is_waited_for(code: str, *, of_host: bool) -> None:
    judge, clock = Judge(code, 3, of_host), Clock()
    servers, findings = judge_settled(judge, clock)
    assert (servers[0].findings, findings) == ((), ())
    assert (judge.looks, clock.slept > 0) == (4, True)


def test_what_stays_is_told_in_the_end() -> None:
    judge = Judge("port-down", 1000)
    servers, _ = judge_settled(judge, Clock())
    assert [finding.code for finding in servers[0].findings] == ["port-down"]
    assert judge.looks == SETTLE_LOOKS + 1


def test_what_does_not_go_away_is_told_at_once() -> None:
    judge, clock = Judge("lock-changed", 1000), Clock()
    judge_settled(judge, clock)
    assert (judge.looks, clock.slept) == (1, 0.0)
