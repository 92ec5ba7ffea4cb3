"""The operator's own commands: started, looked at, ended."""

import os
import time
from pathlib import Path

from nodeops.cli.site_command import SiteCommands, Timed, wait_for


def test_it_is_run_by_sh_with_the_server_in_its_environment(tmp_path: Path) -> None:
    told = tmp_path / "told"
    running = SiteCommands().start(
        f'echo "$NODEOPS_SERVER $HOME" > {told}', {"NODEOPS_SERVER": "web; rm -rf /", "HOME": "h"}
    )
    assert wait_for(running, 10) == 0
    assert told.read_text(encoding="utf-8") == "web; rm -rf / h\n"


def test_its_exit_code_is_told() -> None:
    timed = Timed(SiteCommands().start("exit 3", {}), 0.0, 60.0)
    assert wait_for(timed.running, 10) == 3
    assert timed.poll(1.0)
    assert (timed.ok, timed.words) == (False, "exit code 3")


def test_what_takes_too_long_is_ended_with_all_it_has_started() -> None:
    running = SiteCommands().start("sleep 60 & sleep 60", {})
    timed = Timed(running, 0.0, 5.0)
    assert not timed.poll(1.0)
    assert timed.poll(6.0)
    assert (timed.ok, timed.words) == (False, "did not end within 5 s")
    assert not group_lives(running.process.pid)


def test_a_command_that_takes_no_notice_of_sigterm_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    running = SiteCommands(grace=0.2).start(f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done", {})
    deadline = time.monotonic() + 10
    while not ready.exists() and time.monotonic() < deadline:
        os.sched_yield()
    running.end()
    assert running.poll() == -9


def test_a_signal_to_us_is_none_to_it() -> None:
    running = SiteCommands().start("exit 0", {})
    assert os.getsid(running.process.pid) == running.process.pid
    assert wait_for(running, 10) == 0


def group_lives(group: int) -> bool:
    """Whether any process of it is there still; zombies are being reaped by init."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
