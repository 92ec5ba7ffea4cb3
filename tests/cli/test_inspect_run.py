"""`nodeops inspect` from the question to the guest that runs again, on a host in memory."""

import hashlib
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.cli.inspect_run import Inspection, Task
from nodeops.cli.main import Signalled
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.errors import FailedError, NotVerifiedError, UsageError
from nodeops.runbooks.inspect import InspectOptions
from tests.cli.fake_desk import FakeDesk, told
from tests.fake_looks import CONTENT, FakeLooker

GO = Manner(yes=True, output=Format.JSON)
DRY = Manner(dry_run=True, output=Format.JSON)
CONSENT = InspectOptions(consent="Ann, ticket 4711")
INTERRUPTED = 128 + signal.SIGINT


def look(desk: FakeDesk, looker: FakeLooker, task: Task, manner: Manner = GO) -> None:
    server = desk.fake.nova.servers["s01"]
    Inspection(desk, manner, lambda _shell: looker, lambda _desk, _word: server).run("s01", CONSENT, task)


def copying(folder: Path) -> Task:
    folder.mkdir()
    return Task(copied=("/var/log/syslog",), to=folder)


def runs(desk: FakeDesk) -> list[tuple[str, int | None]]:
    return [(str(run.state), run.exit_code) for run in desk.journal().runs()]


def test_a_directory_is_listed_and_all_is_taken_down(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    looker = FakeLooker()
    look(desk, looker, Task(listed="/var/log"))
    assert looker.calls == ["begin", "entries s01 p1:/var/log", "end"]
    document = told(capsys)
    assert [entry["name"] for entry in document["entries"]] == ["syslog"]
    assert document["guest"]["after"] == "running"
    assert runs(desk) == [("finished", 0)]


def test_a_dry_run_opens_nothing(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    looker = FakeLooker()
    look(desk, looker, Task(listed="/var/log"), DRY)
    assert looker.calls == []
    assert [step["id"] for step in told(capsys)["steps"]][-1] == "close-disk:s01"
    assert runs(desk) == []


def test_the_table_is_of_what_is_in_the_directory(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    look(desk, FakeLooker(), Task(listed="/var/log"), replace(GO, output=Format.TABLE))
    shown = capsys.readouterr()
    assert "syslog" in shown.out
    assert "taken down; the guest was running and is running" in shown.err


def test_a_file_is_copied_for_nobody_else_to_read(
    desk: FakeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    look(desk, FakeLooker(), copying(tmp_path / "evidence"))
    file = tmp_path / "evidence" / "syslog"
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o600
    copied: Any = json.loads(capsys.readouterr().out)["copied"]
    assert copied[0]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_signal_leaves_no_half_file_and_a_finished_run(desk: FakeDesk, tmp_path: Path) -> None:
    looker = FakeLooker(cut="read")
    with pytest.raises(Signalled):
        look(desk, looker, copying(tmp_path / "evidence"))
    assert list((tmp_path / "evidence").iterdir()) == []
    assert looker.calls[-1] == "end"
    assert runs(desk) == [("finished", INTERRUPTED)]


def test_a_signal_while_it_is_opened_ends_it_at_once(desk: FakeDesk) -> None:
    looker = FakeLooker(cut="begin")
    with pytest.raises(Signalled):
        look(desk, looker, Task(listed="/"))
    assert looker.calls == ["begin", "end"]
    assert runs(desk) == [("finished", INTERRUPTED)]


def test_what_came_out_differently_is_not_kept(desk: FakeDesk, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="came out differently"):
        look(desk, FakeLooker(content=CONTENT.upper()), copying(tmp_path / "evidence"))
    assert list((tmp_path / "evidence").iterdir()) == []


def test_a_file_that_is_there_is_not_touched(desk: FakeDesk, tmp_path: Path) -> None:
    task = copying(tmp_path / "evidence")
    file = tmp_path / "evidence" / "syslog"
    file.write_text("mine")
    with pytest.raises(FailedError, match="exists already"):
        look(desk, FakeLooker(), task)
    assert file.read_text() == "mine"


def test_a_look_that_the_host_ended_is_told(desk: FakeDesk) -> None:
    with pytest.raises(NotVerifiedError, match="the look ended early: the guest was started"):
        look(desk, FakeLooker(ends_with="the guest was started"), Task(listed="/"))
    assert runs(desk) == [("finished", NotVerifiedError.exit_code)]


def test_a_server_on_no_host_has_no_disk(desk: FakeDesk) -> None:
    desk.fake.nova.change("s01", host=None)
    with pytest.raises(UsageError, match="is on no host"):
        look(desk, FakeLooker(), Task(listed="/"))
