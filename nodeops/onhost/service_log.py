"""nova-compute's own log: its file where it writes one (also as kolla has it), else what its manager kept."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import find, tried
from nodeops.onhost.services import CONTAINER, ENGINES, SYSTEMD, UNITS

FOLDERS = ("/var/log/nova", "/var/log/kolla/nova")
NAME = "nova-compute.log"
TAIL = 2 * 1024 * 1024


def newest(asked: dict[str, Any]) -> dict[str, Any]:
    """The newest `lines`; those since a time where `since` is one, in seconds since the epoch."""
    most, since = int(asked["lines"]), asked.get("since")
    file = next((file for file in (Path(folder) / NAME for folder in FOLDERS) if file.is_file()), None)
    if file is None:
        found = _of_manager(asked, str(most), since)
    else:
        found = tail(file, TAIL)
        found = _newer(found, since) if since else found
    return {"lines": found[-most:]}


def tail(file: Path, most_bytes: int) -> list[str]:
    """Whole lines of the end. Raises `OSError`."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        opened.seek(max(0, size - most_bytes))
        found = opened.read().decode(errors="replace").splitlines()
    return found[1:] if size > most_bytes else found


def _newer(lines: list[str], since: float) -> list[str]:
    """From the first line that is not older; lines without a time belong to the one before them."""
    first = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    for at, line in enumerate(lines):
        if line[:4].isdigit() and line[:19].replace("T", " ") >= first:
            return lines[at:]
    return []


def _of_manager(asked: dict[str, Any], most: str, since: float | None) -> list[str]:
    manager, unit = asked.get("manager"), asked.get("unit")
    if manager in {None, SYSTEMD} and find("journalctl"):
        for each in [unit] if unit else UNITS:
            words = [
                "journalctl",
                "--quiet",
                "--no-pager",
                "--output=short-iso",
                "--unit",
                each,
                "--lines",
                most,
            ]
            found = _printed([*words, *([f"--since=@{since:.0f}"] if since else [])])
            if found:
                return found
    for engine in [manager] if manager else ENGINES:
        if engine != SYSTEMD and find(engine):
            after = ["--since", f"{since:.0f}"] if since else []
            return _printed([engine, "logs", "--tail", most, *after, unit or CONTAINER])
    return []


def _printed(argv: list[str]) -> list[str]:
    """On both of its ways: a container's program logs on the one or the other."""
    ended = tried(argv, together=True)
    return [] if ended.code else ended.out.splitlines()
