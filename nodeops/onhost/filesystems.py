"""File systems of a raw disk: found by their partitions and logical volumes, mounted by their offsets.

Offsets, since a kernel without partition support has no device of a partition. A look at a guest that is
paused finds a journal that was not played: these options keep the kernel from playing it, and the export
below refuses the write if it tried.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nodeops.onhost import lvm
from nodeops.onhost.programs import LONG, find, from_json, must, processes, run
from nodeops.onhost.trouble import Trouble

UNPLAYED: Mapping[str, str] = {
    "ext3": "noload",
    "ext4": "noload",
    "xfs": "norecovery,nouuid",
    "btrfs": "rescue=nologreplay",
    "f2fs": "norecovery",
    "nilfs2": "norecovery",
    "jfs": "nointegrity",
}
PLAIN = frozenset({"ext2", "vfat", "exfat", "ntfs", "ntfs3", "iso9660", "udf", "squashfs", "erofs", "ufs"})
"""Those without a journal of their own that a read-only mount would play."""
CLOSED: Mapping[str, str] = {
    "crypto_LUKS": "is encrypted",
    "BitLocker": "is encrypted",
    "linux_raid_member": "is part of a RAID",
    "zfs_member": "is part of a ZFS pool",
    "bcache": "is part of a bcache",
    "swap": "is swap",
    "": "holds no file system",
}
SAFE = "nosuid,nodev,noexec"
UNMOUNT_SECONDS = 10.0
PAUSE = 0.2
GENTLY = 2
"""So many times those who work in there are asked to end, then they are killed."""


class Part(NamedTuple):
    """A part of the disk that may hold a file system."""

    name: str
    """p1, p2, … for partitions, GROUP-VOLUME for logical volumes, whole for a disk without partitions."""
    offset: int
    size: int
    """Bytes; 0 for all of the disk."""
    type: str = ""
    label: str = ""
    trouble: str = ""
    """Why it is not mounted; empty when it is."""

    @property
    def plain(self) -> dict[str, object]:
        return dict(self._asdict())


def parts(disk: Path) -> list[Part]:
    """All of them in the order of the disk, with their types."""
    found = []
    for part in _partitions(disk):
        probed = _probed(disk, part)
        if probed.type == "LVM2_member":
            found += list(_logical(disk, probed))
        else:
            found.append(probed)
    return found


def _partitions(disk: Path) -> list[Part]:
    if find("sfdisk") is None:
        raise Trouble("sfdisk is not installed", "Install util-linux, or fdisk, on the host.")
    asked = run(["sfdisk", "--json", str(disk)])
    if asked.code:
        return [Part("whole", 0, 0)]
    table = from_json(asked.out, "sfdisk")["partitiontable"]
    sector = int(table.get("sectorsize", 512))
    numbered = []
    for each in table.get("partitions", ()):
        digits = each["node"][len(str(disk)) :].lstrip("p")
        if each.get("type", "").lower() not in {"5", "f", "85"}:
            numbered.append(Part("p" + digits, each["start"] * sector, each["size"] * sector))
    return numbered


def _probed(disk: Path, part: Part) -> Part:
    where = ["--offset", str(part.offset), *(["--size", str(part.size)] if part.size else [])]
    asked = run(["blkid", "--probe", "--output", "export", *where, str(disk)])
    said = dict(line.partition("=")[::2] for line in asked.out.splitlines())
    kind = said.get("TYPE", "")
    known = kind in UNPLAYED or kind in PLAIN or kind == "LVM2_member"
    trouble = "" if known else CLOSED.get(kind, f"is {kind}, which is not looked into")
    return part._replace(type=kind, label=said.get("LABEL", ""), trouble=trouble)


def _logical(disk: Path, member: Part) -> Iterator[Part]:
    with disk.open("rb") as file:
        try:
            found = lvm.volumes(file, member.offset)
        except (KeyError, ValueError, IndexError, TypeError):
            found = []
    if not found:
        yield member._replace(trouble="holds no volumes that could be read")
    for volume in found:
        name = f"{volume.group}-{volume.name}"
        part = Part(_file_name(name), member.offset + volume.offset, volume.size, "", "", volume.trouble)
        yield part if volume.trouble else _probed(disk, part)


def _file_name(name: str) -> str:
    """What the guest called it, as the name of a directory."""
    return (
        "".join(letter if letter.isalnum() or letter in "-_.+" else "_" for letter in name).lstrip(".") or "_"
    )


def mount(disk: Path, part: Part, folder: Path, *, writable: bool) -> str:
    """The loop device it took; raises `Trouble`."""
    folder.mkdir(mode=0o755, parents=True)
    limits = ["--sizelimit", str(part.size)] if part.size else []
    access = [] if writable else ["--read-only"]
    device = must(
        ["losetup", "--find", "--show", *access, "--offset", str(part.offset), *limits, str(disk)],
        seconds=LONG,
    ).strip()
    options = options_for(part.type, writable=writable)
    try:
        must(["mount", "-t", part.type, "-o", options, device, str(folder)], seconds=LONG)
    except Trouble:
        # There are few of them, and they are everybody's.
        run(["losetup", "--detach", device])
        raise
    return device


def options_for(kind: str, *, writable: bool) -> str:
    """Mount options: nothing of it is run, and unless it is for writing nothing is played or written."""
    if writable:
        return "rw," + SAFE
    return ",".join(filter(None, ("ro", SAFE, UNPLAYED.get(kind, ""))))


def mounts(folder: Path) -> list[str]:
    """Mounted below the folder, the deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        at = line.split()[4].encode().decode("unicode_escape")
        if at.startswith(str(folder) + "/"):
            found.append(at)
    return sorted(found, key=len, reverse=True)


def unmount_all(folder: Path) -> None:
    """Whoever works in there is ended first. Raises `Trouble` when something stays mounted."""
    deadline = time.monotonic() + UNMOUNT_SECONDS
    words = ""
    for attempt in range(1000):
        found = mounts(folder)
        if not found:
            return
        end_users(folder, signal.SIGHUP if attempt < GENTLY else signal.SIGKILL)
        for each in found:
            ended = run(["umount", each], seconds=LONG)
            words = ended.words if ended.code else words
        if mounts(folder) and time.monotonic() > deadline:
            break
        time.sleep(0 if attempt == 0 else PAUSE)
    raise Trouble(f"{mounts(folder)[0]} stays mounted: {words}")


def end_users(folder: Path, number: int) -> None:
    """Processes whose directory or open file is below the folder."""
    devices = set()
    for each in mounts(folder):
        with contextlib.suppress(OSError):
            devices.add(Path(each).stat().st_dev)
    if not devices:
        return
    for pid in processes():
        if pid != os.getpid() and _uses(Path("/proc") / str(pid), devices):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _uses(process: Path, devices: set[int]) -> bool:
    links = [process / "cwd", process / "root"]
    with contextlib.suppress(OSError):
        links += list((process / "fd").iterdir())
    for link in links:
        try:
            if link.stat().st_dev in devices:
                return True
        except OSError:
            continue
    return False


def loops(disk: Path) -> list[str]:
    """Loop devices of that raw disk."""
    listed = run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"])
    if listed.code or not listed.out.strip():
        return []
    devices = from_json(listed.out, "losetup")["loopdevices"]
    return [each["name"] for each in devices if (each["back-file"] or "").split(" (deleted)")[0] == str(disk)]


def detach_all(disk: Path) -> None:
    """Raises `Trouble` when a loop device stays."""
    for _ in range(25):
        found = loops(disk)
        if not found:
            return
        for each in found:
            run(["losetup", "--detach", each])
        time.sleep(PAUSE)
    raise Trouble("{} is still attached".format(", ".join(loops(disk))))
