"""Snapshots: what is promised beforehand, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from nodeops.model.snapshots import Consistency, Promise
from nodeops.report.figures import count, size
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

STYLES: Mapping[Consistency, str] = {
    Consistency.QUIESCED: "good",
    Consistency.AT_REST: "good",
    Consistency.CRASH: "warn",
    Consistency.UNKNOWN: "warn",
}
MEBI = 1024 * 1024
HEADERS = ("Server", "Image", "Size", "Consistency", "Affected", "Phases", "Result")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One server beforehand."""

    server: str
    server_id: str
    image: str
    promise: Promise
    refusals: tuple[str, ...] = ()
    task: str | None = None
    left: str = ""
    """What an earlier run left of it."""


@dataclass(frozen=True, slots=True)
class Made:
    """One server afterwards."""

    server: str
    server_id: str
    result: str
    """`made`, `not made`, `not begun` or `unknown`."""
    image: str = ""
    image_id: str = ""
    bytes: int = 0
    volume_snapshots: tuple[str, ...] = ()
    consistency: Consistency = Consistency.UNKNOWN
    affected: float | None = None
    """Seconds from --before to the end of --after, else those of the disk phase."""
    phases: Mapping[str, float] | None = None
    """Seconds in each of the server's states, in their order."""
    words: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    run: str = ""
    request_id: str = ""

    @property
    def shown_size(self) -> str:
        if self.volume_snapshots:
            return count(len(self.volume_snapshots), "volume snapshot")
        return size(self.bytes / MEBI) if self.bytes else ""

    @property
    def shown_phases(self) -> str:
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in (self.phases or {}).items())

    @property
    def cells(self) -> tuple[str, ...]:
        made = self.result == "made"
        return (
            self.server,
            f"{self.image} ({self.image_id})" if self.image_id else "",
            self.shown_size,
            str(self.consistency) if made else "",
            "" if self.affected is None else f"{self.affected:.1f} s",
            self.shown_phases,
            "; ".join([self.result, *self.words]),
        )


def wanted_table(servers: Sequence[Wanted]) -> Table:
    """For a terminal: what can be promised of each, and how that was found out."""
    table = plain_table("server", "image", "consistency", "found out by")
    table.columns[3].no_wrap, table.columns[3].overflow = False, "fold"
    for each in servers:
        reasons = [*each.promise.reasons]
        reasons += [f"not in the image: {what}" for what in each.promise.left_out]
        reasons += [f"waits for its task {each.task}"] if each.task else []
        reasons += [each.left] if each.left else []
        words = Text("; ".join(reasons))
        for refusal in each.refusals:
            words.append(f"\nrefused: {refusal}", "bad")
        table.add_row(Text(each.server, "host"), Text(each.image), _promised(each.promise), words)
    return table


def _promised(promise: Promise) -> Text:
    text = Text(str(promise.consistency), STYLES[promise.consistency])
    if promise.volume_backed:
        text.append("\nvolume snapshots", "dim")
    return text


def made_table(servers: Sequence[Made]) -> Table:
    """For a terminal."""
    table = plain_table(*(header.lower() for header in HEADERS))
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    for each in servers:
        styles = ("host", "", "", STYLES[each.consistency], "", "dim", "good" if _well(each) else "warn")
        table.add_row(*(Text(cell or "-", style) for cell, style in zip(each.cells, styles, strict=True)))
    return table


def _well(made: Made) -> bool:
    return made.result == "made" and not made.words


def made_markdown(servers: Sequence[Made]) -> str:
    """For a ticket."""
    return "\n".join(markdown_table(HEADERS, [each.cells for each in servers])) + "\n"


def wanted_document(wanted: Wanted) -> dict[str, Any]:
    """In JSON, beforehand."""
    promise = wanted.promise
    return {
        "server": wanted.server_id,
        "name": wanted.server,
        "image_name": wanted.image,
        "promised": str(promise.consistency),
        "found_out_by": list(promise.reasons),
        "volume_backed": promise.volume_backed,
        "left_out": list(promise.left_out),
        "task_state": wanted.task,
        "refusals": list(wanted.refusals),
    }


def made_document(made: Made) -> dict[str, Any]:
    """In JSON, afterwards."""
    return {
        "run": made.run or None,
        "result": made.result,
        "image": made.image_id or None,
        "bytes": made.bytes,
        "volume_snapshots": list(made.volume_snapshots),
        "consistency": str(made.consistency),
        "affected_seconds": None if made.affected is None else round(made.affected, 1),
        "phases": {name: round(seconds, 1) for name, seconds in (made.phases or {}).items()},
        "words": list(made.words),
        "deleted": list(made.pruned),
        "request_id": made.request_id or None,
    }
