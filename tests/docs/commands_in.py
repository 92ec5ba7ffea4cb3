"""The commands of a page: what stands in its ```sh boxes, so that tests can check and run it."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = "```"
_SHELL = {"sh", "bash", "console"}


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a box."""

    page: Path
    line: int
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """Without the comment behind it."""
        return tuple(shlex.split(self.text, comments=True))

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def pages() -> tuple[Path, ...]:
    """Every page written for people, in the root, docs and runbooks."""
    folders = (ROOT, ROOT / "docs", ROOT / "docs" / "adr", ROOT / "runbooks")
    return tuple(sorted(page for folder in folders for page in folder.glob("*.md")))


def commands_in(page: Path, *, program: str = "nodeops") -> tuple[Command, ...]:
    """The commands of that program in a page's shell boxes, in order; a trailing backslash joins lines."""
    found = (command for command in _lines(page) if command.words)
    return tuple(command for command in found if Path(command.words[0]).name == program)


def _lines(page: Path) -> Iterator[Command]:
    box, joined, began = "", "", 0
    for number, raw in enumerate(page.read_text().splitlines(), start=1):
        line = raw.strip()
        if line.startswith(_FENCE):
            box = "" if box else line.removeprefix(_FENCE).strip() or "text"
        elif box in _SHELL:
            began = began or number
            joined += line.removeprefix("$ ").removesuffix("\\")
            if not line.endswith("\\"):
                yield Command(page, began, joined)
                joined, began = "", 0
