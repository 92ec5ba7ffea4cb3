"""A guest's disk with partitions and volumes, made by the real tools, and a virsh that only remembers.

The virsh stands for libvirt where a test is about what is done around it; tests/real has the real one.
"""

import hashlib
import json
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services.docker import install

PROGRAMS = {
    "qemu-nbd": "qemu-utils",
    "nbdfuse": "nbdfuse",
    "sfdisk": "fdisk",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "pvcreate": "lvm2",
    "fusermount3": "fuse3",
}
MIB = 1024 * 1024
FIRST, SECOND = MIB, 33 * MIB
VIRSH = """#!/bin/sh
# virsh --connect URI WORD [--domain UUID …], of domains that are directories here.
cd "{folder}" || exit 1
word=$3 uuid=$5
case $word in
list) ls; exit ;;
--version) echo 0; exit ;;
esac
if [ ! -d "$uuid" ]; then echo "error: failed to get domain '$uuid'" >&2; exit 1; fi
case $word in
domstate) echo "$(cat "$uuid/state") ($(cat "$uuid/reason"))" ;;
domid) cat "$uuid/id" ;;
dominfo) echo "Managed save:   $(cat "$uuid/saved")" ;;
dumpxml) cat "$uuid/xml" ;;
suspend) echo paused >"$uuid/state"; echo user >"$uuid/reason"; echo suspend >>"$uuid/log" ;;
resume) echo running >"$uuid/state"; echo unpaused >"$uuid/reason"; echo resume >>"$uuid/log" ;;
*) echo "error: unknown command: '$word'" >&2; exit 1 ;;
esac
"""
XML = """<domain><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{file}'/>
<target dev='vda'/></disk>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/nowhere'/>
<target dev='hda'/></disk>
</devices></domain>"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A domain as the virsh above knows it."""

    uuid: str
    folder: Path
    image: Path

    @property
    def state(self) -> str:
        return self._read("state")

    @property
    def log(self) -> list[str]:
        return self._read("log").split()

    def become(self, state: str, *, run: str = "7", reason: str = "booted", saved: str = "no") -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        values = {"state": state, "reason": reason, "id": run, "saved": saved}
        for name, value in {**values, "xml": XML.format(file=self.image)}.items():
            (self.folder / name).write_text(value + "\n")
        (self.folder / "log").touch()

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()


def put_virsh(programs: Path, domains: Path) -> None:
    domains.mkdir(parents=True, exist_ok=True)
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "virsh").write_text(VIRSH.format(folder=domains))
    (programs / "virsh").chmod(0o755)


def run(*words: str | Path) -> str:
    return subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout


def make_disk(folder: Path) -> Path:
    """A qcow2 of two partitions: ext4 with files; LVM with an ext4, a volume in pieces and an empty one."""
    install(PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    raw, tree = folder / "raw", folder / "tree"
    _tree(tree)
    raw.write_bytes(b"")
    os.truncate(raw, 128 * MIB)
    layout = f"label: gpt\nstart={FIRST // 512},size=32M\nstart={SECOND // 512},size=90M,type=lvm\n"
    subprocess.run(["sfdisk", "-q", raw], input=layout, text=True, check=True, capture_output=True)
    run("mkfs.ext4", "-q", "-F", "-L", "first", "-E", f"offset={FIRST}", "-d", tree, raw, "30m")
    volume = _volumes(raw)
    run("mkfs.ext4", "-q", "-F", "-E", f"offset={volume}", "-d", tree, raw, "16m")
    run("qemu-img", "convert", "-O", "qcow2", raw, folder / "disk")
    raw.unlink()
    return folder / "disk"


def _tree(tree: Path) -> None:
    for name in ("etc", "usr", "var/log"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "etc" / "hostname").write_text("the-guest\n")
    (tree / "var" / "log" / "syslog").write_bytes(bytes(range(256)) * 4096)
    (tree / "var" / "log" / "evil\x1b[2Jname").write_text("x")
    with suppress(FileExistsError):
        (tree / "link").symlink_to("/etc/hostname")
    with suppress(FileExistsError):
        os.mkfifo(tree / "pipe")


def _volumes(raw: Path) -> int:
    """Without device mapper: metadata only. Returns where volume `root` begins."""
    device = run(
        "losetup", "--find", "--show", "--offset", str(SECOND), "--sizelimit", str(90 * MIB), raw
    ).strip()
    group = f"vg{os.getpid()}"
    quiet = ("--driverloaded", "n", "--devices", device)
    make = ("lvcreate", *quiet, "-an", "-Zn", "-Wn", "-y")
    try:
        run("pvcreate", *quiet, "-y", device)
        run("vgcreate", *quiet, group, device)
        for name, size in (("root", "16M"), ("home", "8M"), ("swap", "8M")):
            run(*make, "-L", size, "-n", name, group)
        run("lvextend", *quiet, "-L", "+8M", f"{group}/home")
        where = run("pvs", *quiet, "--noheadings", "--units", "b", "-o", "pe_start", device).strip()
    finally:
        run("losetup", "--detach", device)
    return SECOND + int(where.rstrip("B"))


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def note_formats(folder: Path, **formats: str) -> None:
    """As Nova's libvirt driver does it beside the disks."""
    known = {str(folder / name): kind for name, kind in formats.items()}
    (folder / "disk.info").write_text(json.dumps(known))
