"""A drain while the APIs and the hosts misbehave: the end is the same, or it is told truly."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nodeops.lab.api_calls import writes
from tests.lab.bed import Bed, Result

MOVE = ("--action", "os-migrateLive")


@dataclass(frozen=True)
class Pair:
    """Two ACTIVE servers on one host, to be moved to another."""

    bed: Bed
    names: list[str]
    here: str
    there: str

    def drain(self) -> Result:
        return self.bed.run("drain", self.here, "--to", self.there, "--yes", "-o", "json")

    def arrived(self) -> bool:
        """Whether both run at the other host, and no server is at the first."""
        found = self.bed.servers()
        states = [(found[name]["status"], found[name]["OS-EXT-SRV-ATTR:host"]) for name in self.names]
        return states == [("ACTIVE", self.there)] * 2 and not self.bed.servers(self.here)


@pytest.fixture
def pair(lab_bed: Bed, tmp_path: Path) -> Iterator[Pair]:
    """The two that the test before moved, if it left them whole; else new ones."""
    bed = replace(lab_bed, state=tmp_path)
    bed.clear()
    found = bed.servers()
    stand = {
        (server["status"], server["OS-EXT-STS:task_state"], server["OS-EXT-SRV-ATTR:host"])
        for server in found.values()
    }
    here = "c01"
    if len(found) == 2 and stand in ({("ACTIVE", None, "c01")}, {("ACTIVE", None, "c02")}):
        ((_, _, here),) = stand
        bed.enable_all()
    else:
        bed.whole()
        bed.boot(here, 2)
    yield Pair(bed, sorted(bed.servers()), here, "c02" if here == "c01" else "c01")
    bed.clear()


@pytest.mark.parametrize(
    "fault",
    [
        ("latency", "1s", "--probability", "0.3"),
        ("status", "500", "--method", "GET", "--times", "2"),
        ("status", "503", "--method", "GET", "--times", "2"),
        ("status", "503", "--probability", "0.1", "--method", "GET"),
        ("status", "409", *MOVE, "--times", "1"),
        ("status", "500", *MOVE, "--times", "1"),
        ("status-after", "502", *MOVE, "--times", "1"),
        ("drop-before", *MOVE, "--times", "1"),
        ("drop-after", *MOVE, "--times", "1"),
        ("drop-before", "--method", "GET", "--probability", "0.1"),
        ("drop-after", "--path", "os-services/*", "--method", "PUT", "--times", "1"),
        ("expired-token", "--nth", "12"),
    ],
    ids=" ".join,
)
def test_an_api_fault_does_not_change_the_end(pair: Pair, fault: tuple[str, ...]) -> None:
    pair.bed.fault("api", *fault)
    result = pair.drain()
    pair.bed.clear()
    if result.code != 0:
        result = pair.drain()
    assert result.code == 0, result.err
    assert pair.arrived()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kind", ["drop-before", "drop-after"])
def test_the_nth_write_is_lost_and_the_drain_ends_as_without_it(pair: Pair, kind: str, number: int) -> None:
    pair.bed.fault("api", kind, "--method", "write", "--nth", str(number))
    with pair.bed.listening() as calls:
        first = pair.drain()
        last = first if first.code == 0 else pair.drain()
    assert last.code == 0, first.err + last.err
    assert pair.arrived()
    done = [call.path for call in writes(calls) if call.action and call.forwarded == 202]
    assert len(done) == len(set(done)), "a move was made twice"


def test_a_target_that_refuses_is_replaced(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    target = bed.run("drain", "c01", "--dry-run", "-o", "json").server(names[0])["target"]
    bed.fault("host", "refuse", "--target", target)
    result = bed.run("drain", "c01", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert target not in bed.hosts_of(names).values()


def test_a_move_that_breaks_once_is_tried_again(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    bed.fault("host", "fail-copy", "--server", names[0], "--times", "1")
    result = bed.run("drain", "c01", "--yes", "-o", "json")
    assert result.code == 0, result.err


def test_a_move_that_always_breaks_is_rolled_back_with_novas_words(bed: Bed) -> None:
    good, bad = bed.boot("c01", 2)
    bed.fault("host", "fail-copy", "--server", bad)
    result = bed.run("drain", "c01", "--yes", "--retries", "1", "-o", "json")
    assert result.code == 11, result.err
    assert result.verdicts() == {good: "MOVED", bad: "ROLLED BACK"}
    assert result.server(bad)["reason"]
    assert bed.servers()[bad]["status"] == "ACTIVE"


def test_a_migration_that_never_converges_is_aborted_within_its_budget(bed: Bed) -> None:
    good, stuck = bed.boot("c01", 2)
    bed.fault("host", "never-converge", "--server", stuck)
    result = bed.run("drain", "c01", "--yes", "--retries", "0", "--rate", "2G", "-o", "json")
    assert result.code == 11, result.err
    assert result.verdicts() == {good: "MOVED", stuck: "ROLLED BACK"}


def test_a_migration_that_never_converges_is_forced_when_told_so(bed: Bed) -> None:
    names = bed.boot("c01", 1)
    bed.fault("host", "never-converge", "--server", names[0])
    result = bed.run("drain", "c01", "--yes", "--on-stuck", "force-complete", "--rate", "2G", "-o", "json")
    assert result.code == 0, result.err
    assert result.verdicts() == {names[0]: "MOVED"}


def test_a_split_is_called_a_split(bed: Bed) -> None:
    good, split = bed.boot("c01", 2)
    bed.fault("host", "split", "--server", split)
    result = bed.run("drain", "c01", "--yes", "--retries", "0", "-o", "json")
    assert result.code in {11, 12}, result.err
    assert result.verdicts() == {good: "MOVED", split: "SPLIT"}
