"""The lock of a host among real processes: one of many gets it, and a killed one does not keep it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodeops.engine.journal import Journal, RunState, Who
from nodeops.engine.lock import Heartbeat, alive, this_process
from nodeops.errors import HostBusyError
from tests.unit.engine.plans import CLOUD, disable, drain, live

PLAN = drain(disable(), live("s1"))
WHO = Who("ann", "desk", "admin", "nodeops drain c01")
ROOT = Path(__file__).resolve().parents[3]

HOLDER = """
import sys
from nodeops.engine.journal import Journal
from nodeops.errors import HostBusyError
from tests.unit.engine.test_lock import PLAN, WHO
sys.stdin.readline()
try:
    record = Journal.open(sys.argv[1]).begin(PLAN, WHO)
except HostBusyError as error:
    print("busy", error.message, flush=True)
else:
    print("held", record.id, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_of_many_at_once_one_gets_the_host(url: str) -> None:
    Journal.open(url).close()
    processes = [start(url) for _ in range(5)]
    try:
        for process in processes:
            tell(process)
        answers = [answer(process) for process in processes]
    finally:
        for process in processes:
            stop(process)
    assert sorted(each[0] for each in answers) == ["busy"] * 4 + ["held"]
    held = next(each[1] for each in answers if each[0] == "held")
    assert all(held in each for each in answers)


def test_of_many_on_a_new_journal_too(url: str) -> None:
    processes = [start(url) for _ in range(3)]
    try:
        for process in processes:
            tell(process)
        answers = [answer(process)[0] for process in processes]
    finally:
        for process in processes:
            stop(process)
    assert sorted(answers) == ["busy", "busy", "held"]


def test_a_killed_process_does_not_keep_the_host(url: str) -> None:
    process = start(url)
    tell(process)
    run_id = answer(process)[1]
    journal = Journal.open(url)
    try:
        with pytest.raises(HostBusyError, match=f"pid {process.pid}"):
            journal.begin(PLAN, WHO)
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(HostBusyError):
            journal.begin(PLAN, WHO)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        unfinished = journal.unfinished(CLOUD, "c01")
        assert unfinished is not None
        assert (unfinished.id, unfinished.state, unfinished.owner_alive) == (run_id, RunState.RUNNING, False)
        record = journal.begin(PLAN, WHO)
        assert (record.id, record.resumed) == (run_id, True)
        record.leave(0, "")
    finally:
        stop(process)
        journal.close()


def test_a_pid_used_again_is_not_the_owner() -> None:
    owner = this_process()
    assert alive(owner, silent_for=1e9)
    reused = type(owner)(owner.user, owner.machine, owner.place, owner.pid, "1", owner.token)
    assert not alive(reused, silent_for=0)


def test_a_heartbeat_beats_until_told_otherwise() -> None:
    beats: list[int] = []

    def beat() -> bool:
        beats.append(1)
        return len(beats) < 3

    heartbeat = Heartbeat(beat, every=0.001)
    heartbeat.start()
    heartbeat._thread.join(5)
    heartbeat.stop()
    assert len(beats) == 3
