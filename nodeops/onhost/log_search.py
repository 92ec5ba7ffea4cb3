"""The lines of this host's logs that belong to some requests: one process, one pass, nothing copied.

`since` and `until` come as the logs write the time (each may be empty), `begin` and `end` are the same in
seconds since the epoch (or null). Printed are "#file NAME<tab>SIZE<tab>TIME OF ITS FIRST LINE",
"#missing SOURCE", "#cut NAME", and ">LINE".
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from glob import glob
from typing import IO, Any

from nodeops.onhost.log_sieve import CHUNK, DATED, UNPACK, Wish, sift, tell

NEAR = 64 * 1024
"""How exactly a time is looked for in a long log, in bytes."""
FOR_GREP = 8 * CHUNK
"""Bytes of a log; a shorter one is read before grep has started."""
PACKED = tuple(UNPACK)
ASKED = ("journal", "docker", "podman")
"""Sources that are programs."""


def clock(_: dict[str, Any]) -> dict[str, float]:
    """The time here, in seconds since the epoch, and how many seconds the local time is ahead of UTC."""
    now = time.time()
    return {"now": now, "offset": float(time.localtime(now).tm_gmtoff)}


def search(asked: dict[str, Any]) -> None:
    """Print what `ids` and `subjects` are found in, of `sources`, with no more than `most` lines of each."""
    wish = Wish(
        ids=tuple(map(os.fsencode, asked["ids"])),
        subjects=tuple(map(os.fsencode, asked["subjects"])),
        since=asked["since"].encode(),
        until=asked["until"].encode(),
        begin=asked["begin"],
        end=asked["end"],
        most=int(asked["most"]),
    )
    with contextlib.suppress(BrokenPipeError):
        for source in asked["sources"]:
            kind, _, name = source.partition(":")
            if kind in ASKED:
                from nodeops.onhost import log_programs

                log_programs.search(kind, name, wish)
            else:
                search_files(source, wish)
        sys.stdout.buffer.flush()


def search_files(pattern: str, wish: Wish) -> None:
    files = sorted(file for file in glob(pattern, recursive=True) if os.path.isfile(file))
    files = [file for file in files if os.access(file, os.R_OK)]
    if not files:
        tell(f"#missing {pattern}")
    told, spans = {}, {}
    for file in files:
        # One that is rotated away meanwhile is left out.
        with contextlib.suppress(OSError):
            facts, begins = os.stat(file), first_time(file)
            told[file] = f"#file {file}\t{facts.st_size}\t{begins.decode()}"
            early = wish.begin is not None and facts.st_mtime < wish.begin
            late = bool(wish.until) and begins > wish.until
            if not early and not late:
                spans[file] = span(file, facts.st_size, wish)
    shorten(spans, wish)
    for file, words in told.items():
        tell(words)
        with contextlib.suppress(OSError):
            if file in spans:
                search_file(file, *spans[file], wish)


def first_time(file: str) -> bytes:
    """Of a log's first line that has one; empty where there is none."""
    if file.endswith(PACKED):
        from nodeops.onhost import log_programs

        text = log_programs.beginning(file, NEAR)
    else:
        with open(file, "rb", buffering=0) as log:
            text = log.read(NEAR)
    return next((stamp_of(line) for line in text.split(b"\n") if DATED.match(line)), b"")


def stamp_of(line: bytes) -> bytes:
    return line[:19].replace(b"T", b" ")


def stamp_after(log: IO[bytes], place: int) -> bytes:
    """The time of the first line that begins after a place; empty when none near there has one."""
    log.seek(place)
    text = log.read(NEAR)
    begins = text.find(b"\n") + 1 if place else 0
    return next((stamp_of(line) for line in text[begins:].split(b"\n") if DATED.match(line)), b"")


def place_of(log: IO[bytes], size: int, stamp: bytes) -> int:
    """Where lines of that time may begin: all before it is older."""
    low, high = 0, size
    while high - low > NEAR:
        middle = (low + high) // 2
        found = stamp_after(log, middle)
        if found and found < stamp:
            low = middle
        else:
            high = middle
    return low


def span(file: str, size: int, wish: Wish) -> tuple[int, int]:
    """From where to where lines of the wanted time may be in a log, in bytes."""
    start, end = 0, size
    if size > 4 * NEAR and not file.endswith(PACKED) and (wish.since or wish.until):
        with open(file, "rb", buffering=0) as log:
            if wish.since:
                start = place_of(log, size, wish.since)
            if wish.until:
                # The last second has lines too, and they may be many.
                end = min(size, place_of(log, size, wish.until + b"~") + 2 * NEAR)
    return start, end


def shorten(spans: dict[str, tuple[int, int]], wish: Wish) -> None:
    """Let logs begin with their first line that has a wanted word, and drop those without one.

    Where grep can tell, which takes half as long as to look for it here.
    """
    long = [
        file
        for file, (start, end) in spans.items()
        if start == 0 and end >= FOR_GREP and not file.endswith(PACKED)
    ]
    if not long:
        return
    from nodeops.onhost import log_grep

    found = log_grep.first_hits(long, wish.words)
    if found is None:
        return
    for file in long:
        _, end = spans.pop(file)
        if file in found:
            spans[file] = found[file], end


def search_file(file: str, start: int, end: int, wish: Wish) -> None:
    if file.endswith(PACKED):
        from nodeops.onhost import log_programs

        log_programs.search_packed(file, wish)
        return
    with open(file, "rb", buffering=0) as log:
        log.seek(start)
        sift(file, log, wish, end - start)
