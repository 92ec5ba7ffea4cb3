"""Programs of the host, with time limits, and the words for what went wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

LONG, SHORT = 60.0, 20.0
"""Seconds: for what waits for storage, and for what only asks."""
MOST_WORDS = 300
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class Trouble(Exception):  # noqa: N818 - it is told to a person, not handled
    """Why it cannot be done, for the operator."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.hint = hint


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """The last line it said."""
        said = [line for line in (self.err or self.out).strip().splitlines() if "dmesg(1)" not in line]
        return said[-1].strip()[:MOST_WORDS] if said else f"ended with {self.code}"


def environment() -> dict[str, str]:
    """English messages, and the administrator's programs, which a login by SSH may not have in its path."""
    paths = [*os.environ.get("PATH", "").split(":"), *ADMIN_PATHS]
    return dict(os.environ, LC_ALL="C", PATH=":".join(dict.fromkeys(path for path in paths if path)))


def find(name: str) -> str | None:
    """The program's file; None where it is not installed."""
    return shutil.which(name, path=environment()["PATH"])


def run(argv: Sequence[str], *, seconds: float = SHORT) -> Ended:
    """Run it to its end, whatever that is. Raises `Trouble` where it is missing or does not end."""
    try:
        ended = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        raise Trouble(f"{argv[0]} is not installed", "Install it on the host.") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{argv[0]} did not end within {seconds:.0f} s") from None
    return Ended(
        ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
    )


def must(argv: Sequence[str], *, seconds: float = SHORT) -> str:
    """Run it and return what it printed; raises `Trouble` when it ends badly."""
    ended = run(argv, seconds=seconds)
    if ended.code:
        raise Trouble(_named(Path(argv[0]).name, ended.words))
    return ended.out


def _named(program: str, words: str) -> str:
    return words if words.startswith(program) else f"{program}: {words}"


def from_json(text: str, whose: str) -> Any:
    """Raises `Trouble`."""
    try:
        return json.loads(text)
    except ValueError:
        raise Trouble(f"{whose} answered what cannot be read") from None


def processes() -> dict[int, list[str]]:
    """Command lines by process id; a process that ends meanwhile is left out."""
    found = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            found[int(each.name)] = [os.fsdecode(word) for word in words if word]
    return found
