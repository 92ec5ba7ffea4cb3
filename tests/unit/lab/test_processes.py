"""The lab's processes, with real ones that sleep."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops.errors import FailedError
from nodeops.lab import processes
from nodeops.lab.layout import LOOPBACK, Layout
from nodeops.lab.processes import Program, alive, end_orphans, end_strays, ensure, orphans, stop, strays

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
FORK = [sys.executable, "-c", "import os, time; os.fork(); time.sleep(600)"]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path, "east", 20_000, "secret")
    for directory in (layout.logs, layout.run):
        directory.mkdir()
    yield layout
    end_strays(layout.root)


@pytest.fixture
def orphan(layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """What an interrupted command leaves: a process with the lab's mark that is written down nowhere."""
    process = subprocess.Popen(
        SLEEP, env={**os.environ, **processes.clean_environment(layout)}, start_new_session=True
    )
    yield process
    process.kill()
    process.wait()


def pid_of(layout: Layout, name: str) -> int:
    return int(json.loads((layout.run / f"{name}.json").read_text())["pid"])


def test_a_program_is_started_once(layout: Layout) -> None:
    program = Program("sleeper", SLEEP)
    assert ensure(layout, program)
    pid = pid_of(layout, "sleeper")
    assert not ensure(layout, program)
    assert pid_of(layout, "sleeper") == pid
    assert alive(layout, "sleeper")


def test_a_dead_program_is_started_again(layout: Layout) -> None:
    program = Program("sleeper", SLEEP)
    ensure(layout, program)
    os.kill(pid_of(layout, "sleeper"), signal.SIGKILL)
    assert processes._until(lambda: not alive(layout, "sleeper"), 5)
    assert ensure(layout, program)
    assert alive(layout, "sleeper")


def test_a_changed_configuration_starts_it_again(layout: Layout) -> None:
    configuration = layout.root / "x.conf"
    configuration.write_text("one")
    program = Program("sleeper", SLEEP, files=[configuration])
    ensure(layout, program)
    pid = pid_of(layout, "sleeper")
    configuration.write_text("two")
    assert ensure(layout, program)
    assert pid_of(layout, "sleeper") != pid
    assert processes.start_time(pid) is None


def test_stop_ends_the_children_too(layout: Layout) -> None:
    ensure(layout, Program("family", FORK))
    pid = pid_of(layout, "family")
    assert processes._until(lambda: len(processes._group(pid)) == 2, 5)
    stop(layout, "family")
    assert processes._group(pid) == []
    assert not (layout.run / "family.json").exists()


def test_what_ignores_sigterm_is_killed(layout: Layout) -> None:
    words = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    ensure(layout, Program("stubborn", [sys.executable, "-c", words]))
    assert processes._until(lambda: (layout.logs / "stubborn.out").stat().st_size > 0, 5)
    stop(layout, "stubborn", seconds=0.1)
    assert not alive(layout, "stubborn")


def test_a_stranger_with_the_recorded_pid_is_left_alone(layout: Layout) -> None:
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    record = {"pid": stranger.pid, "started": 1, "fingerprint": "x"}
    (layout.run / "sleeper.json").write_text(json.dumps(record))
    assert not alive(layout, "sleeper")
    stop(layout, "sleeper")
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_record_of_what_died_at_once_is_not_alive(layout: Layout) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record = {"pid": gone.pid, "started": None, "fingerprint": "x"}
    (layout.run / "sleeper.json").write_text(json.dumps(record))
    assert not alive(layout, "sleeper")


def test_strays_are_found_by_the_mark_alone(layout: Layout, orphan: subprocess.Popen[bytes]) -> None:
    ensure(layout, Program("sleeper", SLEEP))
    (layout.run / "sleeper.json").rename(layout.run / "lost")
    assert len(strays(layout.root)) == 2
    assert strays(layout.root / "other") == []
    assert end_strays(layout.root) == 2
    assert orphan.wait(5) == -signal.SIGTERM


def test_orphans_end_and_recorded_programs_live_on(layout: Layout, orphan: subprocess.Popen[bytes]) -> None:
    ensure(layout, Program("family", FORK))
    pid = pid_of(layout, "family")
    assert processes._until(lambda: len(processes._group(pid)) == 2, 5)
    assert orphans(layout.root, [orphan.pid]) == []
    assert end_orphans(layout.root) == 1
    assert orphan.wait(5) == -signal.SIGTERM
    assert len(processes._group(pid)) == 2


def test_a_program_whose_port_is_taken_is_not_started(layout: Layout) -> None:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(FailedError, match=f"another process has port {port}"):
            ensure(layout, Program("sleeper", SLEEP, port=port))
    assert processes.recorded(layout) == []


def test_a_program_that_ends_at_once_is_told_with_its_last_words(layout: Layout) -> None:
    program = Program("short", [sys.executable, "-c", "raise SystemExit('no such database')"], port=1)
    ensure(layout, program)
    with pytest.raises(FailedError, match=r"short of the lab ended: no such database"):
        processes.await_port(layout, program, 10)


def test_the_callers_cloud_and_python_stay_outside(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OS_CLOUD", "PYTHONPATH", "VIRTUAL_ENV", "RABBITMQ_NODENAME", "MYSQL_PWD"):
        monkeypatch.setenv(name, "x")
    environment = processes.clean_environment(layout)
    assert "x" not in environment.values()
    assert environment[processes.MARK] == str(layout.root)
