"""`nodeops snapshot` after a signal, a crash, and beside another one."""

import os
import signal
from collections.abc import Callable

import pytest

from nodeops.cli.conduct import resume_run
from nodeops.cli.history import show_run
from nodeops.cli.output import Format
from nodeops.cli.snapshot_orders import Orders
from nodeops.errors import (
    HostBusyError,
    InterruptedRunError,
    NotVerifiedError,
    OutcomeUnknownError,
    UsageError,
)
from tests.cli.fake_desk import forget_owner, told
from tests.cli.snapshot_scene import AROUND, GO, Scene
from tests.fake_snapshots import REQUEST, said
from tests.fake_world import Crash


def press(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def crash() -> None:
    raise Crash


# -- interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_nova_reads_the_disk(scene: Scene, number: int) -> None:
    begun = scene.nova.clock.now()
    scene.at(5, press(number))
    with pytest.raises(InterruptedRunError) as raised:
        scene.make("s01", "s02", orders=AROUND, parallel=1)
    assert raised.value.signal_number == number
    assert scene.commands.words == ["stop", "start"]
    assert scene.commands.started[1][1] - begun < 7
    assert scene.images.image_list == {}, "it writes into what nova still reads"
    assert scene.run_states() == ["finished"]


def test_a_signal_while_before_runs(scene: Scene) -> None:
    scene.commands.seconds["stop"] = 100
    scene.at(5, press(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        scene.make("s01", orders=AROUND)
    assert scene.commands.running[0].ended
    assert scene.commands.words == ["stop", "start"]
    assert scene.images.image_list == {}


def test_a_signal_during_the_upload_leaves_it_to_nova(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.at(15, press(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        scene.make("s01", orders=AROUND)
    assert told(capsys)["servers"][0]["result"] == "unknown"
    assert scene.run_states() == ["interrupted"]
    assert scene.make("s01", orders=AROUND) == 0
    assert scene.commands.words == ["stop", "start"]
    assert told(capsys)["servers"][0]["image"] == "image-1"
    assert list(scene.images.image_list) == ["image-1"]


def test_the_second_signal_ends_it_and_after_is_started(scene: Scene) -> None:
    scene.images.after["create"] = press(signal.SIGINT)
    scene.commands.seconds["start"] = 100
    scene.at(8, press(signal.SIGINT))
    with pytest.raises(SystemExit):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop", "start"]


def test_a_journal_that_is_lost_does_not_leave_the_application_standing(scene: Scene) -> None:
    def lose() -> None:
        forget_owner(scene.desk)
        with scene.desk.journal().engine.begin() as connection:
            connection.exec_driver_sql("UPDATE nodeops_runs SET owner_token = 'somebody else'")

    scene.images.after["create"] = lose
    with pytest.raises(OutcomeUnknownError):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop", "start"]


# -- killed


def test_killed_while_nova_reads_the_disk_the_next_run_finishes_it(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.at(5, lambda: setattr(scene.commands, "missing", frozenset({"start"})))
    scene.at(6, crash)
    with pytest.raises(Crash):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop"], "nothing could be started any more"
    forget_owner(scene.desk)
    scene.commands.missing = frozenset()
    assert scene.make("s01", orders=Orders()) == 0
    assert scene.commands.words == ["stop", "start"], "by the words of the run that was killed"
    assert list(scene.images.image_list) == ["image-1"]
    assert told(capsys)["servers"][0]["consistency"] == "quiesced"
    assert scene.run_states() == ["finished"]
    ((host, wanted),) = scene.logs.asked
    assert (host, wanted.ids) == ("c01", (REQUEST,))
    assert wanted.since is not None
    assert wanted.since <= scene.desk.journal().runs()[0].started - 60


def test_killed_before_an_image_was_made_the_next_run_pays_and_begins_anew(scene: Scene) -> None:
    scene.commands.missing = frozenset({"start"})
    scene.images.faults["create"] = crash
    with pytest.raises(Crash):
        scene.make("s01", orders=AROUND)
    forget_owner(scene.desk)
    scene.commands.missing = frozenset()
    assert scene.make("s01", orders=AROUND) == 0
    assert scene.commands.words == ["stop", "start", "stop", "start"]
    assert scene.run_states() == ["finished", "finished"]


def test_killed_during_the_upload_after_is_not_run_again(scene: Scene) -> None:
    scene.at(15, crash)
    with pytest.raises(Crash):
        scene.make("s01", orders=AROUND)
    forget_owner(scene.desk)
    assert scene.make("s01", orders=AROUND) == 0
    assert scene.commands.words == ["stop", "start"]
    assert len(scene.images.image_list) == 1


def test_somebody_else_makes_an_image_of_it(scene: Scene) -> None:
    scene.at(5, crash)
    with pytest.raises(Crash):
        scene.make("s01", orders=AROUND)
    with pytest.raises(HostBusyError, match="makes an image of it"):
        scene.make("s01", orders=AROUND)


def test_resume_and_show_point_to_the_command(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.at(15, press(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        scene.make("s01", orders=AROUND)
    (run,) = scene.desk.journal().runs()
    with pytest.raises(UsageError, match="by its own command"):
        resume_run(scene.desk, run.id, GO)
    capsys.readouterr()
    show_run(scene.desk, run.id, Format.TABLE)
    assert "the same command goes on with it" in capsys.readouterr().out


def test_a_run_that_ended_is_shown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.logs.lines["c01"] = (said("c01", "Skipping quiescing instance: hook."),)
    with pytest.raises(NotVerifiedError):
        scene.make("s01")
    capsys.readouterr()
    (run,) = scene.desk.journal().runs()
    assert run.exit_code == 13
    show_run(scene.desk, run.id, Format.TABLE)
    assert "crash-consistent only: Skipping quiescing" in " ".join(capsys.readouterr().out.split())
