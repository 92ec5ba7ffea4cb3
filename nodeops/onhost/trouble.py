"""Why something cannot be done on this host."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818 - it is told to a person, not handled
    """Why it cannot be done, for the operator."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.hint = hint
