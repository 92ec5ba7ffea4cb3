"""`nodeops snapshot` from beginning to end on servers in memory."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.cli.conduct import resume_run
from nodeops.cli.history import show_run
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.snapshot_orders import Orders
from nodeops.cli.snapshot_run import Places, Snapshots, Wish
from nodeops.engine.signals import Stop
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    ApiError,
    DeclinedError,
    FailedError,
    HostBusyError,
    InterruptedRunError,
    NotVerifiedError,
    OutcomeUnknownError,
    PartlyDoneError,
    RefusedError,
    TimedOutError,
    UsageError,
)
from nodeops.snapshots import AgentReading, Image
from tests.cli.test_conduct import FakeDesk, forget_owner
from tests.fake_nova import FakeNova
from tests.fake_snapshots import (
    DISK_READ,
    REQUEST,
    Course,
    FakeCommands,
    FakeGuestHosts,
    FakeLogs,
    FakeSnapshots,
    Inline,
    said,
)
from tests.fake_world import Crash, FakeWorld, small_cloud

GO = Manner(yes=True, output=Format.JSON)
DRY = Manner(dry_run=True, output=Format.JSON)
AROUND = Orders(before="stop", after="start")


class Scene:
    """A desk with three servers on c01, and one command."""

    def __init__(self, world: FakeWorld, folder: Path) -> None:
        self.desk = FakeDesk(world, folder)
        self.nova: FakeNova = world.nova
        self.images = FakeSnapshots(world.nova)
        self.hosts = FakeGuestHosts()
        self.logs = FakeLogs()
        self.commands = FakeCommands(world.nova)

    def make(self, *words: str, manner: Manner = GO, **wish: Any) -> int:
        with Stop().listening() as stop:
            return Snapshots(
                self.desk,
                Wish(words, **wish),
                manner,
                Places(self.images, self.hosts, self.commands, self.logs, ("control",)),
                self.nova.clock,
                stop,
                Inline(),
            ).run()

    def at(self, seconds: float, happen: Callable[[], None]) -> None:
        self.nova.at(seconds, happen)

    def run_states(self) -> list[str]:
        return [str(run.state) for run in self.desk.journal().runs()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(small_cloud(), tmp_path)
    with scene.desk:
        yield scene


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def press(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def crash() -> None:
    raise Crash


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


# -- what goes wrong


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


# -- too many, and volumes


def test_keep_deletes_only_what_nodeops_made(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        assert scene.make("s01", template=f"{{server}}-{number}") == 0
        scene.nova.clock.sleep(60)
    images = scene.images.image_list
    mine = images["image-2"]
    by_hand = {**mine.properties, "nodeops_snapshot_of": "s99"}
    images["by-hand"] = Image("by-hand", "mine", "active", created="2020", properties=by_hand)
    images["renamed"] = replace(mine, id="renamed", name="golden", created="2020")
    images["kept"] = replace(images["image-1"], id="kept", protected=True)
    capsys.readouterr()
    assert scene.make("s01", orders=Orders(keep=2)) == 0
    assert set(images) == {"image-3", "by-hand", "renamed", "kept", "image-7"}
    assert told(capsys)["servers"][0]["deleted"] == ["name-of-s01-1", "name-of-s01-0"]


def test_an_old_image_that_cannot_be_deleted_is_told(scene: Scene) -> None:
    def refuse() -> None:
        raise ApiError("glance answered 409: in use", status=409)

    scene.make("s01", template="{server}-1")
    scene.images.faults["delete"] = refuse
    with pytest.raises(NotVerifiedError, match=r"images that are too many are left.*in use"):
        scene.make("s01", orders=Orders(keep=1))


def test_of_volumes_snapshots_are_waited_for_and_pruned(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1", "v2"))
    begun = scene.nova.clock.now()
    assert scene.make("s01", orders=AROUND, template="{server}-1") == 0
    assert 4 <= scene.commands.started[1][1] - begun < 5
    (server,) = told(capsys)["servers"]
    assert server["volume_snapshots"] == ["snapshot-of-v1", "snapshot-of-v2"]
    assert server["volume_backed"]
    assert [host for host, _ in scene.logs.asked] == ["control"], "the API freezes before volume snapshots"
    scene.nova.change("s01", volume_ids=("v3",))
    scene.nova.clock.sleep(60)
    assert scene.make("s01", orders=replace(AROUND, keep=1)) == 0
    assert list(scene.images.states) == ["snapshot-of-v3"]


def test_a_freeze_before_volume_snapshots_that_failed(scene: Scene) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1",))
    scene.logs.lines["control"] = (said("control", "Skipping quiescing instance: no agent."),)
    with pytest.raises(NotVerifiedError, match="no agent"):
        scene.make("s01", orders=AROUND)


def test_a_volume_snapshot_that_failed_is_told(scene: Scene) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1",))
    scene.at(2, lambda: scene.images.states.update({"snapshot-of-v1": "error"}))
    with pytest.raises(FailedError, match="of no use: volume snapshot snapshot-of-v1 is error"):
        scene.make("s01", orders=AROUND)


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
