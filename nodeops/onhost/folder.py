"""What is known of one look into a disk, on the host: a directory that root alone can enter."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import keep, process
from nodeops.onhost.trouble import Trouble

ENDED = "ended"


class Folder:
    """`RUN/inspect/SERVER`; one look into a server's disks at a time."""

    def __init__(self, run: Path, server: str) -> None:
        self.run = run
        self.server = server
        self.path = run / "inspect" / server
        self.mounted = self.path / "fs"

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    def make(self, asked: dict[str, Any]) -> None:
        """Raises `Trouble` when there is one already."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            raise Trouble(
                "somebody looks into this server already, or an older look was left",
                "nodeops inspect --clean HOST mends what is left.",
            ) from None
        self._write({**asked, "phase": "asked"})
        self.beat()

    def read(self) -> dict[str, Any]:
        """Raises `Trouble` when it is gone or cannot be read."""
        try:
            found: dict[str, Any] = json.loads((self.path / "state.json").read_text())
        except (OSError, ValueError) as error:
            raise Trouble(f"the look's state cannot be read: {error}") from None
        return found

    def note(self, **values: object) -> None:
        """On disk when it returns. The takers-down may be two: each writes only its own keys."""
        with self.locked():
            self._write({**self.read(), **values})

    def close(self) -> None:
        """Nothing is left: keep how it ended, forget the rest."""
        state = {**self.read(), "phase": ENDED, "ended_at": time.time()}
        ended = self.path.with_suffix(".ended")
        keep(ended, json.dumps(state))
        # Never below a directory of `fs`: what is mounted there is the guest's.
        for each in [*self.mounted.glob("*"), self.mounted]:
            with contextlib.suppress(FileNotFoundError):
                each.rmdir()
        for each in list(self.path.iterdir()):
            each.unlink()
        self.path.rmdir()

    def note_unborn(self) -> None:
        """For one whose maker was killed before it wrote anything: nothing else can have been done."""
        self._write({"server": self.server, "phase": "asked"})

    def ended(self) -> dict[str, Any]:
        """How the last look into this server ended; empty when nothing is known of one."""
        try:
            found: dict[str, Any] = json.loads(self.path.with_suffix(".ended").read_text())
        except (OSError, ValueError):
            return {}
        return found

    # -- signs between who asked and the keeper

    def beat(self) -> None:
        (self.path / "beat").write_text(str(time.monotonic()))

    def beat_at(self) -> str:
        with contextlib.suppress(OSError):
            return (self.path / "beat").read_text()
        return ""

    def ask_end(self, *, stay_paused: bool) -> None:
        if stay_paused:
            (self.path / "stay-paused").touch()
        (self.path / "end").touch()

    def end_asked(self) -> bool:
        return (self.path / "end").exists()

    def stay_paused(self) -> bool:
        """Somebody paused the server in Nova meanwhile: it is not resumed."""
        return (self.path / "stay-paused").exists()

    def this_process(self) -> dict[str, Any]:
        found = process(os.getpid())
        return {"pid": os.getpid(), "start": found.start if found else ""}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        try:
            handle = os.open(str(self.path / "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Trouble(f"the look is gone: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, state: dict[str, Any]) -> None:
        keep(self.path / "state.json", json.dumps(state))


def folders(run: Path) -> list[Folder]:
    """All looks that are there."""
    inside = run / "inspect"
    if not inside.is_dir():
        return []
    names = [each.name for each in sorted(inside.iterdir()) if each.is_dir() and each.name != "nbd"]
    return [Folder(run, name) for name in names]
