"""Begins work on the host it runs on, once and detached from the connection, or tells how it stands.

Read on standard input: `{"do": "begin" | "look", "id", "argv", "script"}`; printed is one JSON document.
Everything is kept in one directory for each work; the file `begun` is what makes it happen once only.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional

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


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def keep(path: Path, text: str) -> None:
    """On disk when this returns."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    handle = os.open(str(path.parent), os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def begin(said: Dict[str, Any]) -> Dict[str, Any]:
    root = Path(said.get("root") or ROOT)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / said["id"]
        if (folder / "begun").exists():
            if not said.get("again") or look(said)["state"] == "running":
                return {"begun": False}
            folder.rename(root / "{}.{:.0f}".format(said["id"], time.time() * 1000))
        folder.mkdir(exist_ok=True, mode=0o700)
        argv = list(said["argv"])
        if said.get("script"):
            script = folder / "script"
            keep(script, said["script"])
            script.chmod(0o700)
            first = said["script"].startswith("#!")
            argv = [str(script) if first else "/bin/sh", *([] if first else [str(script)]), *argv]
        words = " ".join(map(shlex.quote, argv))
        keep(folder / "run", RUNNER.format(folder=shlex.quote(str(folder)), command=words))
        keep(folder / "begun", "{} {}".format(boot_id(), time.time()))
    launch(said["id"], folder)
    return {"begun": True}


def launch(name: str, folder: Path) -> None:
    """As a unit of its own where there is systemd: a connection that ends takes nothing with it."""
    command = ["/bin/sh", str(folder / "run")]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
        "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
    }  # fmt: skip
    if os.path.isdir("/run/systemd/system"):
        settings = ["--setenv={}={}".format(*each) for each in environment.items()]
        unit = ["systemd-run", "--quiet", "--collect", "--unit=nodeops-work-{}".format(name), *settings, "--"]
        done = subprocess.run(
            [*unit, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip
        if done.returncode:
            keep(folder / "out", done.stderr.decode(errors="replace"))
            keep(folder / "exit", "{} {:.0f}".format(done.returncode, time.time()))
        return
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env=environment,
    )  # fmt: skip


def look(said: Dict[str, Any]) -> Dict[str, Any]:
    folder = Path(said.get("root") or ROOT) / said["id"]
    found = {"now_boot_id": boot_id(), "log": str(folder / "out")}  # type: Dict[str, Any]
    begun = read(folder / "begun").split()
    if not begun:
        return dict(found, state="absent")
    found.update(boot_id=begun[0], began=float(begun[1]), output=tail(folder / "out"))
    ended = read(folder / "exit").split()
    if ended:
        return dict(found, state="ended", exit_code=int(ended[0]), ended=float(ended[1]))
    return dict(found, state="running" if alive(folder, begun[0], float(begun[1])) else "lost")


def alive(folder: Path, boot: str, began: float) -> bool:
    if boot != boot_id():
        return False
    pid = read(folder / "pid").split()
    if not pid:
        return time.time() - began < SOON
    fields = read(Path("/proc") / pid[0] / "stat").rpartition(")")[2].split()
    if len(fields) > 19 and fields[19] == pid[1] and fields[0] != "Z":
        return True
    # it may have come to its end just now
    return bool(read(folder / "exit"))


def read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def tail(path: Path) -> Optional[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def main() -> None:
    said = json.loads(sys.stdin.read())
    found = begin(said) if said["do"] == "begin" else look(said)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
