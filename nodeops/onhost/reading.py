"""Listing and reading inside a mounted file system, from a process that has it as its root.

So every symbolic link leads to where it leads for the guest, never to a file of this host. Only directories
are listed and only regular files are opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import Any

from nodeops.onhost.trouble import Trouble

MOST_ENTRIES = 5000
CHUNK = 1024 * 1024


def enter(root: Path) -> None:
    """For the rest of this process. Raises `Trouble`."""
    if not os.path.ismount(str(root)):
        raise Trouble(f"{root.name} is not mounted")
    os.chroot(str(root))
    os.chdir("/")


def listing(path: str) -> dict[str, Any]:
    """A directory's entries, or the one entry that the path is."""
    try:
        if not stat.S_ISDIR(Path(path).stat().st_mode):
            return {"entries": [_entry(path, path)], "more": False}
        with os.scandir(path) as found:
            names = sorted(each.name for each in found)
    except OSError as error:
        raise Trouble(f"{path}: {(error.strerror or str(error)).lower()}") from None
    entries = [_entry(name, f"{path}/{name}") for name in names[:MOST_ENTRIES]]
    return {"entries": entries, "more": len(names) > MOST_ENTRIES}


def _entry(name: str, path: str) -> dict[str, Any]:
    try:
        found = os.lstat(path)
        # Path.readlink came with Python 3.9.
        link = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""  # noqa: PTH115
    except OSError:
        return {"name": name, "mode": "?", "uid": 0, "gid": 0, "size": 0, "modified": 0.0, "link": ""}
    return {
        "name": name,
        "mode": stat.filemode(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "size": found.st_size,
        "modified": found.st_mtime,
        "link": link,
    }


def _open(path: str) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Trouble(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Trouble(f"{path} is no regular file", "Only regular files are copied.")
    return handle


def digest(path: str) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    handle, seen, size = _open(path), hashlib.sha256(), 0
    with os.fdopen(handle, "rb") as file:
        for chunk in iter(lambda: _read(file, path), b""):
            seen.update(chunk)
            size += len(chunk)
    return {"size": size, "sha256": seen.hexdigest()}


def _read(file: Any, path: str) -> bytes:
    try:
        chunk: bytes = file.read(CHUNK)
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    return chunk


def send(path: str, offset: int, length: int) -> None:
    """These bytes of a file, to standard output."""
    with os.fdopen(_open(path), "rb") as file:
        file.seek(offset)
        try:
            sys.stdout.buffer.write(file.read(length))
        except OSError as error:
            raise Trouble(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    sys.stdout.buffer.flush()
