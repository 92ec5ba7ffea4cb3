"""`nodeops snapshot` of a guest with a real agent: frozen, refused by its hook, hung, interrupted, killed."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nodeops.lab.furniture import IMAGE
from tests.docs.commands_in import ROOT, commands_in
from tests.lab.bed import Bed, Result, kill
from tests.real.guests import HOST, await_guest, console, on_host
from tests.real.inside import UNTIL_LET_GO, asked, begin, let_go, set_hook

ONE_FREEZE = "true"
FAILS = "exit 7"
ALL = {"image_snapshot_pending", "image_snapshot", "image_pending_upload", "image_uploading"}
PAGES = "web01"
"""What the page calls its server."""
PAGE = ROOT / "runbooks" / "snapshot-before-maintenance.md"
LOG = "/var/log/nova/nova-compute.log"


@pytest.fixture(scope="module")
def bed(lasting_bed: Bed) -> Iterator[Bed]:
    """Its own servers are all it makes and deletes."""
    bed = lasting_bed
    yield bed
    for name, server in bed.servers().items():
        if name.startswith("s-") or name == PAGES:
            drop_images(bed, server["id"])
            bed.cloud.compute.delete(f"/servers/{server['id']}")
    bed.until(lambda: not [name for name in bed.servers() if name.startswith("s-") or name == PAGES])


@pytest.fixture(scope="module")
def booted(bed: Bed) -> str:
    return boot(bed, "s-guest")


@pytest.fixture
def guest(bed: Bed, booted: str) -> Iterator[str]:
    """A guest whose agent answers; its id."""
    set_hook(bed, HOST, booted, ONE_FREEZE)
    yield booted
    bed.until(lambda: task_of(bed, booted) is None)
    drop_images(bed, booted)


def snapshot(bed: Bed, *words: str, **more: str) -> Result:
    return bed.run("snapshot", *words, **bed.reached, **more)


def drop_images(bed: Bed, server_id: str) -> None:
    for image in images_of(bed, server_id):
        bed.cloud.image.delete_image(image["id"])


def boot(bed: Bed, name: str, **more: Any) -> str:
    server_id = bed.create(name, host=HOST, **more)
    bed.becomes("ACTIVE", name)
    await_guest(bed, name)
    bed.until(lambda: connected(bed, server_id))
    return server_id


def connected(bed: Bed, server_id: str) -> bool:
    domain = on_host(bed, HOST, f"virsh dumpxml {server_id}")
    return bool(re.search(r"org\.qemu\.guest_agent\.0' state='connected'", domain))


def images_of(bed: Bed, server_id: str) -> list[dict[str, Any]]:
    answer = bed.cloud.image.get(f"/images?nodeops_snapshot_of={server_id}")
    return list(answer.json()["images"])


def around(folder: Path) -> list[str]:
    """Commands that write down when they were run."""
    return ["--before", f"date +%s.%N >> {folder}/before", "--after", f"date +%s.%N >> {folder}/after"]


def moments(folder: Path, name: str) -> list[float]:
    file = folder / name
    return [float(line) for line in file.read_text(encoding="utf-8").split()] if file.exists() else []


def log_moment(bed: Bed, server_id: str, words: str) -> float:
    """When nova-compute last wrote these words about a server; the clock is this machine's."""
    line = on_host(bed, HOST, f"grep -F {server_id} {LOG} | grep -F '{words}' | tail -1")
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()


def test_an_image_through_all_its_states(bed: Bed, guest: str, tmp_path: Path) -> None:
    set_hook(bed, HOST, guest, "sleep 3")
    done = snapshot(bed, guest, "--yes", "--require-quiesce", *around(tmp_path), "-o", "json")
    assert done.code == 0, done.err
    (server,) = done.json["servers"]
    assert server["promised"] == server["consistency"] == "quiesced"
    assert "agent answers and freezes" in server["found_out_by"]
    assert {"image_pending_upload", "image_uploading"} <= set(server["phases"]) <= ALL
    assert server["phases"]["image_pending_upload"] > 2, "the guest is frozen in it, not in image_snapshot"
    (image,) = images_of(bed, guest)
    assert (image["id"], image["status"], image["size"]) == (server["image"], "active", server["bytes"])
    shown = console(bed, "s-guest")
    assert 0 <= shown.find("FSFREEZE freeze") < shown.find("FSFREEZE thaw")
    (before,), (after,) = moments(tmp_path, "before"), moments(tmp_path, "after")
    frozen = log_moment(bed, guest, "Beginning live snapshot process")
    taken = log_moment(bed, guest, "Snapshot extracted, beginning image upload")
    assert before < frozen < taken < after + 0.5
    assert after - taken < 10, "as soon as Nova was done with the disk"
    assert after - before <= server["affected_seconds"] + 1

    set_hook(bed, HOST, guest, ONE_FREEZE)
    bed.cloud.compute.post(
        f"/servers/{guest}/action", json={"createImage": {"name": "s-by-hand"}}, microversion="2.90"
    ).raise_for_status()
    bed.until(lambda: task_of(bed, guest) is None)
    again = snapshot(bed, "s-guest", "--yes", "--keep", "1", "-o", "json")
    assert again.code == 0, again.err
    assert [each["id"] for each in images_of(bed, guest)] == [again.json["servers"][0]["image"]]
    by_hand = bed.cloud.image.find_image("s-by-hand")
    assert by_hand, "what somebody made himself stays"
    bed.cloud.image.delete_image(by_hand)


def test_a_freeze_hook_that_fails(bed: Bed, guest: str) -> None:
    """Nova makes the image all the same, os_require_quiesce or not, and only logs it."""
    set_hook(bed, HOST, guest, FAILS)
    done = snapshot(bed, guest, "--yes", "--require-quiesce", "-o", "json")
    assert done.code == 13, done.err
    (server,) = done.json["servers"]
    assert (server["promised"], server["consistency"]) == ("quiesced", "crash-consistent")
    assert "fsfreeze hook" in done.json["error"]["message"]
    assert "exit status 7" in done.json["error"]["message"]
    assert [image["status"] for image in images_of(bed, guest)] == ["active"]


def test_a_hook_that_hangs_does_not_keep_the_application_standing(
    bed: Bed, guest: str, tmp_path: Path
) -> None:
    set_hook(bed, HOST, guest, "sleep 30")
    done = snapshot(bed, guest, "--yes", *around(tmp_path), "--timeout", "10s", "-o", "json")
    assert done.code == 12, done.err
    (before,), (after,) = moments(tmp_path, "before"), moments(tmp_path, "after")
    assert 9 < after - before < 25
    again = snapshot(bed, guest, "--yes", *around(tmp_path), "-o", "json")
    assert again.code == 13, again.err
    assert "while nova still read the disk" in again.json["error"]["message"]
    assert len(images_of(bed, guest)) == 1, "the image of the first run was followed to its end"
    assert len(moments(tmp_path, "after")) == 1


def test_ctrl_c_while_nova_reads_the_disk(bed: Bed, guest: str, tmp_path: Path) -> None:
    process = waiting_for_the_hook(bed, guest, tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert len(moments(tmp_path, "after")) == 1
    assert images_of(bed, guest) == []
    let_go(bed, guest)
    bed.until(lambda: task_of(bed, guest) is None)
    assert bed.servers()["s-guest"]["status"] == "ACTIVE"


def test_killed_while_nova_reads_the_disk(bed: Bed, guest: str, tmp_path: Path) -> None:
    kill(waiting_for_the_hook(bed, guest, tmp_path))
    assert moments(tmp_path, "after") == [], "nothing was there to run it"
    let_go(bed, guest)
    again = snapshot(bed, guest, "--yes", "-o", "json")
    assert again.code == 0, again.err
    assert len(moments(tmp_path, "after")) == 1, "by the words of the run that was killed"
    (image,) = images_of(bed, guest)
    assert image["status"] == "active"


def waiting_for_the_hook(bed: Bed, server_id: str, folder: Path) -> "subprocess.Popen[str]":
    """A snapshot that goes on only when the guest's hook is let go."""
    set_hook(bed, HOST, server_id, UNTIL_LET_GO)
    words = ("snapshot", server_id, "--yes", *around(folder), "-o", "json")
    process = bed.start(*words, **bed.reached)
    bed.until(lambda: task_of(bed, server_id) == "image_pending_upload")
    return process


def task_of(bed: Bed, server_id: str) -> str | None:
    """Of one server: a list of all takes Nova longer."""
    answer = bed.cloud.compute.get(f"/servers/{server_id}", microversion="2.90")
    task: str | None = answer.json()["server"]["OS-EXT-STS:task_state"]
    return task


def test_an_image_that_never_appears(bed: Bed, guest: str, tmp_path: Path) -> None:
    process = waiting_for_the_hook(bed, guest, tmp_path)
    bed.cloud.image.delete_image(images_of(bed, guest)[0]["id"])
    let_go(bed, guest)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 10, err
    assert "never appeared" in out
    assert "Image not found during snapshot" in out, "what the log of nova-compute says"
    assert len(moments(tmp_path, "after")) == 1


def test_a_server_that_boots_from_a_volume(bed: Bed) -> None:
    image = bed.cloud.image.find_image(IMAGE)
    volume = bed.cloud.block_storage.create_volume(name="s-root", size=1, image_id=image.id)
    bed.until(lambda: bed.cloud.block_storage.get_volume(volume.id).status == "available")
    device = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
    devices = [{**device, "delete_on_termination": True}]
    server = boot(bed, "s-volume", imageRef="", block_device_mapping_v2=devices)
    told = snapshot(bed, server, "--dry-run", "-o", "json")
    assert told.code == 0, told.err
    (plan,) = told.json["servers"]
    assert plan["volume_backed"]
    assert plan["promised"] == "quiesced"
    assert "root volume property hw_qemu_guest_agent is yes" in plan["found_out_by"]


@pytest.fixture
def named_as_in_the_page(bed: Bed, guest: str) -> Iterator[None]:
    rename(bed, guest, PAGES)
    yield
    rename(bed, guest, "s-guest")


def rename(bed: Bed, server_id: str, name: str) -> None:
    body = {"server": {"name": name}}
    bed.cloud.compute.put(f"/servers/{server_id}", json=body).raise_for_status()


@pytest.mark.usefixtures("named_as_in_the_page")
def test_the_page_works_as_it_is_written(bed: Bed, tmp_path: Path) -> None:
    """Every command of it; what it says over ssh in the guest is said to a stand-in."""
    said = tmp_path / "said"
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {said}\n', encoding="utf-8")
    ssh.chmod(0o755)
    path = f"{ssh.parent}:{os.environ['PATH']}"
    for each in commands_in(PAGE):
        words = list(each.words[1:])
        if words[0] != "snapshot":
            assert bed.run(*words).code == 0
            continue
        if "--host" in words:
            # A lab that others use too has servers of others on the host.
            words.append("--dry-run")
        done = snapshot(bed, *words[1:], *([] if "--dry-run" in words else ["--yes"]), PATH=path)
        assert done.code == 0, f"{each}\n{done.err}"
    stop, start = said.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"root@[\d.]+ systemctl stop mariadb", stop)
    assert re.fullmatch(r"root@[\d.]+ systemctl start mariadb", start)


def test_an_agent_that_hangs(bed: Bed, guest: str, tmp_path: Path) -> None:
    """The last: nothing lets it go on."""
    begin(bed, HOST, guest, "P=$(pidof qemu-ga); sleep 2; kill -STOP $P")
    bed.until(lambda: not answers(bed, guest))
    refused = snapshot(bed, guest, "--yes", "--require-quiesce", *around(tmp_path), "-o", "json")
    assert refused.code == 5, refused.err
    assert "agent does not answer" in refused.json["error"]["message"]
    assert (images_of(bed, guest), moments(tmp_path, "before")) == ([], [])
    done = snapshot(bed, guest, "--yes", *around(tmp_path), "-o", "json")
    assert done.code == 0, done.err
    assert done.json["servers"][0]["consistency"] == "crash-consistent"
    assert len(moments(tmp_path, "after")) == 1


def answers(bed: Bed, server_id: str) -> bool:
    try:
        return bool(asked(bed, HOST, server_id, "guest-ping") == {})
    except (ValueError, subprocess.SubprocessError):
        return False
