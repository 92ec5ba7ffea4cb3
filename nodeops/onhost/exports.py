"""A disk image shown as one raw file or device: read only and without QEMU's locks, unless for writing.

`force-share` leaves the locks of a guest that is paused or is started meanwhile alone: it can neither be kept
from starting nor harmed by the export. Without it, for writing, QEMU itself refuses an image that is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from stat import S_ISBLK
from typing import NamedTuple

from nodeops.onhost.programs import LONG, detached, find, must, processes, run
from nodeops.onhost.trouble import Trouble

EXPORTERS = frozenset({"qemu-nbd", "qemu-storage-daemon", "nbdfuse"})
DEVICES = Path("/sys/block")
APPEAR_SECONDS = 15.0
PAUSE = 0.05
NBD, DAEMON, FUSE = "nbd", "storage-daemon", "nbdfuse"


class Image(NamedTuple):
    path: str
    format: str
    writable: bool = False

    @property
    def node(self) -> dict[str, object]:
        """As QEMU's block layer is told of it."""
        lower = "host_device" if S_ISBLK(Path(self.path).stat().st_mode) else "file"
        file = {"driver": lower, "filename": self.path, "read-only": not self.writable}
        return {
            "driver": self.format,
            "node-name": "disk",
            "read-only": not self.writable,
            "force-share": not self.writable,
            "file": file,
        }

    @property
    def name(self) -> str:
        """As a file name of QEMU's tools."""
        return "json:" + json.dumps({key: value for key, value in self.node.items() if key != "node-name"})


def ways(devices: Path = DEVICES) -> list[str]:
    """How an image can be exported here, the best first."""
    found = []
    if find("qemu-nbd") and any(devices.glob("nbd*")):
        found.append(NBD)
    if Path("/dev/fuse").exists():
        if find("qemu-storage-daemon") and "type=]fuse" in _help():
            found.append(DAEMON)
        if find("qemu-nbd") and find("nbdfuse"):
            found.append(FUSE)
    return found


def load_nbd(devices: Path = DEVICES) -> None:
    """The kernel's module, where there is one; it is no error where there is none."""
    if not any(devices.glob("nbd*")):
        with contextlib.suppress(Trouble):
            run(["modprobe", "nbd"])


def free_device(devices: Path = DEVICES) -> str | None:
    """A /dev/nbdN that nobody uses: without a server's process, without a size, without holders."""
    for each in sorted(devices.glob("nbd*"), key=lambda path: int(path.name[3:])):
        try:
            size = int((each / "size").read_text())
        except (OSError, ValueError):
            continue
        if size == 0 and not (each / "pid").exists() and not any((each / "holders").glob("*")):
            return each.name
    return None


def reserve(device: str, locks: Path) -> int | None:
    """Keep other runs of nodeops off it as long as this process lives; None when one has it."""
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(str(locks / device), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def connect(image: Image, device: str) -> None:
    """Raises `Trouble`; the kernel refuses a device that somebody else took meanwhile."""
    read_only = [] if image.writable else ["--read-only"]
    must([_program("qemu-nbd"), *read_only, "--connect=/dev/" + device, image.name], seconds=LONG)
    _await(lambda: int((DEVICES / device / "size").read_text()) > 0, f"/dev/{device} got no size")


def disconnect(device: str) -> None:
    """Also when it is not connected."""
    run([_program("qemu-nbd"), "--disconnect", "/dev/" + device])


def serve(image: Image, way: str, folder: Path) -> Path:
    """A file in `folder` that is the raw disk; raises `Trouble`."""
    file = folder / "disk.raw"
    file.touch(mode=0o600)
    if way == DAEMON:
        export = {
            "type": "fuse",
            "id": "look",
            "node-name": "disk",
            "mountpoint": str(file),
            "writable": image.writable,
        }
        _start(
            [
                _program("qemu-storage-daemon"),
                "--blockdev",
                json.dumps(image.node),
                "--export",
                json.dumps(export),
            ],
            folder,
        )
    else:
        socket = folder / "nbd.sock"
        read_only = [] if image.writable else ["--read-only"]
        _start(
            [_program("qemu-nbd"), *read_only, "--persistent", "--socket=" + str(socket), image.name], folder
        )
        _await(socket.exists, f"qemu-nbd does not listen: {_said(folder)}")
        read_only = [] if image.writable else ["--readonly"]
        _start([_program("nbdfuse"), *read_only, str(file), "--unix", str(socket)], folder)
    _await(lambda: os.path.ismount(str(file)), f"the disk was not exported: {_said(folder)}")
    return file


def exporters(folder: Path) -> list[int]:
    """Processes that export something below that folder."""
    inside = str(folder) + "/"
    return [
        pid
        for pid, words in processes().items()
        if words and Path(words[0]).name in EXPORTERS and any(inside in word for word in words[1:])
    ]


def end_all(folder: Path) -> None:
    """Every export below that folder; raises `Trouble` when one does not end."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        found = exporters(folder)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while exporters(folder) and time.monotonic() < deadline:
            time.sleep(PAUSE)
    left = exporters(folder)
    if left:
        raise Trouble("processes {} do not end".format(", ".join(map(str, left))))


def _help() -> str:
    ended = run([_program("qemu-storage-daemon"), "--help"])
    return ended.out


def _program(name: str) -> str:
    found = find(name)
    if found is None:
        raise Trouble(f"{name} is not installed", "Install qemu-utils on the host.")
    return found


def _start(argv: list[str], folder: Path) -> None:
    with (folder / "export.log").open("ab") as log:
        detached(argv, cwd="/", output=log)


def _said(folder: Path) -> str:
    lines = (folder / "export.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def _await(holds: object, words: str) -> None:
    deadline = time.monotonic() + APPEAR_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            if holds():  # type: ignore[operator]
                return
        time.sleep(PAUSE)
    raise Trouble(words)
