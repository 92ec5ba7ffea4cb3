"""Terminals and the few colours that mean something."""

import os
import sys
from typing import IO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

NARROW = 140
"""Below this many columns the tables leave out what can be looked up with `-o json`."""

THEME = Theme(
    {
        "head": "bold",
        "good": "green",
        "warn": "yellow",
        "bad": "red",
        "dim": "dim",
        "host": "cyan",
        "table.header": "dim",
    },
    inherit=False,
)

RISK_STYLE = {"safe": "good", "live": "", "reboot": "warn", "force": "bad"}


class _Console(Console):
    """Goes on in silence when nobody reads any more: a run must not end because of that."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def console(file: IO[str] | None = None, *, colour: str = "auto", width: int | None = None) -> Console:
    """A console on `file` (stdout); `colour` is auto, always or never.

    With `auto`, colours are used on a terminal unless `NO_COLOR` is set and not empty (no-color.org).
    What goes to a pipe is as wide as `COLUMNS` says, else 120, so that it does not depend on who looks.
    """
    stream = file if file is not None else sys.stdout
    terminal = stream.isatty()
    plain = colour == "never" or (colour == "auto" and (bool(os.environ.get("NO_COLOR")) or not terminal))
    if width is None and not terminal:
        width = int(os.environ.get("COLUMNS") or 0) or 120
    return _Console(
        file=stream,
        theme=THEME,
        highlight=False,
        emoji=False,
        markup=False,
        no_color=plain,
        force_terminal=True if colour == "always" else None,
        width=width,
        soft_wrap=False,
    )


def indented(body: RenderableType, by: int = 2) -> Padding:
    """`by` columns to the right, and no wider than it is."""
    return Padding(body, (0, 0, 0, by), expand=False)


def line(*parts: str | tuple[str, str]) -> Text:
    """Text of plain parts and (text, style) pairs."""
    return Text.assemble(*parts)
