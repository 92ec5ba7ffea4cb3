"""One value for people, for programs and for a page: only the form that was asked for is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format, document, text


@dataclass(frozen=True, slots=True)
class Shown:
    """How a command's result looks in each format."""

    document: Callable[[], Any]
    markdown: Callable[[], str]
    parts: Callable[[int], Iterable[Any]]
    """For a terminal of so many columns."""


def show(desk: Desk, output: Format, shown: Shown) -> None:
    """Write it to stdout."""
    if output is Format.JSON:
        document(shown.document())
    elif output is Format.MARKDOWN:
        text(shown.markdown())
    else:
        console = desk.out()
        for part in shown.parts(console.width):
            console.print(part, soft_wrap=isinstance(part, str) or _is_unbroken(part))


def unbroken(words: Text) -> Text:
    """However long it is, the terminal breaks it: what is copied from there stays whole."""
    words.no_wrap = True
    return words


def _is_unbroken(part: Any) -> bool:
    return isinstance(part, Text) and bool(part.no_wrap)
