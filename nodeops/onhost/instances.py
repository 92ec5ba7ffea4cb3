"""What lies in Nova's instances path, who uses it, and moving it aside. Nothing is ever deleted.

Reading, but for `quarantine`, which renames within the path's own file system after looking once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodeops.onhost import domains
from nodeops.onhost.programs import LONG, find, from_json, processes, run
from nodeops.onhost.space import mount_of
from nodeops.onhost.trouble import Trouble

QUARANTINE = "_nodeops-quarantine"
BASE = "_base"
SERVER = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(_resize|_del)?")
NO_DISKS = frozenset({"disk.config", "disk.info", "disk.swap.info"})
CHECK_SECONDS = 120.0
"""For all `qemu-img check` together."""
QCOW2 = b"QFI\xfb"


def survey(asked: dict[str, Any]) -> dict[str, Any]:
    """Directories, base files, chains, and what uses them."""
    path = _path(asked)
    used = use(asked)
    entries, images, deadline = [], [], time.monotonic() + CHECK_SECONDS
    for each in sorted(path.iterdir()):
        entry = _entry(each)
        if entry is None:
            continue
        entries.append(entry)
        match = SERVER.fullmatch(each.name)
        if match and each.is_dir():
            running = each.name in used["open"]
            images += [_image(file, path, deadline, checked=not running) for file in _disks(each)]
    base = path / BASE
    bases = _entries(base)
    for entry in bases:
        entry["trouble"] = _base_trouble(base / entry["name"])
    return {
        **used,
        "entries": entries,
        "images": images,
        "bases": bases,
        "quarantined": _entries(path / QUARANTINE),
    }


def use(asked: dict[str, Any]) -> dict[str, Any]:
    """The path's identity, and what processes and domains of this host use of it."""
    path = _path(asked)
    found, room = path.stat(), os.statvfs(path)
    _, source, kind = mount_of(path)
    users: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        users = json.loads((path / "compute_nodes").read_text())
    return {
        "path": str(path),
        "inode": found.st_ino,
        "changed": found.st_ctime_ns,
        "filesystem": kind,
        "source": source,
        "size": room.f_frsize * room.f_blocks,
        "free": room.f_frsize * room.f_bavail,
        "users": sorted(users),
        "open": sorted(_open_files(path)),
        "domains": _domains(path),
        "servers": {each.name: each.lstat().st_ino for each in path.iterdir() if SERVER.fullmatch(each.name)},
        "now": time.time(),
    }


def _path(asked: dict[str, Any]) -> Path:
    path = Path(asked["path"])
    if not path.is_absolute() or not path.is_dir():
        raise Trouble(f"{path} is no directory here", "nodeops_instances_path in the inventory names it.")
    return path.resolve()


def _entry(path: Path) -> dict[str, Any] | None:
    """Space taken and the newest change in it; None for what goes away meanwhile."""
    try:
        found = path.lstat()
        space, newest, files = found.st_blocks * 512, max(found.st_mtime, found.st_ctime), []
        if stat.S_ISDIR(found.st_mode) and path.name != QUARANTINE:
            for folder, folders, names in os.walk(str(path)):
                for name in (*folders, *names):
                    inside = (Path(folder) / name).lstat()
                    space += inside.st_blocks * 512
                    newest = max(newest, inside.st_mtime, inside.st_ctime)
                files += [str((Path(folder) / name).relative_to(path)) for name in names]
    except FileNotFoundError:
        return None
    return {
        "name": path.name,
        "folder": stat.S_ISDIR(found.st_mode),
        "inode": found.st_ino,
        "bytes": space,
        "newest": newest,
        "files": sorted(files)[:50],
    }


def _entries(folder: Path) -> list[dict[str, Any]]:
    found = map(_entry, sorted(folder.iterdir())) if folder.is_dir() else ()
    return [entry for entry in found if entry]


def _open_files(path: Path) -> Iterator[str]:
    """First names below the path, `_base/NAME` for base files, of what any process has open or runs in."""
    prefix, seen = str(path) + "/", set()
    for pid in processes():
        process = Path("/proc") / str(pid)
        links = [process / "cwd"]
        with contextlib.suppress(OSError):
            links += list((process / "fd").iterdir())
        for link in links:
            with contextlib.suppress(OSError):
                target = os.readlink(str(link))  # noqa: PTH115 - Path.readlink came with Python 3.9
                if target.startswith(prefix):
                    seen.add(_first(target[len(prefix) :]))
    yield from seen


def _first(inside: str) -> str:
    parts = inside.split("/")
    return "/".join(parts[:2]) if parts[0] == BASE and len(parts) > 1 else parts[0]


def _domains(path: Path) -> list[dict[str, Any]]:
    """Every domain of this host with what it uses of the path; an empty list without libvirt."""
    try:
        listed = run([*domains.virsh(), "list", "--all", "--uuid"])
    except Trouble:
        return []
    if listed.code:
        raise Trouble(f"virsh: {listed.words}")
    prefix, found = str(path) + "/", []
    for uuid in listed.out.split():
        each = domains.domain(uuid)
        files = [disk.source[len(prefix) :] for disk in each.disks if disk.source.startswith(prefix)]
        found.append({"server": uuid, "state": each.state, "uses": sorted({_first(name) for name in files})})
    return found


def _disks(folder: Path) -> list[Path]:
    names = (each for each in sorted(folder.glob("disk*")) if each.name not in NO_DISKS)
    return [each for each in names if each.is_file() and not each.is_symlink()]


def _image(file: Path, path: Path, deadline: float, *, checked: bool) -> dict[str, Any]:
    """Its chain as `qemu-img` reads it, with the format that Nova wrote down, never a guessed one."""
    formats: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        formats = json.loads((file.parent / "disk.info").read_text())
    kind = formats.get(str(file)) or _by_name(file, formats)
    found: dict[str, Any] = {
        "file": str(file.relative_to(path)),
        "format": kind,
        "chain": [],
        "trouble": "",
        "missing": "",
        "followed": False,
        "checked": False,
    }
    if find("qemu-img") is None or not kind:
        return found
    _follow(file, kind, found)
    if checked and not found["trouble"] and kind == "qcow2" and time.monotonic() < deadline:
        _check(file, found)
    return found


def _by_name(file: Path, formats: dict[str, str]) -> str:
    """Of a directory that was moved or renamed since; qcow2 where nothing is written down and it says so."""
    for known, kind in formats.items():
        if Path(known).name == file.name:
            return kind
    with contextlib.suppress(OSError), file.open("rb") as opened:
        if not formats and opened.read(4) == QCOW2:
            return "qcow2"
    return ""


def _follow(file: Path, kind: str, found: dict[str, Any]) -> None:
    words = ["qemu-img", "info", "--force-share", "-f", kind, "--output=json"]
    asked = run([*words, str(file)], seconds=LONG)
    if asked.code:
        found["trouble"] = asked.words
        return
    backing = from_json(asked.out, "qemu-img").get("full-backing-filename")
    if kind != "qcow2" or not backing:
        found["followed"] = True
        return
    if not Path(backing).exists():
        found["missing"], found["trouble"] = backing, f"its backing file {backing} is missing"
        return
    chained = run([*words[:3], "--backing-chain", *words[3:], str(file)], seconds=LONG)
    if chained.code:
        found["trouble"] = chained.words
        return
    found["chain"] = [each["filename"] for each in from_json(chained.out, "qemu-img")][1:]
    found["followed"] = True


def _check(file: Path, found: dict[str, Any]) -> None:
    """Leaks cost space only; errors cost data. Exit codes of qemu-img: 0 good, 2 errors, 3 leaks."""
    with contextlib.suppress(Trouble):
        asked = run(
            ["qemu-img", "check", "--force-share", "-f", "qcow2", "--output=json", str(file)], seconds=LONG
        )
        found["checked"] = True
        if asked.code not in {0, 3}:
            errors = 0
            with contextlib.suppress(Trouble):
                said = from_json(asked.out, "qemu-img")
                errors = said.get("corruptions", 0) or said.get("check-errors", 0)
            found["trouble"] = f"qemu-img check finds {errors} errors" if errors else asked.words


def _base_trouble(file: Path) -> str:
    """Why nothing can be built on it; raw files can only be seen to be empty or unreadable."""
    try:
        if file.stat().st_size == 0:
            return "is empty"
        with file.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    if magic == QCOW2 and find("qemu-img"):
        asked = run(["qemu-img", "check", "--force-share", "-f", "qcow2", str(file)], seconds=LONG)
        return "" if asked.code in {0, 3} else asked.words
    return ""


def quarantine(asked: dict[str, Any]) -> dict[str, Any]:
    """Move one entry aside, if it is still what was agreed to; raises `Trouble` else."""
    path, name = _path(asked), str(asked["name"])
    source = path / name
    into = path / QUARANTINE / str(asked["into"])
    target = into / name
    if target.exists() and not source.exists():
        return {"moved": str(target)}
    if Path(name).is_absolute() or ".." in Path(name).parts or source.is_symlink():
        raise Trouble(f"{name} is no entry of {path}")
    entry = _entry(source)
    if entry is None or entry["inode"] != asked["inode"]:
        raise Trouble(f"{name} is not what it was")
    if time.time() - entry["newest"] < float(asked["older_than"]):
        raise Trouble(f"{name} was changed since")
    used = use(asked)
    if name in used["open"] or any(name in each["uses"] for each in used["domains"]):
        raise Trouble(f"{name} is in use")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _manifest(into, asked, source)
    source.rename(target)
    return {"moved": str(target)}


def _manifest(into: Path, asked: dict[str, Any], source: Path) -> None:
    """Where it was and why it was moved; on disk before it is."""
    line = {key: asked[key] for key in ("name", "class", "why", "run")}
    with (into / "manifest.jsonl").open("a") as file:
        file.write(json.dumps({**line, "from": str(source), "at": time.time()}) + "\n")
        file.flush()
        os.fsync(file.fileno())
