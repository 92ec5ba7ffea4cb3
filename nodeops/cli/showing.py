"""One value for people, for programs and for a page: only the form that was asked for is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

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
            console.print(part, soft_wrap=isinstance(part, str))
