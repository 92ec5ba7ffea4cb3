"""A known line of a log: what it looks like, means, comes from, and what to do next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum


class Rank(IntEnum):
    """How much a line explains; of two that are known the higher one is the diagnosis."""

    SYMPTOM = 1
    """That something failed."""
    FAILURE = 2
    """What failed, not why."""
    CAUSE = 3
    """Why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`{name}` in the words stands for what the pattern's group of that name caught.

    HOST, TARGET (of a move) and SERVER in the next command are what the line does not name.
    """

    name: str
    pattern: re.Pattern[str]
    meaning: str
    source: str
    """Where the line is written, or where its meaning is documented: a project's file, or a program."""
    next_command: str
    rank: Rank = Rank.CAUSE

    def filled(self, found: re.Match[str]) -> "Signature":
        """With what was caught in place of the names."""
        caught = {name: text or "" for name, text in found.groupdict().items()}
        return replace(
            self,
            meaning=_fill(self.meaning, caught),
            next_command=_fill(self.next_command, caught),
        )


def known(name: str, pattern: str, meaning: str, source: str, next_command: str) -> Signature:
    """A line that says why."""
    return Signature(name, re.compile(pattern), meaning, source, next_command)


def failure(name: str, pattern: str, meaning: str, source: str, next_command: str) -> Signature:
    """A line that says what failed and not why."""
    return replace(known(name, pattern, meaning, source, next_command), rank=Rank.FAILURE)


def symptom(name: str, pattern: str, meaning: str, source: str, next_command: str) -> Signature:
    """A line that says that something failed."""
    return replace(known(name, pattern, meaning, source, next_command), rank=Rank.SYMPTOM)


def best(table: Sequence[Signature], line: str) -> Signature | None:
    """The one that explains most, filled; of equals the one that stands first in the table."""
    chosen: tuple[Signature, re.Match[str]] | None = None
    for each in table:
        if (chosen is None or each.rank > chosen[0].rank) and (found := each.pattern.search(line)):
            chosen = each, found
    return chosen[0].filled(chosen[1]) if chosen else None


def _fill(text: str, caught: dict[str, str]) -> str:
    for name, value in caught.items():
        text = text.replace(f"{{{name}}}", value.strip())
    return text
