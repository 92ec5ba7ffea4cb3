"""An inquest: what was seen of a host, what it proves, and the verdict."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from nodeops.model.facts import Inquest, Life
from nodeops.model.senses import SOURCES
from nodeops.report.console import line
from nodeops.report.figures import utc
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

STYLES = {Life.ALIVE: "good", Life.DEAD: "bad", Life.CANNOT_TELL: "dim"}
VERDICTS = {Life.ALIVE: "good", Life.DEAD: "bad", Life.CANNOT_TELL: "warn"}


def inquest_lines(inquest: Inquest) -> Iterator[Any]:
    """For a terminal: the signs, then the verdict."""
    table = plain_table("sign", "seen", "says", "what it proves")
    for sign in inquest.signs:
        says = str(sign.life) if sign.life is not Life.CANNOT_TELL else "-"
        style = STYLES[sign.life]
        table.add_row(
            Text(SOURCES[sign.source]), Text(sign.words), Text(says, style), Text(sign.proves, "dim")
        )
    for column in table.columns[1::2]:
        column.no_wrap, column.overflow = False, "fold"
    yield table
    yield Text()
    yield line(
        (inquest.host, "host"), " is ", (_verdict(inquest), VERDICTS[inquest.life]), f": {inquest.why}"
    )


def inquest_markdown(inquest: Inquest, following: str) -> str:
    """For a ticket; `following` is the next command, in words."""
    rows = [
        (
            SOURCES[sign.source],
            sign.words,
            "" if sign.life is Life.CANNOT_TELL else str(sign.life),
            sign.proves,
        )
        for sign in inquest.signs
    ]
    table = "\n".join(markdown_table(("Sign", "Seen", "Says", "What it proves"), rows))
    head = [f"## inquest {inquest.host}: {inquest.life}", "", f"- {inquest.why}", f"- {utc(inquest.at)}"]
    return "\n".join([*head, f"- {following}", "", table]) + "\n"


def inquest_document(inquest: Inquest, *, exit_code: int, following: str) -> dict[str, Any]:
    """In JSON; the keys are told in docs/json.md."""
    return {
        "host": inquest.host,
        "life": str(inquest.life),
        "why": inquest.why,
        "exit_code": exit_code,
        "at": utc(inquest.at),
        "next": following,
        "signs": [
            {"source": sign.source, "life": str(sign.life), "seen": sign.words, "proves": sign.proves}
            for sign in inquest.signs
        ],
    }


def _verdict(inquest: Inquest) -> str:
    return (
        "not known to be alive or dead: CANNOT TELL"
        if inquest.life is Life.CANNOT_TELL
        else str(inquest.life)
    )
