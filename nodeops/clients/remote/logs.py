"""Prints the newest lines of nova-compute's log on the host it runs on, as one JSON document.

Read on standard input: `{"manager", "unit", "lines", "since"}`, `since` in seconds since the epoch.
Its file where it writes one (also as kolla has it), else what its manager has kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

FILES = ("/var/log/nova/nova-compute.log", "/var/log/kolla/nova/nova-compute.log")
UNITS = ("nova-compute", "openstack-nova-compute", "devstack@n-cpu")
CONTAINER = "nova_compute"
TAIL = 2 * 1024 * 1024
SECONDS = 15


def output(*argv: str) -> List[str]:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []


def of_file(path: str) -> List[str]:
    with open(path, "rb") as file:
        size = os.path.getsize(path)
        file.seek(max(0, size - TAIL))
        found = file.read().decode(errors="replace").splitlines()
    return found[1:] if size > TAIL else found


def newer(lines: List[str], since: float) -> List[str]:
    """From the first line that is not older; lines without a time belong to the one before them."""
    first = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    for at, line in enumerate(lines):
        if line[:4].isdigit() and line[:19].replace("T", " ") >= first:
            return lines[at:]
    return []


def of_manager(said: Dict[str, Any]) -> List[str]:
    most = str(said["lines"])
    if said.get("manager") in {None, "systemd"} and shutil.which("journalctl"):
        for unit in [said["unit"]] if said.get("unit") else UNITS:
            since = ["--since=@{:.0f}".format(said["since"])] if said.get("since") else []
            found = output(
                "journalctl",
                "--quiet",
                "--no-pager",
                "--output=short-iso",
                "--unit",
                unit,
                "--lines",
                most,
                *since,
            )
            if found:
                return found
    for manager in [said["manager"]] if said.get("manager") else ["docker", "podman"]:
        if manager != "systemd" and shutil.which(manager):
            since = ["--since", "{:.0f}".format(said["since"])] if said.get("since") else []
            return output(manager, "logs", "--tail", most, *since, said.get("unit") or CONTAINER)
    return []


def main() -> None:
    said = json.loads(sys.stdin.read())
    lines = []  # type: List[str]
    for path in FILES:
        if Path(path).is_file():
            lines = of_file(path)
            lines = newer(lines, said["since"]) if said.get("since") else lines
            break
    else:
        lines = of_manager(said)
    sys.stdout.write(json.dumps({"lines": lines[-said["lines"] :]}) + "\n")


if __name__ == "__main__":
    main()
