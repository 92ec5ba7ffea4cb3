"""Work on this host: begun once and detached from the connection; how it stands.

Everything is kept in one directory for each work; the file `begun` is what makes it happen once only.
"""

from __future__ import annotations

import fcntl
import shlex
import time
from pathlib import Path
from typing import Any

from nodeops.onhost.boot import boot_id
from nodeops.onhost.programs import detached, is_alive, keep, run, text_of, with_systemd

ROOT = "/var/lib/nodeops/work"
TAIL = 2000
SOON = 10.0
"""Seconds in which what was begun has written down who runs it."""
RUNNER = """cd / || exit 1
dir={folder}
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > "$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
{command} > "$dir/out" 2>&1 < /dev/null
code=$?
echo "$code $(date +%s)" > "$dir/exit.new" && sync "$dir/exit.new" && mv "$dir/exit.new" "$dir/exit"
sync "$dir"
"""
"""A file of its own, since systemd-run expands `$` in what it is given."""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


def begin(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin `argv`, or `script` with it, under the name `id`; `again` when it has ended under that name."""
    root = _root(asked)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / asked["id"]
        if (folder / "begun").exists():
            if not asked.get("again") or look(asked)["state"] == "running":
                return {"begun": False}
            folder.rename(root / "{}.{:.0f}".format(asked["id"], time.time() * 1000))
        folder.mkdir(exist_ok=True, mode=0o700)
        command = " ".join(map(shlex.quote, _argv(folder, list(asked["argv"]), asked.get("script") or "")))
        keep(folder / "run", RUNNER.format(folder=shlex.quote(str(folder)), command=command))
        keep(folder / "begun", f"{boot_id()} {time.time()}")
    _launch(asked["id"], folder)
    return {"begun": True}


def _root(asked: dict[str, Any]) -> Path:
    return Path(asked.get("root") or ROOT)


def _argv(folder: Path, argv: list[str], script: str) -> list[str]:
    """A script runs by its own first line where it has one, else by sh."""
    if not script:
        return argv
    file = folder / "script"
    keep(file, script)
    file.chmod(0o700)
    return [*([] if script.startswith("#!") else ["/bin/sh"]), str(file), *argv]


def _launch(name: str, folder: Path) -> None:
    """As a unit of its own where there is systemd: a connection that ends takes nothing with it."""
    command = ["/bin/sh", str(folder / "run")]
    if with_systemd():
        settings = [f"--setenv={key}={value}" for key, value in ENVIRONMENT.items()]
        ended = run(
            ["systemd-run", "--quiet", "--collect", f"--unit=nodeops-work-{name}", *settings, "--", *command]
        )
        if ended.code:
            keep(folder / "out", ended.err)
            keep(folder / "exit", f"{ended.code} {time.time():.0f}")
        return
    detached(command, env=ENVIRONMENT)


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """How the work `id` stands: absent, running, ended, or lost."""
    folder = _root(asked) / asked["id"]
    found = {"now_boot_id": boot_id(), "log": str(folder / "out")}
    begun = text_of(folder / "begun").split()
    if not begun:
        return {**found, "state": "absent"}
    boot, began = begun[0], float(begun[1])
    known = {**found, "boot_id": boot, "began": began, "output": _tail(folder / "out")}
    ended = text_of(folder / "exit").split()
    if ended:
        return {**known, "state": "ended", "exit_code": int(ended[0]), "ended": float(ended[1])}
    return {**known, "state": "running" if _runs(folder, boot, began) else "lost"}


def _runs(folder: Path, boot: str, began: float) -> bool:
    if boot != boot_id():
        return False
    pid = text_of(folder / "pid").split()
    if not pid:
        return time.time() - began < SOON
    # It may have come to its end just now.
    return is_alive(*pid) or bool(text_of(folder / "exit"))


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
