"""Copying a dead host's directories, piece by piece, so that it can be gone on with; checksums at the end.

A file grows as `NAME.nodeops-part` and gets its name when both sides have the same SHA-256. What is there
under its name is never written to.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from nodeops.onhost import instances
from nodeops.onhost.trouble import Trouble

PART = ".nodeops-part"
SUMS = "SHA256SUMS"
PIECE = 4 * 1024 * 1024
CHUNK = 1024 * 1024


def _inside(root: str, name: str) -> Path:
    """A file below the root; raises `Trouble` for what would lead out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise Trouble(f"{name!r} leads elsewhere")
    return Path(root) / name


def files(asked: dict[str, Any]) -> dict[str, Any]:
    """Regular files of some directories, and what is in use and therefore not copied."""
    path = instances._path(asked)  # noqa: SLF001 - one check of the path for both
    used = instances.use(asked)
    running = {each["server"] for each in used["domains"] if each["state"] not in {"shut off", "crashed"}}
    found = []
    for name in asked["names"]:
        top = _inside(str(path), name)
        names = (
            [top]
            if top.is_file()
            else [Path(folder) / each for folder, _, those in os.walk(str(top)) for each in those]
        )
        for file in sorted(names):
            if file.is_symlink() or not file.is_file():
                continue
            seen = file.stat()
            found.append(
                {
                    "name": str(file.relative_to(path)),
                    "size": seen.st_size,
                    "space": seen.st_blocks * 512,
                    "mode": seen.st_mode & 0o777,
                    "modified": seen.st_mtime,
                }
            )
    return {"files": found, "open": used["open"], "running": sorted(running)}


def state(asked: dict[str, Any]) -> dict[str, Any]:
    """How far the copy of a file is: its checksum once it is whole, else the bytes that are there."""
    root, file = str(asked["root"]), _inside(str(asked["root"]), str(asked["name"]))
    part = file.with_name(file.name + PART)
    return {
        "exists": file.exists(),
        "size": file.stat().st_size if file.exists() else 0,
        "sum": _sums(Path(root)).get(str(asked["name"]), ""),
        "part": part.stat().st_size if part.exists() else 0,
    }


def room(asked: dict[str, Any]) -> dict[str, Any]:
    """Space at the target; raises `Trouble` when it is no directory."""
    root = Path(asked["root"])
    if not root.is_absolute() or not root.is_dir():
        raise Trouble(f"{root} is no directory there", "Make it first.")
    found = os.statvfs(str(root))
    return {
        "free": found.f_frsize * found.f_bavail,
        "inode": root.stat().st_ino,
        "device": root.stat().st_dev,
    }


def take(asked: dict[str, Any]) -> None:
    """A piece of a file to standard output; nothing at all when it is all zeros."""
    with _inside(str(asked["root"]), str(asked["name"])).open("rb") as file:
        file.seek(int(asked["offset"]))
        piece = file.read(PIECE)
    if piece.strip(b"\0"):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def put(asked: dict[str, Any]) -> dict[str, Any]:
    """Write a piece at its place in the growing file; zeros become a hole."""
    part = _part(asked)
    piece, offset, length = base64.b64decode(asked["piece"]), int(asked["offset"]), int(asked["length"])
    _write(part, offset, piece, length)
    return {"part": part.stat().st_size}


def _part(asked: dict[str, Any]) -> Path:
    file = _inside(str(asked["root"]), str(asked["name"]))
    if file.exists():
        raise Trouble(
            f"{file} exists already", "Nothing is overwritten: move it away, or use another target."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + PART)
    part.touch(mode=0o600)
    return part


def _write(part: Path, offset: int, piece: bytes, length: int) -> None:
    with part.open("r+b") as file:
        if piece.strip(b"\0"):
            file.seek(offset)
            file.write(piece)
        elif file.seek(0, os.SEEK_END) < offset + length:
            file.truncate(offset + length)


def copy(asked: dict[str, Any]) -> dict[str, Any]:
    """On one machine: as much of a file as can be copied in `seconds`."""
    source = _inside(str(asked["path"]), str(asked["name"]))
    part, size, deadline = _part(asked), source.stat().st_size, time.monotonic() + float(asked["seconds"])
    with source.open("rb") as file:
        offset = part.stat().st_size // PIECE * PIECE
        while offset < size and time.monotonic() < deadline:
            file.seek(offset)
            piece = file.read(PIECE)
            _write(part, offset, piece, len(piece))
            offset += len(piece)
    return {"part": offset, "size": size}


def sum_of(asked: dict[str, Any]) -> dict[str, Any]:
    """SHA-256 of a file, or of its growing copy."""
    file = _inside(str(asked["root"]), str(asked["name"]) + (PART if asked.get("part") else ""))
    seen = hashlib.sha256()
    with file.open("rb") as opened:
        for chunk in iter(lambda: opened.read(CHUNK), b""):
            seen.update(chunk)
    return {"sha256": seen.hexdigest(), "size": file.stat().st_size}


def finish(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the copy its name, if it has the source's checksum; else it is begun anew."""
    part = _part(asked)
    seen = sum_of({**asked, "part": True})
    if seen["sha256"] != asked["sha256"]:
        part.unlink()
        raise Trouble(
            f"{asked['name']}: the copy differs from the source", "It is copied anew the next time."
        )
    file = part.with_name(part.name[: -len(PART)])
    owner = Path(asked["root"]).stat()
    with part.open("rb") as opened:
        os.fsync(opened.fileno())
    part.chmod(int(asked["mode"]))
    for each in (part, part.parent):
        with contextlib.suppress(PermissionError):
            os.chown(str(each), owner.st_uid, owner.st_gid)
    os.utime(str(part), (float(asked["modified"]),) * 2)
    os.link(str(part), str(file))
    part.unlink()
    with (Path(asked["root"]) / SUMS).open("a") as sums:
        sums.write(f"{seen['sha256']}  {asked['name']}\n")
        sums.flush()
        os.fsync(sums.fileno())
    return seen


def _sums(root: Path) -> dict[str, str]:
    """By name, as `sha256sum -c` reads them."""
    found = {}
    with contextlib.suppress(OSError):
        for line in (root / SUMS).read_text().splitlines():
            digest, _, name = line.partition("  ")
            found[name] = digest
    return found
