"""The story of a request: for a terminal, and as a document."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from nodeops.model.story import Diagnosis, Entry, Story
from nodeops.report.console import indented, line
from nodeops.report.figures import count, utc

MORE = 3
"""Lines of a traceback that are shown: its last ones."""
FULL = 10_000
LEVELS = {"ERROR": "bad", "CRITICAL": "bad", "TRACE": "bad", "WARNING": "warn", "DEBUG": "dim"}


def story_lines(story: Story, *, full: bool, width: int) -> Iterator[Any]:
    """For a terminal: requests, what happened, and at last why; `full` folds nothing."""
    yield from _requests(story)
    yield from _entries(story, full=full, width=width)
    for gap in story.gaps:
        yield line(("not seen  ", "warn"), gap)
    yield from _end(story)


def _requests(story: Story) -> Iterator[Any]:
    yield line((story.facts.subject, "head"))
    for each in story.facts.requests:
        name = each.server_name or each.server_id
        failed = ("failed", "bad") if each.failed else ("", "")
        yield line(
            f"  {each.id}  ",
            each.action,
            (f"  {name}  ", "host"),
            (_moment(each.started), "dim"),
            "  ",
            failed,
        )
        for move in each.migrations:
            way = f"{move.source} to {move.target or '-'}"
            yield line(("    ", ""), f"{move.type} {move.id}: {way}, {move.status}")
    if story.facts.followed:
        yield line(("  caused or caused by  ", "dim"), ", ".join(story.facts.followed[:5]))
    for found in story.facts.found:
        if found.skew:
            yield line(("  clock  ", "dim"), f"{found.host} is {found.skew:+.1f} s off, taken out")
    yield Text()


def _entries(story: Story, *, full: bool, width: int) -> Iterator[Any]:
    day = ""
    shown_ones = [entry for entry in story.entries if full or not entry.noise]
    for entry in shown_ones:
        if _day(entry.at) != day:
            day = _day(entry.at)
            yield line((day, "dim"))
        yield _line(entry, full=full, width=width)
        if entry.more:
            shown = entry.more if full else _exception(entry.more)
            hidden = len(entry.more) - len(shown)
            if hidden:
                yield indented(line((f"… {count(hidden, 'line')} folded", "dim")), 15)
            for text in shown:
                yield indented(line((text.rstrip(), "dim")), 15)
    if left_out := len(story.entries) - len(shown_ones):
        words = f"{count(left_out, 'line')} of no import left out; --full shows all"
        yield line((words, "dim"))
    if story.entries:
        yield Text()


def _line(entry: Entry, *, full: bool, width: int) -> Text:
    where = f"{entry.host or '-'} {entry.service}"
    module = entry.module.removeprefix("nova.").removeprefix("neutron.")
    style = LEVELS.get(entry.level, "")
    words = entry.words if full else _cut(entry.words, max(60, width * 2))
    again = f"  ({entry.times} times)" if entry.times > 1 else ""
    level = f"{entry.level} " if entry.level and entry.level != "INFO" else ""
    return line(
        (f"{_clock(entry.at)}  ", "dim"), (f"{where:<22} ", "host"), (f"{module}  ", "dim"), (level, style),
        (words, style), (again, "dim"),
    )  # fmt: skip


def _exception(more: Sequence[str]) -> Sequence[str]:
    """The end of a traceback says what it was."""
    return [text for text in more[-MORE:] if text.strip() and not text.startswith(("Traceback", "  "))][-1:]


def _end(story: Story) -> Iterator[Any]:
    said = story.diagnosis
    if said is None:
        style = {True: "bad", False: "good", None: "warn"}[story.failed]
        yield line((f"{story.facts.subject}: {ending(story)}", style))
        return
    yield line(("why   ", "head"), (said.line, "bad"))
    where = " ".join(part for part in (said.host, said.service) if part)
    yield line(("      ", ""), (f"{where}  {_moment(said.at)}", "dim"))
    if said.name:
        yield line(("means ", "head"), said.meaning)
        yield line(("      ", ""), (said.source, "dim"))
    else:
        yield line(("means ", "head"), (said.meaning, "warn"))
    yield line(("next  ", "head"), said.next_command)


def ending(story: Story) -> str:
    """How it ended, in a sentence."""
    if story.failed:
        return "failed, and nothing that was read says why"
    if story.failed is False:
        return "nothing failed"
    return "nothing of it was found" if not story.entries else "has not ended, or nothing says how"


def story_document(story: Story, *, exit_code: int) -> dict[str, Any]:
    """In JSON, all of it."""
    facts = story.facts
    return {
        "subject": facts.subject,
        "exit_code": exit_code,
        "outcome": story.outcome,
        "diagnosis": None if story.diagnosis is None else _diagnosis(story.diagnosis),
        "requests": [
            {
                "id": each.id,
                "server": each.server_id,
                "server_name": each.server_name,
                "action": each.action,
                "started": utc(each.started, "milliseconds"),
                "ended": None if each.ended is None else utc(each.ended, "milliseconds"),
                "failed": each.failed,
                "migrations": [
                    {"id": m.id, "type": m.type, "status": m.status, "source": m.source, "target": m.target}
                    for m in each.migrations
                ],
            }
            for each in facts.requests
        ],
        "followed": list(facts.followed),
        "hosts": [
            {
                "host": each.host,
                "logs": [file.name for file in each.files],
                "lines": len(each.lines),
                "clock_skew": round(each.skew, 3),
                "error": each.error or None,
            }
            for each in facts.found
        ],
        "not_seen": list(story.gaps),
        "entries": [_entry(each) for each in story.entries],
    }


def _diagnosis(said: Diagnosis) -> dict[str, Any]:
    return {
        "class": said.name or None,
        "line": said.line,
        "host": said.host,
        "service": said.service,
        "at": utc(said.at, "milliseconds"),
        "meaning": said.meaning,
        "source": said.source,
        "next": said.next_command,
    }


def _entry(each: Entry) -> dict[str, Any]:
    return {
        "at": utc(each.at, "milliseconds"),
        "host": each.host,
        "service": each.service,
        "module": each.module,
        "level": each.level,
        "request": each.request_id or None,
        "server": each.server_id or None,
        "message": each.words,
        "more": list(each.more),
        "times": each.times,
    }


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _day(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def _clock(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:12]
