"""The file systems that paths of this host are on, and what room they have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import BRIEF, text_of

PROBE = """
import json, os, sys
path, write = sys.argv[1], sys.argv[2] == "write"
stat = os.statvfs(path)
found = {"free_mb": stat.f_bavail * stat.f_frsize // 2**20,
         "total_mb": stat.f_blocks * stat.f_frsize // 2**20,
         "free_inodes": stat.f_favail if stat.f_files else None}
if write:
    name = os.path.join(path, ".nodeops-%d" % os.getpid())
    try:
        owner = os.stat(path)
        if os.geteuid() == 0:
            os.setegid(owner.st_gid); os.seteuid(owner.st_uid)
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(handle, b"x" * 4096); os.fsync(handle)
        finally:
            os.close(handle); os.unlink(name)
        found["writable"] = True
    except OSError as error:
        found["writable"], found["trouble"] = False, os.strerror(error.errno).lower()
print(json.dumps(found))
"""


def mount_of(path: Path) -> tuple[str, str, str]:
    """Mount point, source and type of the file system that holds it."""
    best, real = ("/", "", ""), str(path.resolve())
    for line in text_of(Path("/proc/self/mountinfo")).splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            kind, source = after.split()[:2]
            best = (point, source, kind)
    return best


def space(path: Path, *, write: bool) -> dict[str, Any]:
    """Asked by a process of its own, which may hang where a file server does not answer.

    With `write` a file is written there as the directory's owner, and removed at once.
    """
    point, source, kind = mount_of(path)
    found = {"path": str(path), "mounted": point != "/", "source": source, "kind": kind}
    # Never waited for at the end: where a file server does not answer it cannot even be killed.
    child = subprocess.Popen(
        [sys.executable, "-c", PROBE, str(path), "write" if write else "read"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        out, _ = child.communicate(timeout=BRIEF)
    except subprocess.TimeoutExpired:
        child.kill()
        return {**found, "trouble": "hangs"}
    if child.returncode:
        return {**found, "trouble": "cannot be read" if path.is_dir() else "is not there"}
    return {**found, **json.loads(out.decode())}
