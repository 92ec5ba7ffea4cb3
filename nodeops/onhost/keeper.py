"""The keeper of one look into a disk: it alone sets up and takes down, whatever becomes of who asked for it.

A process of its own, of systemd where there is systemd. It ends the look when it is asked to, when it hears
nothing for too long, when the time is over, when the guest is no longer as it left it, or when it is told to
stop. What has to be undone is written down before it is done, and is otherwise found by looking, so that
another process can take down what a keeper has left that was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeops.onhost import domains, exports, filesystems
from nodeops.onhost.folder import Folder
from nodeops.onhost.programs import is_alive, run
from nodeops.onhost.trouble import Trouble

TICK, GUEST_SECONDS = 0.5, 2.0
TRY_AGAIN, TRIES = 5.0, 60
TOLD = "the host told it to stop"


class Told(BaseException):
    """SIGTERM came; no `Exception`, so that nothing on the way catches it."""


def keep(folder: Folder) -> int:
    """From setting up to the end; the program of the keeper's process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _told)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder.note(keeper=folder.this_process())
    reason = "a bug in nodeops"
    try:
        reason = _look(folder)
    except Told:
        reason = TOLD
    except Trouble as trouble:
        folder.note(failed=trouble.words, hint=trouble.hint)
        reason = trouble.words
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        bug = sys.exc_info()[1]
        if bug is not None:
            # The guest comes back whatever nobody foresaw.
            words = f"{type(bug).__name__}: {bug}"
            folder.note(failed=words)
            reason = f"{reason}: {words}"
        code = _finish(folder, reason)
    return code


def _look(folder: Folder) -> str:
    """Why it ended."""
    if folder.read()["phase"] != "asked":
        return "its keeper was killed"
    set_up(folder)
    folder.note(phase="ready")
    return watch(folder)


def _told(_number: int, _frame: object) -> None:
    raise Told


def _finish(folder: Folder, reason: str) -> int:
    folder.note(phase="ending", reason=reason)
    for _ in range(TRIES):
        if not take_down(folder):
            return 0
        time.sleep(TRY_AGAIN)
    return 1


def set_up(folder: Folder) -> None:
    """Guest, export, mounts. Raises `Trouble`; what was done by then is for `take_down`."""
    asked = folder.read()
    before = domains.domain(asked["server"])
    _check(asked, before)
    if before.state == "running":
        folder.note(suspended={"id": before.id})
        domains.suspend(asked["server"])
    image = exports.Image(asked["path"], asked["format"], bool(asked["writable"]))
    way = str(asked["way"])
    disk = _connect(folder, image) if way == exports.NBD else exports.serve(image, way, folder.path)
    folder.note(disk=str(disk))
    found = filesystems.parts(disk)
    for number, part in enumerate(found):
        if not part.trouble:
            try:
                filesystems.mount(disk, part, folder.mounted / part.name, writable=image.writable)
            except Trouble as trouble:
                found[number] = part._replace(trouble=trouble.words)
    folder.note(parts=[part.plain for part in found])


def _check(asked: dict[str, Any], found: domains.Domain) -> None:
    """The guest must be as it was when the person agreed."""
    if found.state not in {asked["state"], "undefined"} or found.id != asked["id"]:
        raise Trouble("the guest is {}, it was {}".format(found.state, asked["state"]), "Look again.")
    if asked["writable"] and not (found.off and not found.saved):
        raise Trouble("the guest is not shut off", "Stop the server first.")


def _connect(folder: Folder, image: exports.Image) -> Path:
    for _ in range(8):
        device = exports.free_device()
        if device is None:
            break
        held = exports.reserve(device, folder.path.parent / "nbd")
        if held is None:
            time.sleep(TICK)
            continue
        folder.note(nbd=device)
        exports.connect(image, device)
        return Path("/dev") / device
    raise Trouble("every /dev/nbdN is in use", "modprobe nbd nbds_max=32 makes more.")


def watch(folder: Folder) -> str:
    """Until something ends it; why, in words."""
    asked = folder.read()
    until = time.monotonic() + float(asked["seconds"])
    beat, heard, looked = folder.beat_at(), time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        if folder.end_asked():
            return "asked"
        if folder.beat_at() != beat:
            beat, heard = folder.beat_at(), now
        if now - heard > float(asked["silence"]):
            return f"nothing was heard of nodeops for {now - heard:.0f} s"
        if now > until:
            return "the time was over"
        if now - looked > GUEST_SECONDS:
            looked = now
            words = _changed(asked)
            if words:
                return words
        time.sleep(TICK)


def _changed(asked: dict[str, Any]) -> str:
    """What became of the guest; one that libvirt does not tell of is looked at again."""
    wanted = "paused" if asked.get("suspended") else asked["state"]
    with contextlib.suppress(Trouble):
        found, _, number = domains.state(asked["server"])
        if (found, number) != (wanted, asked["id"]) and not (found == "undefined" and wanted in domains.OFF):
            return f"the guest was {wanted} and is {found} now: somebody else works on it"
    return ""


def take_down(folder: Folder) -> list[str]:
    """In the order that never leaves a mount without its disk; what is left, in words, empty when nothing.

    May be called at any time and again. Whatever sticks, the guest is resumed: the export is read only and
    holds no lock, so it does the guest no harm.
    """
    asked, left = folder.read(), []
    device = asked.get("nbd")
    disk = Path("/dev") / device if device else folder.path / "disk.raw"
    steps: list[Callable[[], None]] = [
        lambda: filesystems.unmount_all(folder.path / "fs"),
        lambda: filesystems.detach_all(disk),
        lambda: exports.disconnect(device) if device else None,
        lambda: exports.end_all(folder.path),
        lambda: _unmount_file(folder.path / "disk.raw"),
        lambda: _bring_back(folder, asked),
    ]
    for step in steps:
        try:
            step()
        except Trouble as trouble:
            left.append(trouble.words)
    folder.note(left=left)
    if not left:
        folder.close()
    return left


def _unmount_file(file: Path) -> None:
    """What a killed export leaves: a mount point without a server."""
    if str(file) in filesystems.mounts(file.parent):
        run(["umount", "--lazy", str(file)])


def _bring_back(folder: Folder, asked: dict[str, Any]) -> None:
    """Resume what was suspended here, and only if it is still that run of the guest, still paused."""
    suspended = asked.get("suspended")
    if not suspended or asked.get("resumed"):
        return
    found, reason, number = domains.state(asked["server"])
    if found == "paused" and number == suspended["id"] and not folder.stay_paused():
        domains.resume(asked["server"])
        found = "running"
    folder.note(resumed=True, state_after=found if found != "paused" else f"paused ({reason})")


def alive(process: dict[str, Any] | None) -> bool:
    return process is not None and is_alive(process["pid"], process["start"])


def end_process(process: dict[str, Any]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(process["pid"]), signal.SIGKILL)
