"""`nodeops.onhost` on a host: sent there by SSH, asked one question at a time.

The program, the question and what is asked go by standard input; the answer is one JSON document, or what the
question says. An answer of `trouble` is the host's own words for why it cannot be done.
"""

import hashlib
import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from nodeops.clients.shell import Answer, Command
from nodeops.errors import HostTroubleError, SshError, SshReason

RUN = "/run/nodeops"
"""Root's alone, and empty after a boot."""
NOT_FOUND = 127
SECONDS = 60.0
MOST_BYTES = 32 * 1024 * 1024
PYTHON = ("python3", "-IS", "-c")
"""With nothing but its own library, which is also quicker to start."""
BOOT = """import os, sys
archive = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
place = os.memfd_create("nodeops")
os.write(place, archive)
sys.path.insert(0, f"/proc/self/fd/{place}")
from nodeops.onhost import main
"""
"""Reads what it runs: neither that nor what it is told is on a command line, and no disk keeps it."""
_PROGRAM = "import sys\nfrom nodeops.onhost.main import run\nsys.exit(run())\n"


class Runner(Protocol):
    """What runs a command on a host; `Shell` does."""

    def run(self, command: Command) -> Answer: ...


@cache
def archive() -> bytes:
    """`nodeops.onhost` as a zip that Python runs; the same bytes every time."""
    found = {"__main__.py": _PROGRAM, "nodeops/__init__.py": ""}
    for each in files("nodeops.onhost").iterdir():
        if each.name.endswith(".py"):
            found[f"nodeops/onhost/{each.name}"] = each.read_text(encoding="utf-8")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(found):
            file.writestr(zipfile.ZipInfo(name), found[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()


def program() -> bytes:
    """What `BOOT` reads before anything else."""
    return b"%d\n%b" % (len(archive()), archive())


@cache
def archive_name() -> str:
    return f"agent-{hashlib.sha256(archive()).hexdigest()[:16]}.pyz"


class Questions(ABC):
    """Questions to one host."""

    __slots__ = ()

    @abstractmethod
    def printed(
        self,
        question: str,
        asked: Mapping[str, Any],
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """What it prints, for a question that is not answered by a document; raises as `ask` does."""

    def ask(self, question: str, asked: Mapping[str, Any], *, seconds: float = SECONDS) -> dict[str, Any]:
        """Raises `SshError`, and `HostTroubleError` with the host's own words."""
        answer = self.printed(question, asked, seconds=seconds)
        try:
            found: dict[str, Any] = json.loads(answer.stdout)
        except ValueError:
            raise unusable(answer) from None
        return found


@dataclass(frozen=True, slots=True)
class OnHost(Questions):
    """Each by a program of its own, as root."""

    shell: Runner
    run: str = RUN

    def bytes(self, question: str, asked: Mapping[str, Any]) -> bytes:
        """What it prints, as it came; raises as `ask` does."""
        return self.printed(question, asked).raw

    def printed(
        self,
        question: str,
        asked: Mapping[str, Any],
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        stdin = program() + json.dumps(told(question, asked, self.run)).encode()
        command = python("answer", question, seconds=seconds, most_bytes=most_bytes)
        answer = self.shell.run(replace(command, stdin=stdin))
        if not answer.ok:
            raise trouble(answer)
        return answer

    def words(self, question: str, asked: Mapping[str, Any]) -> tuple[str, ...]:
        """The command, where the program is a file already; for a terminal, whose input is not ours."""
        said = json.dumps({**asked, "run_folder": self.run})
        return ("python3", f"{self.run}/{archive_name()}", question, said)


def told(question: str, asked: Mapping[str, Any], run: str) -> dict[str, Any]:
    """A question as the program takes it."""
    return {**asked, "question": question, "run_folder": run, "agent": archive_name()}


def python(entry: str, question: str, *, seconds: float, most_bytes: int, sudo: bool = True) -> Command:
    """What starts the program at that function of its `main`, once it is sent `program()`."""
    name = f"nodeops-{question}"
    argv = (*PYTHON, f"{BOOT}main.{entry}(archive)", name)
    return Command(argv, sudo=sudo, timeout=seconds, most_bytes=most_bytes, name=name)


def trouble(answer: Answer) -> HostTroubleError | SshError:
    """What an answer that is none means: the host's own words, or that nobody could be asked."""
    try:
        found = json.loads(answer.stdout)
        words, hint = str(found["trouble"]), str(found["hint"])
    except (ValueError, KeyError, TypeError):
        return unusable(answer)
    return HostTroubleError(f"{answer.host}: {words}", hint=hint)


def unusable(answer: Answer) -> SshError:
    """Python is missing there, or what was sent did not work."""
    if answer.status == NOT_FOUND:
        return SshError(
            f"{answer.host}: python3 is not installed",
            hint="nodeops needs Python 3.8 or newer on the host for this.",
            reason=SshReason.UNUSABLE,
        )
    return SshError(
        f"{answer.host}: {answer.words}",
        hint="What nodeops runs on the host did not answer.",
        reason=SshReason.UNUSABLE,
        ambiguous=True,
    )
