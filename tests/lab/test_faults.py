"""A drain while the APIs and the hosts misbehave: the end is the same, or it is told truly."""

import pytest

from nodeops.lab.api_calls import writes
from tests.lab.bed import Bed

MOVE = ("--action", "os-migrateLive")


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
def test_an_api_fault_does_not_change_the_end(bed: Bed, fault: tuple[str, ...]) -> None:
    names = bed.boot("c01", 2)
    bed.fault("api", *fault)
    result = bed.run("drain", "c01", "--yes", "-o", "json")
    bed.fault("clear")
    if result.code != 0:
        result = bed.run("drain", "c01", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert bed.servers("c01") == {}
    assert set(bed.servers()) >= set(names)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kind", ["drop-before", "drop-after"])
def test_the_nth_write_is_lost_and_the_drain_ends_as_without_it(bed: Bed, kind: str, number: int) -> None:
    names = bed.boot("c01", 2)
    bed.fault("api", kind, "--method", "write", "--nth", str(number))
    with bed.listening() as calls:
        first = bed.run("drain", "c01", "--yes", "-o", "json")
        last = first if first.code == 0 else bed.run("drain", "c01", "--yes", "-o", "json")
    assert last.code == 0, first.err + last.err
    assert bed.servers("c01") == {}
    assert set(bed.servers()) >= set(names)
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
