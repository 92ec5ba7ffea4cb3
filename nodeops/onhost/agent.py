"""The directory of what nodeops keeps on this host until the next boot, and its own program in there.

The program is a file only for what outlives the connection or has a terminal: a question brings it along.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nodeops.onhost.trouble import Trouble


def run_folder(asked: dict[str, Any]) -> Path:
    """Raises `Trouble` when others than this user may write to it."""
    folder = Path(asked["run_folder"])
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or folder.is_symlink() or not folder.is_dir():
        raise Trouble(f"{folder} is not safe to use: it belongs to somebody else, or others may write to it")
    return folder


def put(asked: dict[str, Any]) -> Path:
    """Make the program a file, if it is not there yet. Raises `Trouble`."""
    folder = run_folder(asked)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, content = folder / str(asked["agent"]), asked["archive"]
    if not file.exists() or file.read_bytes() != content:
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_bytes(content)
        new.replace(file)
    return file
