"""The one sentence that matters out of what Nova keeps of a request that failed."""

from collections.abc import Mapping
from typing import Any

from nodeops.model.facts import Explanation, Migration

TRIALS = "compute_check_can_"
"""Events of a target being tried; a refusal matters only while no other target took it."""


def from_action(action: Mapping[str, Any], request_id: str) -> Explanation | None:
    """Of an instance action: the words of the innermost event that failed.

    A failing call reports itself, then everything that called it; the one that began last is the cause.
    A mere class name says less than a sentence (`nova/objects/instance_action.py`).
    """
    events = action.get("events") or ()
    chosen = any(
        event.get("result") == "Success" and str(event.get("event")).startswith("conductor_")
        for event in events
    )
    failed = [
        event
        for event in events
        if event.get("result") not in {None, "Success"}
        and not (chosen and str(event.get("event")).startswith(TRIALS))
    ]
    failed.sort(key=lambda event: event.get("start_time") or "", reverse=True)
    told = [(event, words_of(event)) for event in failed]
    best = next((pair for pair in told if " " in pair[1]), None) or next((p for p in told if p[1]), None)
    if best is None:
        return None
    event, words = best
    return Explanation(words, request_id, event.get("event") or "", event.get("host") or "")


def words_of(event: Mapping[str, Any]) -> str:
    """`details` (2.84), else the exception at the end of the traceback, without its class."""
    details = str(event.get("details") or "").strip()
    if " " in details:
        return _first_line(details)
    return _last_exception(str(event.get("traceback") or "")) or details


def _last_exception(traceback: str) -> str:
    """The last line that is not indented begins the exception: `package.Class: words`."""
    lines = [line for line in traceback.rstrip().splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if not line[0].isspace()]
    if not starts:
        return ""
    line = lines[starts[-1]]
    name, _, words = line.partition(": ")
    return _first_line(words) if words and " " not in name else _first_line(line)


def _first_line(words: str) -> str:
    return next(iter(words.strip().splitlines()), "").strip().rstrip(".")


def from_migration(migration: Migration, request_id: str) -> Explanation | None:
    """When no event failed: Nova knows only that the migration did."""
    if migration.status not in {"error", "failed", "cancelled"}:
        return None
    target = f" to {migration.target}" if migration.target else ""
    words = f"{migration.type} {migration.id} from {migration.source}{target} ended as {migration.status}"
    if migration.status != "cancelled":
        words += f"; the log of nova-compute on {migration.source} says why"
    return Explanation(words, request_id, host=migration.source)
