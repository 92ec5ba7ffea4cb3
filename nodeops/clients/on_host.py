"""`nodeops.onhost` on a host: sent there by SSH, asked one question at a time."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from nodeops.clients.shell import Answer, Command, Shell
from nodeops.errors import HostTroubleError, SshError, SshReason

RUN = "/run/nodeops"
"""Root's alone, and empty after a boot."""
TROUBLE = 3
NOT_FOUND = 127
SECONDS = 60.0
MOST_BYTES = 32 * 1024 * 1024
_PUT = """\
import base64, os, sys
run, name, archive = {run!r}, {name!r}, {archive!r}
os.makedirs(run, 0o700, exist_ok=True)
found = os.lstat(run)
if found.st_uid != os.geteuid() or found.st_mode & 0o022 or not os.path.isdir(run):
    sys.exit(run + " is not safe to use: it belongs to somebody else, or others may write to it")
path = os.path.join(run, name)
content = base64.b64decode(archive)
if not os.path.exists(path) or open(path, "rb").read() != content:
    new = path + "." + str(os.getpid())
    with open(new, "wb") as file:
        file.write(content)
    os.replace(new, path)
sys.path.insert(0, path)
from nodeops.onhost.main import main
asked = {asked!r}
asked.update(run=run, agent=path)
sys.exit(main({question!r}, asked))
"""
_PROGRAM = "import sys\nfrom nodeops.onhost.main import run\nsys.exit(run())\n"


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


def archive_name() -> str:
    return f"agent-{hashlib.sha256(archive()).hexdigest()[:16]}.pyz"


@dataclass(frozen=True, slots=True)
class OnHost:
    """Questions to one host, as root."""

    shell: Shell
    run: str = RUN

    def ask(self, question: str, asked: Mapping[str, Any], *, seconds: float = SECONDS) -> dict[str, Any]:
        """Raises `SshError`, and `HostTroubleError` with the host's own words."""
        answer = self._answer(question, asked, seconds)
        try:
            found: dict[str, Any] = json.loads(answer.stdout)
        except ValueError:
            raise self._unusable(answer) from None
        if "trouble" in found:
            raise HostTroubleError(f"{self.shell.login.host}: {found['trouble']}", hint=found.get("hint", ""))
        return found

    def bytes(self, question: str, asked: Mapping[str, Any], *, seconds: float = SECONDS) -> bytes:
        """What it prints, as it came; raises as `ask` does."""
        answer = self._answer(question, asked, seconds)
        if answer.ok:
            return answer.raw
        try:
            found = json.loads(answer.stdout)
            words, hint = str(found["trouble"]), str(found["hint"])
        except (ValueError, KeyError, TypeError):
            raise self._unusable(answer) from None
        raise HostTroubleError(f"{self.shell.login.host}: {words}", hint=hint)

    def words(self, question: str, asked: Mapping[str, Any]) -> tuple[str, ...]:
        """The command for it, where the program is there already; for a terminal, whose input is not ours."""
        return ("python3", f"{self.run}/{archive_name()}", question, json.dumps({**asked, "run": self.run}))

    def _answer(self, question: str, asked: Mapping[str, Any], seconds: float) -> Answer:
        script = _PUT.format(
            run=self.run,
            name=archive_name(),
            archive=base64.b64encode(archive()).decode(),
            asked=dict(asked),
            question=question,
        )
        command = Command(
            ("python3", "-", f"nodeops-{question}"),
            stdin=script.encode(),
            sudo=True,
            timeout=seconds,
            most_bytes=MOST_BYTES,
        )
        return self.shell.run(command)

    def _unusable(self, answer: Answer) -> SshError:
        host = self.shell.login.host
        if answer.status == NOT_FOUND:
            return SshError(
                f"{host}: python3 is not installed",
                hint="nodeops needs Python 3.8 or newer on the host for this.",
                reason=SshReason.UNUSABLE,
            )
        return SshError(
            f"{host}: {answer.words}",
            hint="What nodeops runs on the host did not answer.",
            reason=SshReason.UNUSABLE,
            ambiguous=True,
        )
