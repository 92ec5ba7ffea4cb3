"""`nodeops snapshot` when the commands around it, Nova or an agent do not do as they should."""

from dataclasses import replace

import pytest

from nodeops.cli.snapshot_orders import Orders
from nodeops.errors import ApiError, FailedError, NotVerifiedError, OutcomeUnknownError
from tests.cli.fake_desk import told
from tests.cli.snapshot_scene import AROUND, Scene
from tests.fake_snapshots import Course, said


def test_without_before_there_is_no_image_and_after_is_run_all_the_same(scene: Scene) -> None:
    scene.commands.codes["stop"] = 3
    with pytest.raises(FailedError, match="--before: exit code 3; no image was asked for"):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop", "start"]
    assert scene.images.image_list == {}
    assert scene.run_states() == ["finished"]


def test_a_command_that_hangs_is_ended(scene: Scene) -> None:
    scene.commands.seconds["stop"] = 10_000
    with pytest.raises(FailedError, match="did not end within 30 s"):
        scene.make("s01", orders=replace(AROUND, command_seconds=30))
    assert scene.commands.running[0].ended
    assert scene.commands.words == ["stop", "start"]


def test_a_command_that_cannot_be_started(scene: Scene) -> None:
    scene.commands.missing = frozenset({"stop"})
    with pytest.raises(FailedError, match="--before: could not be started"):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["start"]


def test_an_after_that_fails_is_told(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.commands.codes["start"] = 1
    with pytest.raises(NotVerifiedError, match="--after: exit code 1"):
        scene.make("s01", orders=AROUND)
    assert told(capsys)["servers"][0]["result"] == "made"


@pytest.mark.parametrize("course", [Course.VANISHES, Course.IDLE])
def test_an_image_that_never_appears_is_reported_as_that(scene: Scene, course: Course) -> None:
    scene.images.course = course
    hook = "Error from libvirt: fsfreeze hook has failed with status 1."
    scene.logs.lines["c01"] = (said("c01", "instance snapshotting"), said("c01", hook, "ERROR"))
    with pytest.raises(FailedError, match=r"never appeared.*fsfreeze hook has failed with status 1"):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop", "start"]


def test_a_freeze_that_failed_makes_a_promise_untrue(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.logs.lines["c01"] = (said("c01", "Skipping quiescing instance: hook."),)
    with pytest.raises(NotVerifiedError, match="crash-consistent only: Skipping quiescing instance: hook"):
        scene.make("s01", orders=Orders(keep=1))
    assert told(capsys)["servers"][0]["consistency"] == "crash-consistent"
    assert scene.images.calls.count("delete image-1") == 0


def test_nova_refuses(scene: Scene) -> None:
    def refuse() -> None:
        raise ApiError("nova answered 409: no", status=409)

    scene.images.faults["create"] = refuse
    with pytest.raises(FailedError, match="409"):
        scene.make("s01", orders=AROUND)
    assert scene.commands.words == ["stop", "start"]


def test_an_answer_that_got_lost_is_looked_for(scene: Scene) -> None:
    def lose() -> None:
        raise ApiError("connection lost", ambiguous=True)

    scene.images.after["create"] = lose
    assert scene.make("s01", orders=AROUND) == 0
    scene.images.faults["create"] = lose
    with pytest.raises(FailedError, match="connection lost"):
        scene.make("s02", orders=AROUND)
    assert scene.commands.words == ["stop", "start"] * 2


def test_nova_that_never_ends_with_the_disk(scene: Scene) -> None:
    scene.images.course = Course.STUCK
    begun = scene.nova.clock.now()
    with pytest.raises(OutcomeUnknownError, match="not done with the disk after 2 min"):
        scene.make("s01", orders=replace(AROUND, disk_seconds=120))
    assert 120 <= scene.commands.started[1][1] - begun < 125
    assert scene.run_states() == ["interrupted"]


def test_a_cloud_that_cannot_be_looked_at_for_a_while(scene: Scene) -> None:
    def down() -> None:
        raise ApiError("no answer from nova")

    scene.images.after["create"] = lambda: scene.images.faults.update(changed=down, image=down)
    assert scene.make("s01", orders=AROUND) == 0
    assert scene.commands.words == ["stop", "start"]
