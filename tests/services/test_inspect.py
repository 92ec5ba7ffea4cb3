"""Looks into disks over a real sshd, with real exports, loop devices and mounts; only virsh is ours.

They need root, as the host's side of a look does.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from nodeops.clients.disk_looker import HostDiskLooker
from nodeops.clients.on_host import OnHost
from nodeops.errors import HostTroubleError
from nodeops.model.inspecting import Look, Wanted
from tests.services.guest_disk import Guest, digest, make_disk, put_virsh
from tests.services.sshd import Server, running

pytestmark = pytest.mark.services
SERVER = "3f8e3df3-6b23-403d-b6bf-a466a5830adc"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """A host with one guest."""

    looker: HostDiskLooker
    guest: Guest
    run: Path

    def wanted(self, *, writable: bool = False) -> Wanted:
        found = self.looker.guest(SERVER, "/nowhere")
        way = found.ways[-1]
        return Wanted(SERVER, found, found.disks[0], way, 600.0, "tester@here", writable)

    def begin_silent(self, seconds: float) -> dict[str, Any]:
        """A look of somebody who is never heard of again."""
        wanted = self.wanted()
        asked = {
            "server": SERVER,
            "state": wanted.guest.state,
            "id": wanted.guest.run,
            "path": wanted.disk.source,
            "format": wanted.disk.format,
            "way": wanted.way,
            "writable": False,
            "seconds": 600.0,
            "silence": seconds,
            "who": "gone@elsewhere",
        }
        return self.looker.on_host.ask("begin", asked, seconds=PATIENCE)

    @property
    def left(self) -> list[str]:
        """Mounts and processes below the run directory."""
        mounts = [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.run) in line
        ]
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        programs = ("qemu-nbd", "nbdfuse", "qemu-storage-daemon")
        loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
        words = [line for line in shown.splitlines() if str(self.run) in line and line.split("/")[-1:]]
        exporting = [line for line in words if any(name in line.split()[0] for name in programs)]
        return [*mounts, *exporting, *(line for line in loops.splitlines() if str(self.run) in line)]

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not come to hold"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert os.geteuid() == 0, "looks into disks need root: exports, loop devices, mounts"
    with running(tmp_path_factory.mktemp("sshd")) as found:
        put_virsh(found.folder / "bin", found.folder / "domains")
        yield found


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def place(server: Server, disk: Path) -> Iterator[Place]:
    guest = Guest(SERVER, server.folder / "domains" / SERVER, disk)
    guest.become("running")
    (guest.folder / "log").write_text("")
    # Short, as names of Unix sockets have to be.
    with server.shell() as shell, TemporaryDirectory(prefix="n") as folder:
        run = Path(folder) / "run"
        found = Place(HostDiskLooker(OnHost(shell, str(run))), guest, run)
        yield found
        found.looker.clean((SERVER,))
        assert found.left == []


def test_a_look_reads_the_guests_files_and_puts_all_back(place: Place) -> None:
    before = digest(place.guest.image)
    look = place.looker.begin(place.wanted())
    assert place.guest.state == "paused"
    parts = {part.name.split("-")[-1]: part for part in look.parts}
    assert (parts["p1"].type, parts["p1"].label, parts["p1"].mounted) == ("ext4", "first", True)
    assert parts["root"].mounted
    assert "pieces" in parts["home"].trouble
    assert parts["swap"].trouble
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(place.run) in line]
    options = [line.split()[3].split(",") for line in mounts if line.split()[2] == "ext4"]
    assert all({"ro", "norecovery", "noexec", "nosuid", "nodev"} <= set(each) for each in options)
    assert len(options) == 2

    entries, more = place.looker.entries(SERVER, "p1", "/")
    assert {entry.name for entry in entries} >= {"etc", "usr", "var", "link", "pipe"}
    assert not more
    found = place.looker.digest(SERVER, "p1", "/var/log/syslog")
    content = place.looker.read(SERVER, "p1", "/var/log/syslog", 0, found.size)
    assert (found.size, content) == (1024 * 1024, bytes(range(256)) * 4096)
    assert place.looker.read(SERVER, parts["root"].name, "/link", 0, 100) == b"the-guest\n", (
        "an absolute link leads to the guest's file"
    )
    with pytest.raises(HostTroubleError, match="no regular file"):
        place.looker.read(SERVER, "p1", "/pipe", 0, 1)
    with pytest.raises(HostTroubleError, match="no part"):
        place.looker.entries(SERVER, "../../..", "/")

    ended = place.looker.end(SERVER)
    assert (ended.phase, ended.reason, ended.state_after) == ("ended", "asked", "running")
    assert place.guest.log == ["suspend", "resume"]
    assert place.left == []
    assert digest(place.guest.image) == before


def test_the_host_ends_a_look_that_nobody_keeps_up(place: Place) -> None:
    place.begin_silent(2.0)
    assert place.guest.state == "paused"
    place.until(lambda: place.guest.state == "running" and not place.looker.looks())
    assert place.left == []
    ended = place.looker.beat(SERVER)
    assert (ended.phase, ended.left) == ("ended", ())
    assert "nothing was heard" in ended.reason


def test_what_a_killed_keeper_left_is_taken_down(place: Place) -> None:
    keeper = place.begin_silent(600.0)["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    assert place.guest.state == "paused"
    assert place.left
    (done,) = place.looker.clean((SERVER,))
    assert done.left == ()
    assert place.guest.state == "running"
    assert place.left == []
    assert place.looker.looks() == ()


def test_a_killed_export_is_taken_down_too(place: Place) -> None:
    place.looker.begin(place.wanted())
    shown = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    for line in shown.splitlines():
        if str(place.run) in line and ("qemu-nbd" in line or "nbdfuse" in line):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    ended = place.looker.end(SERVER)
    assert ended.state_after == "running"
    assert place.left == []


def test_a_guest_that_somebody_resumed_is_left_to_run(place: Place) -> None:
    place.looker.begin(place.wanted())
    place.guest.become("running", reason="unpaused")
    place.until(lambda: not place.looker.looks())
    ended = place.looker.end(SERVER)
    assert "somebody else works on it" in ended.reason
    assert place.guest.log == ["suspend"]
    assert place.left == []


def test_a_guest_that_was_started_anew_is_not_resumed(place: Place) -> None:
    place.looker.begin(place.wanted())
    place.guest.become("paused", run="8", reason="user")
    place.until(lambda: not place.looker.looks())
    assert place.guest.log == ["suspend"]
    assert place.guest.state == "paused"


def test_a_guest_that_was_paused_stays_so(place: Place) -> None:
    place.guest.become("paused", reason="user")
    place.looker.begin(place.wanted())
    place.looker.end(SERVER)
    assert place.guest.log == []
    assert place.guest.state == "paused"


def test_a_guest_that_nova_paused_meanwhile_is_not_resumed(place: Place) -> None:
    place.looker.begin(place.wanted())
    ended = place.looker.end(SERVER, stay_paused=True)
    assert ended.state_after.startswith("paused")
    assert place.guest.log == ["suspend"]


def test_a_disk_that_cannot_be_read_leaves_nothing(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"this is no qcow2" * 100)
    wanted = place.wanted()
    with pytest.raises(HostTroubleError):
        place.looker.begin(replace(wanted, disk=replace(wanted.disk, source=str(broken))))
    assert place.guest.log == ["suspend", "resume"]
    assert place.left == []
    assert place.looker.looks() == ()


def test_one_look_at_a_time(place: Place) -> None:
    wanted = place.wanted()
    place.looker.begin(wanted)
    with pytest.raises(HostTroubleError, match="somebody looks into"):
        place.looker.begin(wanted)
    held = place.looker.guest(SERVER, "/nowhere").held
    assert isinstance(held, Look)
    assert (held.who, held.ready) == ("tester@here", True)
    place.looker.end(SERVER)


def test_a_guest_that_changed_since_it_was_agreed_is_left_alone(place: Place) -> None:
    wanted = place.wanted()
    place.guest.become("running", run="8")
    with pytest.raises(HostTroubleError):
        place.looker.begin(wanted)
    assert place.guest.log == []


def test_writing_takes_a_guest_that_is_off(place: Place) -> None:
    with pytest.raises(HostTroubleError, match="not shut off"):
        place.looker.begin(place.wanted(writable=True))
    place.guest.become("shut off", run="-", saved="yes")
    with pytest.raises(HostTroubleError, match="not shut off"):
        place.looker.begin(place.wanted(writable=True))
    assert place.guest.log == []


def test_what_is_written_is_there_afterwards(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(place.guest.image.read_bytes())
    guest = Guest(SERVER, place.guest.folder, copy)
    guest.become("shut off", run="-")
    place.looker.begin(place.wanted(writable=True))
    (place.run / "inspect" / SERVER / "fs" / "p1" / "mended").write_text("by hand")
    place.looker.end(SERVER)
    place.looker.begin(place.wanted())
    assert place.looker.read(SERVER, "p1", "/mended", 0, 100) == b"by hand"
    place.looker.end(SERVER)
    assert guest.log == []
