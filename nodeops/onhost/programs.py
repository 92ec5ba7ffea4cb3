"""Programs of the host, with time limits, and the words for what went wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from nodeops.onhost.trouble import Trouble

LONG, SHORT, BRIEF = 60.0, 20.0, 15.0
"""Seconds: for what waits for storage, for what only asks, and for one of many that are asked."""
MOST_WORDS = 300
NOT_RUN = 127
"""As a shell says it."""
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


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


def run(argv: Sequence[str], *, seconds: float = SHORT, together: bool = False) -> Ended:
    """Run it to its end, whatever that is; `together` puts its complaints into its output.

    Raises `Trouble` where it is missing or does not end.
    """
    try:
        ended = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            timeout=seconds,
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        raise Trouble(f"{argv[0]} is not installed", "Install it on the host.") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{argv[0]} did not end within {seconds:.0f} s") from None
    out, err = ((text or b"").decode(errors="replace") for text in (ended.stdout, ended.stderr))
    return Ended(ended.returncode, out, err)


def tried(argv: Sequence[str], *, seconds: float = BRIEF, together: bool = False) -> Ended:
    """Run it; where it is missing or does not end, that is what it said."""
    try:
        return run(argv, seconds=seconds, together=together)
    except Trouble as trouble:
        return Ended(NOT_RUN, "", trouble.words)


def detached(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    output: int | IO[bytes] = subprocess.DEVNULL,
) -> None:
    """Start it in a session of its own: it goes on when the connection ends."""
    subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd=cwd,
        env=environment() if env is None else env,
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


def text_of(path: Path) -> str:
    """A file's text; empty when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def keep(path: Path, text: str) -> None:
    """Written whole, and on disk when this returns."""
    new = path.with_name(path.name + ".new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    handle = os.open(str(path.parent), os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def with_systemd() -> bool:
    """As sd_booted(3) finds it out."""
    return Path("/run/systemd/system").is_dir()


class Process(NamedTuple):
    """Of `/proc/PID/stat`."""

    state: str
    parent: int
    start: str
    """Clock ticks after the boot, as written there: with the process id it names one process for ever."""


def process(pid: int | str) -> Process | None:
    """None when there is none."""
    fields = text_of(Path("/proc") / str(pid) / "stat").rpartition(")")[2].split()
    return Process(fields[0], int(fields[1]), fields[19]) if len(fields) > 19 else None  # noqa: PLR2004 - proc(5)


def is_alive(pid: int | str, start: str) -> bool:
    """Whether that very process runs."""
    found = process(pid)
    return found is not None and found.start == start and found.state not in {"Z", "X"}


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
