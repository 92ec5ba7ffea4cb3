"""Servers that are followed: a line a change, a table while there are many, and the timeline at the end."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from nodeops.model.following import Sighting
from nodeops.model.tracking import FIELDS, Change, Track
from nodeops.report import figures
from nodeops.report.console import line
from nodeops.report.plan_view import plain_table

AROUND = 6
"""Lines of the picture that are no servers."""
LABELS = {"task": "task_state", "power": "power_state"}
"""As Nova calls them, in lines made to be read by eye beside the API's answers."""
BAD = {"error", "ERROR"}


def clock(at: float) -> str:
    """Local time of day, as the lines begin."""
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def moment(at: float) -> str:
    """UTC with milliseconds, for programs."""
    return figures.utc(at, "milliseconds")


def poll_line(sighting: Sighting, at: float, width: int) -> Text:
    """One look: all its states."""
    values = sighting.values
    parts = [f"{LABELS.get(key, key)}: {values[key]}" for key in FIELDS]
    return line((clock(at), "dim"), f"  {sighting.server.name:<{width}}  ", "   ".join(parts))


def change_line(change: Change, width: int) -> Text:
    """What changed, before and after; all its states when it is seen first."""
    values = change.sighting.values
    if change.first:
        return poll_line(change.sighting, change.at, width)
    text = line((clock(change.at), "dim"), f"  {change.sighting.server.name:<{width}}  ")
    if change.sighting.gone:
        text.append("is gone", "warn")
        return text
    shown = [key for key in FIELDS if key in change.before]
    for number, key in enumerate(shown):
        text.append("   " if number else "")
        text.append(f"{LABELS.get(key, key)}: ", "dim")
        text.append(f"{change.before[key]} → ")
        text.append(values[key], "bad" if values[key] in BAD else "head")
    fault = change.sighting.server.fault
    if fault and fault.message and values["vm_state"] in BAD:
        text.append(f"   {fault.message}", "dim")
    return text


def words_line(name: str, words: str, at: float, width: int) -> Text:
    """How far something is."""
    return line((clock(at), "dim"), f"  {name:<{width}}  ", (words, "dim"))


def sighting_document(event: str, sighting: Sighting, at: float, **more: object) -> dict[str, Any]:
    """One line of `-o json`."""
    server, values = sighting.server, sighting.values
    return {
        "event": event,
        "at": moment(at),
        "server": server.id,
        "name": server.name,
        "status": values["status"],
        "vm_state": values["vm_state"],
        "task_state": None if values["task"] == "none" else values["task"],
        "power_state": values["power"],
        "host": server.host,
        "percent": sighting.percent,
        **more,
    }


def change_document(change: Change) -> dict[str, Any]:
    """`seen` at first, `changed` with the values before, `gone` at last."""
    event = "seen" if change.first else "gone" if change.sighting.gone else "changed"
    before = {} if change.first else {LABELS.get(key, key): value for key, value in change.before.items()}
    fault = change.sighting.server.fault
    return sighting_document(
        event,
        change.sighting,
        change.at,
        before=before,
        fault=fault.message if fault and change.sighting.server.vm_state == "error" else None,
    )


def timeline_document(tracks: Iterable[Track], now: float) -> list[dict[str, Any]]:
    """Every server with the states it went through."""
    return [
        {
            "server": track.sighting.server.id,
            "name": track.sighting.server.name,
            "gone": track.sighting.gone,
            "host": track.sighting.server.host,
            "states": [
                {"state": state, "seconds": round(seconds, 1)} for state, seconds in track.timeline(now)
            ],
            "totals": {state: round(seconds, 1) for state, seconds in track.totals(now).items()},
        }
        for track in tracks
    ]


def timeline_table(tracks: Sequence[Track], now: float) -> Table:
    """Time spent in each state, in their order."""
    table = plain_table("server", "watched>", "spent in")
    table.columns[-1].overflow, table.columns[-1].no_wrap = "fold", False
    for track in tracks:
        spans = _parts(track.timeline(now))
        if track.sighting.gone:
            spans += ", then gone"
        whole = sum(seconds for _state, seconds in track.timeline(now))
        table.add_row(Text(track.sighting.server.name), Text(_short(whole)), Text(spans))
    return table


def _parts(spans: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{state} {_short(seconds)}" for state, seconds in spans)


def _short(seconds: float) -> str:
    """Tenths while it is short: the phases of an image are."""
    return f"{seconds:.1f} s" if seconds < figures.MINUTE else figures.duration(seconds)


class Picture:
    """Many servers at one moment: those with a task first, then the last that changed."""

    def __init__(self, tracks: Sequence[Track], now: float, until: str = "") -> None:
        self.tracks = tracks
        self.now = now
        self.until = until

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        room = max(console.size.height - AROUND, 3)
        ranked = sorted(self.tracks, key=lambda track: (track.state == _stable(track), -track.since))
        table = plain_table("server", "status", "state", "for>", "power", "host", "")
        for track in ranked[:room]:
            values = track.sighting.values
            table.add_row(
                Text(track.sighting.server.name),
                Text(values["status"], "bad" if values["status"] in BAD else ""),
                Text(track.state, "dim" if track.state == _stable(track) else "head"),
                Text("" if track.sighting.gone else _short(max(self.now - track.since, 0.0))),
                Text(values["power"], "dim"),
                Text(values["host"], "host"),
                Text(track.words, "dim"),
            )
        yield table
        hidden = len(ranked) - min(room, len(ranked))
        if hidden:
            yield line((f"and {hidden} more", "dim"))
        yield line((_counts(self.tracks), "head"), (f"   until {self.until}" if self.until else "", "dim"))


def _stable(track: Track) -> str:
    return track.sighting.values["vm_state"]


def _counts(tracks: Iterable[Track]) -> str:
    counted: dict[str, int] = {}
    for track in tracks:
        counted[track.state] = counted.get(track.state, 0) + 1
    return ", ".join(f"{number} {state}" for state, number in _largest_first(counted))


def _largest_first(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))
