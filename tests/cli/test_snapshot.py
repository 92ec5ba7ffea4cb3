"""`nodeops snapshot` from beginning to end on servers in memory."""

from dataclasses import replace

import pytest

from nodeops.cli.options import Manner
from nodeops.cli.snapshot_orders import Orders
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    ApiError,
    DeclinedError,
    PartlyDoneError,
    RefusedError,
    TimedOutError,
    UsageError,
)
from nodeops.model.snapshots import AgentReading
from tests.cli.fake_desk import told
from tests.cli.snapshot_scene import AROUND, DRY, Scene
from tests.fake_snapshots import DISK_READ

# -- an image


def test_after_is_run_when_nova_has_its_copy_and_not_before(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = scene.nova.clock.now()
    assert scene.make("s01", orders=AROUND) == 0
    (before, at_first), (after, at_last) = scene.commands.started
    assert (before, after) == ("stop", "start")
    assert at_first == begun
    assert DISK_READ <= at_last - begun < DISK_READ + 1.5
    (server,) = told(capsys)["servers"]
    assert server["result"] == "made"
    assert server["consistency"] == "quiesced"
    assert server["bytes"] == 18_743_296
    assert DISK_READ <= server["affected_seconds"] < DISK_READ + 1.5
    assert list(server["phases"]) == [
        "image_snapshot_pending",
        "image_snapshot",
        "image_pending_upload",
        "image_uploading",
    ]
    assert scene.run_states() == ["finished"]


def test_the_commands_know_the_server(scene: Scene) -> None:
    scene.make("s01", orders=AROUND)
    before, after = scene.commands.environments
    assert before["NODEOPS_SERVER"] == "name-of-s01"
    assert before["NODEOPS_ADDRESS"] == "10.0.0.5"
    assert (before["NODEOPS_IMAGE_ID"], after["NODEOPS_IMAGE_ID"]) == ("", "image-1")


def test_whoever_says_so_has_after_run_when_image_snapshot_is_left(scene: Scene) -> None:
    begun = scene.nova.clock.now()
    assert scene.make("s01", orders=replace(AROUND, at_once=True)) == 0
    assert 3 <= scene.commands.started[1][1] - begun < 4.5


def test_one_list_call_a_look_and_so_many_images_at_once(scene: Scene) -> None:
    assert scene.make(host="c01", parallel=2) == 0
    assert scene.images.most_at_once == 2
    assert len(scene.images.image_list) == 3
    assert scene.images.calls.count("changed") <= len(scene.nova.clock.slept) + 1


def test_a_server_in_a_task_waits_its_turn(scene: Scene) -> None:
    scene.nova.change("s01", task_state="rebooting")
    scene.at(60, lambda: scene.nova.change("s01", task_state=None))
    begun = scene.nova.clock.now()
    assert scene.make("s01", "s02", orders=AROUND, parallel=1) == 0
    assert scene.images.calls.index("create s02") < scene.images.calls.index("create s01")
    assert scene.commands.started[2][1] - begun >= 60


def test_a_task_that_does_not_end_is_not_waited_for_without_end(scene: Scene) -> None:
    scene.nova.change("s01", task_state="rebooting")
    with pytest.raises(TimedOutError, match="still in task rebooting after 1 min"):
        scene.make("s01", orders=Orders(before="stop", after="start", wait_seconds=60))
    assert scene.commands.started == []
    assert scene.run_states() == []


def test_a_server_deleted_meanwhile_is_left(scene: Scene) -> None:
    scene.nova.change("s01", task_state="rebooting")
    scene.at(5, lambda: scene.nova.delete("s01"))
    with pytest.raises(TimedOutError, match="it was deleted"):
        scene.make("s01", orders=AROUND)


# -- beforehand


def test_a_dry_run_tells_and_does_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.make("s01", manner=replace(DRY, exit_code=True), orders=AROUND) == PLAN_HAS_CHANGES
    (server,) = told(capsys)["servers"]
    assert server["promised"] == "quiesced"
    assert server["found_out_by"] == [
        "image property hw_qemu_guest_agent is yes",
        "libvirt: device org.qemu.guest_agent.0 is there",
        "agent answers and freezes",
    ]
    assert (scene.commands.started, scene.images.image_list, scene.run_states()) == ([], {}, [])


def test_it_asks_first(scene: Scene) -> None:
    with pytest.raises(DeclinedError):
        scene.make("s01", manner=Manner())
    assert scene.images.image_list == {}


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (AgentReading(device=True, connected=True, words="Guest agent is not responding"), "not responding"),
        (AgentReading(device=True), "nothing in the guest has opened it"),
        (None, "c01 is not in the inventory"),
    ],
)
def test_require_quiesce_refuses_what_nobody_can_promise(
    scene: Scene, reading: AgentReading | None, words: str
) -> None:
    scene.hosts.reading = reading
    with pytest.raises(RefusedError, match=words):
        scene.make("s01", "s02", require_quiesce=True, orders=AROUND)
    assert (scene.commands.started, scene.images.image_list) == ([], {})


def test_a_host_that_is_silent_promises_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.hosts.error, scene.logs.error = ApiError("c01: no answer"), "no answer"
    assert scene.make("s01") == 0
    (server,) = told(capsys)["servers"]
    assert (server["promised"], server["consistency"]) == ("unknown", "unknown")
    assert "agent not asked: c01: no answer" in server["found_out_by"]
    assert "log of nova on c01: no answer" in server["words"]
    assert any("whether the freeze worked" in words for words in server["words"])


def test_the_refused_can_be_left(scene: Scene) -> None:
    scene.nova.change("s02", vm_state="rescued")
    with pytest.raises(RefusedError, match="vm_state is rescued"):
        scene.make("s01", "s02")
    with pytest.raises(PartlyDoneError, match="1 server refused"):
        scene.make("s01", "s02", leave_refused=True)
    assert scene.images.calls.count("create s01") == 1


def test_a_stopped_server_is_at_rest(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.nova.task("stop", "s01")
    scene.nova.clock.sleep(60)
    scene.nova.advance()
    assert scene.make("s01", require_quiesce=True) == 0
    assert told(capsys)["servers"][0]["consistency"] == "at rest"


def test_names_that_would_be_one_are_refused(scene: Scene) -> None:
    with pytest.raises(UsageError, match="one name"):
        scene.make("s01", "s02", template="weekly")


def test_the_table_tells_both_before_and_after(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert scene.make("s01", manner=Manner(yes=True), orders=replace(AROUND, keep=1)) == 0
    shown = capsys.readouterr()
    assert "agent answers and freezes" in shown.out
    assert "18 MiB" in shown.out
    assert "disk phase is over: task is image_uploading again" in shown.err
    assert "task_state: none → image_snapshot_pending" in shown.err
