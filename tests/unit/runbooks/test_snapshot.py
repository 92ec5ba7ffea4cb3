"""Promises, names, which images are too many, and the end of the disk phase."""

from dataclasses import replace

import pytest

from nodeops.errors import UsageError
from nodeops.model.facts import Flavor, PowerState, Server
from nodeops.model.snapshots import AgentReading, Consistency, Image, Promise, Subject
from nodeops.model.tracing import LogLine
from nodeops.runbooks.snapshot import (
    DiskPhase,
    image_name,
    image_names,
    kept,
    promise,
    surplus,
    telling,
    unimageable,
)

AT = 1_795_000_000.0
SERVER = Server(
    id="s1",
    name="web01",
    host="c01",
    node="c01",
    status="ACTIVE",
    vm_state="active",
    task_state=None,
    power_state=PowerState.RUNNING,
    flavor=Flavor("m1", 1, 1024, 10),
    image_id="image-0",
)
AGENT = {"hw_qemu_guest_agent": "yes"}
READY = AgentReading(device=True, connected=True, answers=True, freezes=True)
MINE = {"instance_uuid": "s1", "nodeops_snapshot_of": "s1", "nodeops_snapshot_name": "a"}


def level(agent: AgentReading | None, **properties: str) -> Consistency:
    return promise(Subject(SERVER, properties), agent).consistency


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (READY, Consistency.QUIESCED),
        (replace(READY, freezes=False), Consistency.CRASH),
        (replace(READY, frozen=True), Consistency.CRASH),
        (replace(READY, answers=False, words="hangs"), Consistency.CRASH),
        (AgentReading(device=True), Consistency.CRASH),
        (AgentReading(device=False), Consistency.CRASH),
        (None, Consistency.UNKNOWN),
    ],
)
def test_what_the_host_says_of_the_agent(agent: AgentReading | None, expected: Consistency) -> None:
    assert level(agent, **AGENT) is expected


@pytest.mark.parametrize(
    "said", [{}, {"hw_qemu_guest_agent": "no"}, {"hw_qemu_guest_agent": "False", "os_require_quiesce": "yes"}]
)
def test_without_the_property_nova_asks_no_agent(said: dict[str, str]) -> None:
    assert level(READY, **said) is Consistency.CRASH


@pytest.mark.parametrize("said", ["yes", "True", "1", "on"])
def test_words_that_are_true(said: str) -> None:
    assert level(READY, hw_qemu_guest_agent=said) is Consistency.QUIESCED


@pytest.mark.parametrize(
    ("vm_state", "power", "expected"),
    [
        ("stopped", PowerState.SHUTDOWN, Consistency.AT_REST),
        ("stopped", PowerState.RUNNING, Consistency.CRASH),
        ("suspended", PowerState.SHUTDOWN, Consistency.CRASH),
        ("paused", PowerState.PAUSED, Consistency.CRASH),
    ],
)
def test_servers_that_do_not_run(vm_state: str, power: PowerState, expected: Consistency) -> None:
    server = replace(SERVER, vm_state=vm_state, power_state=power)
    assert promise(Subject(server, AGENT), None).consistency is expected


def test_what_is_not_in_the_image_is_said() -> None:
    assert promise(Subject(replace(SERVER, volume_ids=("v1",)), {}), None).left_out == ("1 attached volume",)
    of_volume = promise(Subject(replace(SERVER, image_id=None, volume_ids=("v1",)), AGENT), READY)
    assert (of_volume.left_out, of_volume.volume_backed) == ((), True)
    assert of_volume.reasons[0] == "root volume property hw_qemu_guest_agent is yes"


def test_states_nova_makes_no_image_in() -> None:
    assert unimageable(SERVER) == ""
    assert unimageable(replace(SERVER, vm_state="rescued")).startswith("vm_state is rescued")


# -- names


def test_names_by_template() -> None:
    assert image_name("{server}-{date}-{time}", SERVER, AT) == "web01-20261118-110640"
    assert image_name("{id} on {host}", SERVER, AT) == "s1 on c01"
    assert len(image_name("{server}" * 100, SERVER, AT)) == 255


@pytest.mark.parametrize("template", ["{nothing}", "{", "{0}", "", "{server.__class__}", "{server[0]}"])
def test_templates_that_cannot_be_filled_in(template: str) -> None:
    with pytest.raises(UsageError):
        image_name(template, SERVER, AT)


def test_two_images_have_two_names() -> None:
    other = replace(SERVER, id="s2")
    with pytest.raises(UsageError, match="one name"):
        image_names("{server}", [SERVER, other], AT)
    assert len(image_names("{server}-{id}", [SERVER, other], AT)) == 2


# -- too many


def image(number: int, **properties: str) -> Image:
    return Image(f"i{number}", "a", "active", created=f"2026-11-{number:02}", properties=MINE | properties)


def test_the_oldest_of_its_own_go() -> None:
    images = [image(number) for number in (1, 3, 2)]
    assert [each.id for each in surplus(images, 2, "s1")] == ["i1"]
    assert surplus(images, 3, "s1") == ()


def test_what_is_not_its_own_stays_and_does_not_count() -> None:
    others = [
        replace(image(1), properties={"instance_uuid": "s1"}),
        image(2, nodeops_snapshot_of="s0"),
        image(3, instance_uuid="s2"),
        replace(image(4), name="golden"),
        replace(image(5), protected=True),
        replace(image(6), status="queued"),
    ]
    assert surplus([*others, image(7)], 1, "s1") == ()


def test_an_image_of_a_server_that_was_booted_from_one_is_not_its_own() -> None:
    """Nova hands the properties of the image on to every image of the server."""
    inherited = Image("i1", "mine", "active", properties=MINE | {"instance_uuid": "s2"})
    assert not inherited.ours
    assert not replace(inherited, properties=MINE).ours, "nor when that server was rebuilt from it"
    assert image(1).ours


# -- the disk


def seen(*looks: tuple[str | None, str | None], at_once: bool = False) -> list[bool]:
    phase = DiskPhase(at_once=at_once)
    return [phase.see(task, status) for task, status in looks]


def test_libvirt_copies_the_disk_in_the_second_image_pending_upload() -> None:
    assert seen(
        ("image_snapshot_pending", "queued"),
        ("image_snapshot", "queued"),
        ("image_pending_upload", "queued"),
        ("image_uploading", "queued"),
        ("image_pending_upload", "queued"),
        ("image_uploading", "queued"),
    ) == [False, False, False, False, False, True]


def test_states_that_came_and_went_between_two_looks() -> None:
    assert seen(
        ("image_snapshot", "queued"), ("image_pending_upload", "queued"), ("image_uploading", "saving")
    ) == [
        False,
        False,
        True,
    ]
    assert seen(("image_snapshot", "queued"), (None, "active")) == [False, True]
    assert seen(("image_snapshot", "queued"), (None, None)) == [False, True]


def test_a_snapshot_in_the_storage_itself_shows_only_its_end() -> None:
    """Ceph: image_uploading comes once, and the image stays queued until it is whole."""
    uploading = ("image_uploading", "queued")
    assert seen(("image_snapshot", "queued"), uploading, uploading, (None, "active")) == [False] * 3 + [True]


def test_a_server_without_a_task_is_believed_at_the_third_look() -> None:
    idle = (None, "queued")
    assert seen(idle, idle, idle) == [False, False, True]
    assert seen((None, None)) == [True]


def test_where_image_snapshot_is_all_of_it() -> None:
    looks = (("image_snapshot", "queued"), ("image_pending_upload", "queued"))
    assert seen(*looks, at_once=True) == [False, True]


# -- afterwards


def said(words: str, level: str = "INFO", *more: str) -> LogLine:
    return LogLine(AT, "c01", "nova-compute", level, "nova.virt.libvirt.driver", words, more=more)


def test_the_log_says_whether_the_freeze_worked() -> None:
    promised = Promise(Consistency.QUIESCED, ())
    took, skipped = said("Took 2.04 seconds"), said("Skipping quiescing instance: Error from libvirt: hook.")
    assert kept(promised, [took]) == (Consistency.QUIESCED, "")
    assert kept(promised, [took, skipped]) == (
        Consistency.CRASH,
        "Skipping quiescing instance: Error from libvirt: hook",
    )
    assert kept(promised, None)[0] is Consistency.QUIESCED
    assert kept(promised, None)[1]
    assert kept(promised, [])[1], "a log that has nothing of it says nothing"
    unknown, crash = Promise(Consistency.UNKNOWN, ()), Promise(Consistency.CRASH, ())
    assert kept(unknown, [took])[0] is Consistency.QUIESCED
    assert kept(crash, [took]) == (Consistency.CRASH, "")


def test_the_line_that_says_most() -> None:
    begun, error = said("begun"), said("Error from libvirt: timed out.", "ERROR")
    hook = said("Skipping quiescing instance: hook")
    gone = said("Image not found during snapshot", "WARNING")
    assert telling([begun, gone, hook, error]) == "Error from libvirt: timed out"
    assert telling([begun, gone, hook]).endswith("hook")
    assert telling([begun, gone]) == "Image not found during snapshot"
    assert telling([begun]) == telling([]) == ""


def test_what_is_known_of_a_line_stands_beside_it() -> None:
    frozen = "guest agent command failed: unable to execute QEMU agent command 'guest-fsfreeze-freeze'"
    found = telling([said("Something broke", "ERROR"), said("Exception", "ERROR", "Traceback", frozen)])
    assert found.startswith(f"Exception: {frozen} (the guest agent did not freeze")
