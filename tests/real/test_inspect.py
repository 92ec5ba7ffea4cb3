"""Looks into the disks of living guests: whatever happens, the guest runs on and nothing is left."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.bed import NODEOPS, Bed, Result
from tests.real.guests import HOST, await_guest, boots, counted, on_host

AGREED = ("--consent", "the tests", "--yes")


def nodeops(bed: Bed, *words: str) -> Result:
    return bed.run(*words, **bed.reached)


def left(bed: Bed) -> str:
    """What a look could leave on the host: mounts, exports, loop devices, looks."""
    return on_host(
        bed,
        HOST,
        "grep nodeops /proc/mounts; losetup -a | grep nodeops; pgrep -l 'qemu-storage-da|nbdfuse|qemu-nbd';"
        "ls -d /run/nodeops/inspect/*/ 2>/dev/null; true",
    ).strip()


def state(bed: Bed, name: str) -> str:
    return on_host(bed, HOST, f"virsh domstate {bed.servers()[name]['id']}").strip()


def one(bed: Bed) -> str:
    (name,) = bed.boot(HOST, 1)
    await_guest(bed, name)
    bed.until(lambda: counted(bed, name) > 20)
    return name


@contextmanager
def looking(bed: Bed, name: str, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """A look with a shell that waits for what it is told."""
    command = [NODEOPS, "--os-cloud", bed.layout.name, "inspect", name, *AGREED, *more]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=bed.environment(**bed.reached),
    ) as process:
        try:
            bed.until(lambda: "/fs/" in left(bed))
            yield process
        finally:
            process.kill()


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def test_a_look_lists_and_copies_and_the_guest_goes_on(bed: Bed, tmp_path: Path) -> None:
    name = one(bed)
    # the guest's file system writes to the disk every five seconds what its processes have written
    bed.until(lambda: counted(bed, name) > 100)
    before = counted(bed, name)
    refused = nodeops(bed, "inspect", name, "--list", "/", "--yes")
    assert refused.code == 3, refused.err
    listed = nodeops(bed, "inspect", name, "--list", "/", *AGREED, "-o", "json")
    assert listed.code == 0, listed.err
    assert listed.json["guest"] == {"before": "running", "suspended": True, "after": "running"}
    assert {"boots", "counter"} <= {entry["name"] for entry in listed.json["entries"]}
    copied = nodeops(bed, "inspect", name, "--copy", "/boots", "--to", str(tmp_path), *AGREED)
    assert copied.code == 0, copied.err
    assert (tmp_path / "boots").read_text().strip() == "1"
    assert left(bed) == ""
    assert state(bed, name) == "running"
    bed.until(lambda: counted(bed, name) > before + 10)
    assert boots(bed, name) <= 1, "it was not booted again"
    assert "the tests" in nodeops(bed, "show", "last", "-o", "json").out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_guest_comes_back_when_nodeops_is_ended(bed: Bed, number: int) -> None:
    name = one(bed)
    with looking(bed, name) as process:
        assert state(bed, name) == "paused"
        process.send_signal(number)
        process.wait(timeout=120)
    bed.until(lambda: left(bed) == "", seconds=90)
    assert state(bed, name) == "running"
    cleaned = nodeops(bed, "inspect", "--clean", HOST, "--yes")
    assert cleaned.code == 0, cleaned.err
    assert "nothing is left" in cleaned.out
    before = counted(bed, name)
    bed.until(lambda: counted(bed, name) > before)


def test_a_killed_keeper_is_started_again_and_takes_down(bed: Bed) -> None:
    name = one(bed)
    with looking(bed, name) as process:
        on_host(bed, HOST, "kill -9 $(pgrep -f 'agent-.*pyz [k]eep')")
        assert process.wait(timeout=120) == 13
    assert left(bed) == ""
    assert state(bed, name) == "running"


def test_a_guest_that_somebody_resumes_ends_the_look(bed: Bed) -> None:
    name = one(bed)
    with looking(bed, name) as process:
        on_host(bed, HOST, f"virsh resume {bed.servers()[name]['id']}")
        assert process.wait(timeout=120) == 13
        assert process.stderr is not None
        assert "somebody else works on it" in process.stderr.read()
    assert left(bed) == ""
    assert state(bed, name) == "running"


def test_a_server_can_be_started_while_its_disk_is_looked_into(bed: Bed) -> None:
    name = one(bed)
    bed.stop(name)
    with looking(bed, name) as process:
        bed.act(name, {"os-start": None})
        bed.becomes("ACTIVE", name)
        assert process.wait(timeout=120) == 13
    assert left(bed) == ""
    bed.until(lambda: boots(bed, name) == 2)


def test_writing_takes_a_stopped_server_and_is_there_after_its_boot(bed: Bed) -> None:
    name = one(bed)
    refused = nodeops(bed, "inspect", name, "--write", *AGREED)
    assert refused.code == 5
    bed.stop(name)
    with looking(bed, name, "--write") as process:
        assert bed.servers()[name]["locked_reason"].startswith("nodeops ")
        tell(process, "echo by hand > mended; exit")
        assert process.wait(timeout=120) == 0
    assert left(bed) == ""
    assert not bed.servers()[name]["locked"]
    bed.act(name, {"os-start": None})
    bed.until(lambda: boots(bed, name) == 2)
    listed = nodeops(bed, "inspect", name, "--list", "/", *AGREED, "-o", "json")
    assert "mended" in {entry["name"] for entry in listed.json["entries"]}


def test_a_lock_that_a_killed_nodeops_left_is_taken_off(bed: Bed) -> None:
    name = one(bed)
    bed.stop(name)
    with looking(bed, name, "--write") as process:
        process.kill()
        process.wait(timeout=120)
    bed.until(lambda: left(bed) == "", seconds=90)
    assert bed.servers()[name]["locked"]
    cleaned = nodeops(bed, "inspect", "--clean", HOST, "--yes")
    assert cleaned.code == 0, cleaned.err
    assert "unlock it" in cleaned.err
    assert not bed.servers()[name]["locked"]
