"""`nodeops watch` on the simulated Nova."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeops.cli.desk import Desk
from nodeops.cli.globals import Globals
from nodeops.cli.watching import Watcher, Wish
from nodeops.engine.signals import Stop
from nodeops.errors import (
    ApiError,
    ErrorStateError,
    GoneError,
    InterruptedRunError,
    TimedOutError,
    UnknownServerError,
)
from nodeops.model.following import ImageProgress
from nodeops.model.tracking import condition
from tests.fake_nova import FakeNova
from tests.fake_states import FakeStates


@pytest.fixture
def nova() -> FakeNova:
    nova = FakeNova()
    nova.add_host("c01")
    nova.add_host("c02")
    nova.add_server("s1", "c01")
    nova.add_server("s2", "c01")
    return nova


@pytest.fixture
def states(nova: FakeNova) -> FakeStates:
    return FakeStates(nova)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(Globals(journal=f"sqlite:///{tmp_path / 'journal.db'}")) as desk:
        yield desk


def watch(desk: Desk, states: FakeStates, *words: str, **wish: Any) -> None:
    until = tuple(map(condition, wish.pop("until", ())))
    with Stop().listening() as stop:
        Watcher(desk, Wish(words, until=until, **wish), states, states.nova.clock, stop).run()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def image_of(nova: FakeNova, server: str) -> None:
    """Through the task states of an image, as Nova sets them."""
    nova.at(1.5, lambda: nova.change(server, task_state="image_snapshot"))
    nova.at(4.5, lambda: nova.change(server, task_state="image_pending_upload"))
    nova.at(6.5, lambda: nova.change(server, task_state="image_uploading"))
    nova.at(16.5, lambda: nova.change(server, task_state=None))


def test_each_change_is_a_line_and_the_end_has_the_times(
    desk: Desk, states: FakeStates, nova: FakeNova, capsys: pytest.CaptureFixture[str]
) -> None:
    image_of(nova, "s1")
    watch(desk, states, "s1", until=["task=image_uploading"])
    watch(desk, states, "s1", until=["task=none"])
    shown = capsys.readouterr().out
    assert "task_state: none → image_snapshot" in shown
    assert "task_state: image_snapshot → image_pending_upload" in shown
    assert "image_uploading 10.0 s" in shown
    assert shown.count("image_snapshot →") == 1


def test_json_is_one_object_a_line_with_the_end_last(
    desk: Desk, states: FakeStates, nova: FakeNova, capsys: pytest.CaptureFixture[str]
) -> None:
    image_of(nova, "s1")
    states.image_list.append(ImageProgress("s1", "backup", "saving"))
    watch(desk, states, "s1", until=["task=image_uploading"], json=True)
    watch(desk, states, "s1", until=["task=none"], json=True)
    found = lines(capsys)
    assert [line["event"] for line in found if line["event"] != "progress"] == [
        "seen", "changed", "changed", "changed", "end", "seen", "changed", "end",
    ]  # fmt: skip
    assert found[1]["before"] == {"task_state": "none"}
    assert found[1]["task_state"] == "image_snapshot"
    assert any(line.get("words") == "image backup is saving" for line in found)
    end = found[-1]
    assert end["exit_code"] == 0
    assert end["servers"][0]["totals"]["image_uploading"] == 10.0


def test_every_shows_each_look_as_the_article_does(
    desk: Desk, states: FakeStates, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TimedOutError):
        watch(desk, states, "s1", every=True, timeout=3.0)
    shown = capsys.readouterr().out
    assert shown.count("status: ACTIVE   vm_state: active   task_state: none   power_state: RUNNING") == 4


def test_five_hundred_servers_are_one_list_call_a_tick(
    desk: Desk, states: FakeStates, nova: FakeNova
) -> None:
    for number in range(500):
        nova.add_server(f"n{number}", "c02")
    with pytest.raises(TimedOutError):
        watch(desk, states, host="c02", timeout=20.0)
    assert states.calls == ["on", *["changed"] * 20]


def test_a_drained_host_is_waited_for(
    desk: Desk, states: FakeStates, nova: FakeNova, capsys: pytest.CaptureFixture[str]
) -> None:
    nova.live_migrate("s1", "c02", "req-1")
    nova.at(3, lambda: nova.delete("s2"))
    watch(desk, states, host="c01", until=["host!=c01"], timeout=60.0)
    shown = capsys.readouterr().out
    assert "host: c01 → c02" in shown
    assert "is gone" in shown
    assert "40 % copied" in shown


def test_a_deleted_server_ends_the_watch(desk: Desk, states: FakeStates, nova: FakeNova) -> None:
    nova.at(2, lambda: nova.delete("s1"))
    with pytest.raises(GoneError, match="name-of-s1") as raised:
        watch(desk, states, "s1", "s2", until=["task=deleting"])
    assert raised.value.exit_code == 32
    with pytest.raises(UnknownServerError):
        watch(desk, states, "s1")


def test_gone_can_be_what_is_waited_for(desk: Desk, states: FakeStates, nova: FakeNova) -> None:
    nova.at(2, lambda: nova.delete("s1"))
    watch(desk, states, "s1", until=["gone"], timeout=10.0)
    assert "s1" not in nova.servers


def test_without_a_condition_it_ends_when_all_are_gone(
    desk: Desk, states: FakeStates, nova: FakeNova
) -> None:
    nova.at(2, lambda: nova.delete("s1"))
    with pytest.raises(GoneError):
        watch(desk, states, "s1")


def test_error_ends_the_watch_unless_it_was_so_before(desk: Desk, states: FakeStates, nova: FakeNova) -> None:
    nova.at(2, lambda: nova.change("s1", vm_state="error"))
    with pytest.raises(ErrorStateError, match="went into ERROR"):
        watch(desk, states, "s1", until=["task=migrating"])
    with pytest.raises(TimedOutError, match="not task=migrating"):
        watch(desk, states, "s1", until=["task=migrating"], timeout=5.0)
    watch(desk, states, "s1", until=["status=ERROR"])


def test_ctrl_c_ends_with_the_timeline(
    desk: Desk, states: FakeStates, nova: FakeNova, capsys: pytest.CaptureFixture[str]
) -> None:
    nova.at(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRunError) as raised:
        watch(desk, states, "s1")
    assert raised.value.signal_number == signal.SIGINT
    assert "active 3.0 s" in capsys.readouterr().out


def test_a_disturbed_link_is_told_once_and_borne(
    desk: Desk, states: FakeStates, nova: FakeNova, capsys: pytest.CaptureFixture[str]
) -> None:
    states.trouble += [ApiError("nova: no answer")] * 3
    nova.at(1, lambda: nova.change("s1", task_state="migrating"))
    watch(desk, states, "s1", until=["task=migrating"])
    assert capsys.readouterr().err.count("cannot look") == 1


def test_a_cloud_that_stays_away_ends_the_watch(desk: Desk, states: FakeStates) -> None:
    states.trouble += [ApiError("nova: no answer")] * 2000
    with pytest.raises(ApiError, match="no answer"):
        watch(desk, states, "s1")


def test_an_empty_host_is_said(desk: Desk, states: FakeStates, capsys: pytest.CaptureFixture[str]) -> None:
    watch(desk, states, host="c02", until=["host!=c02"])
    assert "c02: no server to watch" in capsys.readouterr().out
