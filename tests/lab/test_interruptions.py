"""Ctrl-C, kill -9, a second operator: nothing is lost, nothing is done twice."""

import signal
import subprocess
import time
from collections import Counter

import pytest

from nodeops.lab.api_calls import Call, calls_since, mark, writes
from tests.lab.bed import Bed, kill

SERVERS = 3


def moves(calls: list[Call]) -> Counter[str]:
    """Count what was asked of Nova, by server and action."""
    return Counter(f"{call.path} {call.action}" for call in writes(calls) if call.action)


def until_moving(bed: Bed, begin: int, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until this many moves were sent."""

    def sent() -> bool:
        assert process.poll() is None, process.communicate()
        return len([c for c in calls_since(bed.root, begin) if c.action == "os-migrateLive"]) >= count

    bed.until(sent)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_starts_nothing_new_and_the_run_is_resumed(bed: Bed, number: signal.Signals) -> None:
    names = bed.boot("c01", SERVERS, flavor="m1.small")
    bed.fault("host", "slow", "--factor", "3")
    begin = mark(bed.root)
    process = bed.start("drain", "c01", "--yes", "--parallel", "1")
    until_moving(bed, begin, 1, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out + err
    assert "nodeops resume" in err
    sent = len([call for call in calls_since(bed.root, begin) if call.action == "os-migrateLive"])
    time.sleep(3)
    assert len([c for c in calls_since(bed.root, begin) if c.action == "os-migrateLive"]) == sent
    bed.fault("clear")
    run = err.split("nodeops resume ")[1].split()[0].strip("`.,")
    resumed = bed.run("resume", run, "--yes", "-o", "json")
    assert resumed.code == 0, resumed.err
    assert resumed.verdicts() == dict.fromkeys(names, "MOVED")
    assert bed.servers("c01") == {}


@pytest.mark.parametrize("moves_sent", [0, 1, 2])
def test_kill_9_at_any_time_and_the_same_command_again_finishes(bed: Bed, moves_sent: int) -> None:
    names = bed.boot("c01", SERVERS)
    begin = mark(bed.root)
    process = bed.start("drain", "c01", "--yes", "--no-canary")
    if moves_sent:
        until_moving(bed, begin, moves_sent, process)
    else:
        bed.until(lambda: bool(calls_since(bed.root, begin)))
    kill(process)
    again = bed.run("drain", "c01", "--yes", "-o", "json")
    assert again.code == 0, again.err
    assert set(again.verdicts().values()) <= {"MOVED"}
    assert bed.servers("c01") == {}
    assert set(bed.servers()) >= set(names)
    assert [key for key, times in moves(calls_since(bed.root, begin)).items() if times > 1] == []


def test_a_second_operator_is_told_who_holds_the_host(bed: Bed) -> None:
    bed.boot("c01", 2, flavor="m1.small")
    bed.fault("host", "slow", "--factor", "4")
    begin = mark(bed.root)
    first = bed.start("drain", "c01", "--yes")
    until_moving(bed, begin, 1, first)
    second = bed.run("drain", "c01", "--yes")
    assert second.code == 7, second.err
    assert "since" in second.err
    bed.fault("clear")
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
