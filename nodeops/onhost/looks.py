"""What is asked about looks into disks: each function is one question, answered with plain values."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from nodeops.onhost import agent, domains, exports, filesystems, keeper, reading
from nodeops.onhost.folder import Folder, folders
from nodeops.onhost.programs import SHORT, detached, environment, find, tried, with_systemd
from nodeops.onhost.trouble import Trouble

READY_SECONDS, END_SECONDS = 120.0, 60.0
PAUSE = 0.1
YOUNG_SECONDS = 3.0
ASKED = ("server", "state", "id", "path", "format", "way", "writable", "seconds", "silence", "who")
"""What the keeper has to know."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHELL = ("/bin/bash", "/bin/sh")


def _folder(asked: dict[str, Any]) -> Folder:
    if not UUID.fullmatch(str(asked["server"])):
        raise Trouble("{!r} is no server's id".format(asked["server"]))
    return Folder(agent.run_folder(asked), str(asked["server"]))


def found(asked: dict[str, Any]) -> dict[str, Any]:
    """The guest and its disks as they are; changes nothing but loading the kernel's nbd."""
    folder = _folder(asked)
    seen = domains.domain(folder.server)
    disks = [dict(disk._asdict()) for disk in seen.disks if disk.device == "disk"]
    if not disks:
        disks = _on_disk(Path(asked["instances"]) / folder.server)
    exports.load_nbd()
    return {
        "state": seen.state,
        "reason": seen.reason,
        "id": seen.id,
        "saved": seen.saved,
        "disks": disks,
        "ways": exports.ways(),
        "missing": [name for name in ("sfdisk", "losetup", "blkid", "mount") if find(name) is None],
        "held": _described(folder) if folder.exists else None,
    }


def _on_disk(folder: Path) -> list[dict[str, Any]]:
    """Of a server that libvirt has forgotten: by Nova's names, with the formats that Nova wrote down.

    The format is never guessed from the content, which is the guest's (`nova/virt/libvirt/imagebackend.py`,
    `disk.info`).
    """
    formats: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        formats = json.loads((folder / "disk.info").read_text())
    files = [folder / "disk", *sorted(folder.glob("disk.eph*")), folder / "disk.local"]
    return [
        {
            "target": "vd" + "abcdefgh"[number],
            "source": str(file),
            "kind": "file",
            "format": formats.get(str(file), ""),
            "device": "disk",
        }
        for number, file in enumerate(file for file in files if file.is_file())
    ]


def begin(asked: dict[str, Any]) -> dict[str, Any]:
    """Hand over to a keeper and wait until it is ready; raises `Trouble` when it gave up."""
    folder = _folder(asked)
    program = agent.put(asked)
    folder.make({key: asked[key] for key in ASKED})
    _launch(folder, program)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if not folder.exists:
            ended = folder.ended()
            raise Trouble(ended.get("failed") or ended.get("reason") or "it ended", ended.get("hint", ""))
        state = _state(folder)
        if state.get("phase") == "ready":
            return state
        with contextlib.suppress(OSError):
            folder.beat()
        time.sleep(PAUSE)
    with contextlib.suppress(OSError):
        folder.ask_end(stay_paused=False)
    raise Trouble(f"the disk was not there after {READY_SECONDS:.0f} s; it is being taken down")


def _state(folder: Folder) -> dict[str, Any]:
    with contextlib.suppress(Trouble):
        return folder.read()
    return {}


def _launch(folder: Folder, program: Path) -> None:
    """By systemd, so that it outlives the login and is started again when it is killed; else on its own."""
    asked = {"run_folder": str(folder.run), "server": folder.server}
    words = [sys.executable, str(program), "keep", json.dumps(asked)]
    if with_systemd():
        rules = ("KillMode=process", "Restart=on-failure", "RestartSec=1", "TimeoutStopSec=90")
        options = [word for rule in rules for word in ("--property", rule)]
        options.append("--setenv=PATH=" + environment()["PATH"])
        unit = f"nodeops-inspect-{folder.server[:8]}-{time.time():.0f}"
        starter = ("systemd-run", "--quiet", "--collect", "--unit", unit)
        if tried([*starter, *options, *words], seconds=SHORT).code == 0:
            return
    detached(words, cwd="/")


def keep(asked: dict[str, Any]) -> int:
    """Whoever was started again after the end has nothing to do."""
    folder = _folder(asked)
    return keeper.keep(folder) if folder.exists else 0


def beat(asked: dict[str, Any]) -> dict[str, Any]:
    """Say that somebody is there; how the look is, also when it has ended."""
    folder = _folder(asked)
    try:
        if folder.exists:
            folder.beat()
            return _described(folder)
    except (OSError, Trouble):
        pass
    return folder.ended()


def end(asked: dict[str, Any]) -> dict[str, Any]:
    """Take it down and wait for that; raises `Trouble` with what is left."""
    folder = _folder(asked)
    _end(folder, stay_paused=bool(asked.get("stay_paused")))
    if folder.exists:
        left = ", ".join(_state(folder).get("left") or ["it was not taken down in time"])
        raise Trouble(f"left on the host: {left}", "nodeops inspect --clean HOST tries again.")
    return folder.ended()


def _end(folder: Folder, *, stay_paused: bool) -> None:
    """Ask the keeper; without one, do its work."""
    with contextlib.suppress(OSError):
        folder.ask_end(stay_paused=stay_paused)
    deadline = time.monotonic() + END_SECONDS
    while folder.exists and time.monotonic() < deadline:
        state = _state(folder)
        if state and not keeper.alive(state.get("keeper")) and not _young(folder):
            folder.note(reason=state.get("reason") or "its keeper was gone")
            if not keeper.take_down(folder):
                return
            break
        if state.get("left"):
            break
        time.sleep(PAUSE)


def _young(folder: Folder) -> bool:
    """Its keeper may not have begun yet, or may be started again."""
    return time.time() - (folder.path / "state.json").stat().st_mtime < YOUNG_SECONDS


def looks(asked: dict[str, Any]) -> dict[str, Any]:
    """Every look that is there."""
    return {"looks": [_described(folder) for folder in folders(agent.run_folder(asked))]}


def clean(asked: dict[str, Any]) -> dict[str, Any]:
    """End looks that nobody keeps up any more; `servers` are those that were shown and agreed to."""
    done = []
    for folder in folders(agent.run_folder(asked)):
        if folder.server in asked["servers"]:
            if not (folder.path / "state.json").exists():
                folder.note_unborn()
            _end(folder, stay_paused=False)
            state = _state(folder) if folder.exists else folder.ended()
            done.append(
                {"server": folder.server, "left": state.get("left", []), "ended": not folder.exists, **state}
            )
    return {"looks": done}


def _described(folder: Folder) -> dict[str, Any]:
    state = _state(folder)
    beat_file = folder.path / "beat"
    silent = time.time() - beat_file.stat().st_mtime if beat_file.exists() else -1.0
    return {
        **state,
        "server": folder.server,
        "keeper_alive": keeper.alive(state.get("keeper")),
        "silent_for": max(silent, 0.0),
        "mounts": filesystems.mounts(folder.path),
        "exporters": exports.exporters(folder.path),
    }


def _root(asked: dict[str, Any]) -> Path:
    root = _folder(asked).mounted / str(asked["part"])
    if root.parent != _folder(asked).mounted:
        raise Trouble("{!r} is no part of the disk".format(asked["part"]))
    return root


def entries(asked: dict[str, Any]) -> dict[str, Any]:
    reading.enter(_root(asked))
    return reading.listing(str(asked["path"]))


def digest(asked: dict[str, Any]) -> dict[str, Any]:
    reading.enter(_root(asked))
    return reading.digest(str(asked["path"]))


def send(asked: dict[str, Any]) -> None:
    reading.enter(_root(asked))
    reading.send(str(asked["path"]), int(asked["offset"]), int(asked["length"]))


def shell(asked: dict[str, Any]) -> None:
    """Become a shell in the mounted file system's directory; the host's programs, the guest's files."""
    root = _root(asked)
    program = next((each for each in SHELL if Path(each).exists()), "/bin/sh")
    os.chdir(str(root))
    surroundings = dict(environment(), PS1="{}:\\w# ".format(asked["prompt"]), HISTFILE="/dev/null")
    words = [program, "--norc", "--noprofile"] if program.endswith("bash") else [program]
    os.execve(program, words, surroundings)  # noqa: S606 - a shell is what was asked for
