"""The lines of this host's logs that belong to some requests: one process, one pass, nothing copied.

`since` and `until` come as the logs write the time (each may be empty), `begin` and `end` are the same in
seconds since the epoch (or null). Printed are "#file NAME<tab>SIZE<tab>TIME OF ITS FIRST LINE",
"#missing SOURCE", "#cut NAME", and ">LINE".
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from nodeops.onhost.programs import find, tried

CHUNK = 1024 * 1024
NEAR = 64 * 1024
"""How exactly a time is looked for in a long log, in bytes."""
LONGEST = 4000
"""Bytes of a line that are kept."""
DATED = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
OF_JOURNAL = re.compile(rb"\d+\.\d+ \S+ [^ ]+: ")
TRACEBACK = frozenset({b"ERROR", b"CRITICAL", b"TRACE"})
CONTEXT = re.compile(rb" \[(?:-\]|None |req-)")
PACKED = {".gz": ("gzip", "gzip"), ".xz": ("xz", "lzma"), ".bz2": ("bzip2", "bz2"), ".zst": ("zstd", "")}
"""Ending -> the program that unpacks, which is faster, and Python's own module, which few searches need."""


class Wish(NamedTuple):
    ids: tuple[bytes, ...]
    subjects: tuple[bytes, ...]
    since: bytes
    until: bytes
    begin: float | None
    end: float | None
    most: int

    @property
    def words(self) -> tuple[bytes, ...]:
        return (*self.ids, *self.subjects)

    def takes(self, line: bytes) -> bool:
        """A line that has an id, or one of the time that names a server."""
        if any(each in line for each in self.ids):
            return True
        if not any(each in line for each in self.subjects):
            return False
        at = line[:19].replace(b"T", b" ")
        if not DATED.match(at):
            return True
        return (not self.since or at >= self.since) and (not self.until or at <= self.until)


class Sieve:
    """Takes a log in pieces and prints what is wanted of it, with what continues it."""

    def __init__(self, name: str, wish: Wish) -> None:
        self.name = name
        self.wish = wish
        self.left = wish.most
        self._rest = b""
        self._before: tuple[bytes, bytes] | None = None
        """Process and logger of the line that was taken last, while what follows may continue it."""

    def feed(self, piece: bytes) -> None:
        """The next piece; what comes after its last newline waits for the one after."""
        first = piece.find(b"\n")
        if first < 0:
            self._rest += piece
            return
        head = self._rest + piece[: first + 1]
        last = piece.rfind(b"\n") + 1
        self._rest = piece[last:]
        self._sift(head, 0, len(head))
        self._sift(piece, first + 1, last)

    def close(self) -> None:
        if self._rest:
            self._sift(self._rest + b"\n", 0, len(self._rest) + 1)
            self._rest = b""

    def _sift(self, text: bytes, start: int, end: int) -> None:
        """Whole lines; those without a wanted word are not even looked at."""
        at = self._continued(text, start, end)
        for hit in _hits(text, at, end, self.wish.words):
            if self.left < 0:
                return
            if hit < at:
                continue
            begin = text.rfind(b"\n", start, hit) + 1 or start
            stop = text.index(b"\n", hit)
            line = _bare(text[begin:stop])
            at = stop + 1
            if self.wish.takes(line):
                self._take(line)
                at = self._continued(text, at, end)

    def _continued(self, text: bytes, at: int, end: int) -> int:
        """Print what continues the last line, and return where that ends."""
        while self._before is not None and at < end:
            stop = text.index(b"\n", at)
            line = _bare(text[at:stop])
            if not self.wish.takes(line) and not self._continues(line):
                self._before = None
                break
            self._take(line)
            at = stop + 1
        return at

    def _continues(self, line: bytes) -> bool:
        """Text without a time, or a further line of the traceback of the same process and logger."""
        if not DATED.match(line) and not OF_JOURNAL.match(line) and not line.startswith(b"{"):
            return True
        process, level, logger = _head(line)
        return (process, logger) == self._before and level in TRACEBACK and not CONTEXT.search(line)

    def _take(self, line: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            if self.left == -1:
                tell("#cut " + self.name)
            return
        if DATED.match(line):
            process, _, logger = _head(line)
            self._before = process, logger
        elif self._before is None:
            self._before = b"", b""
        sys.stdout.buffer.write(b">" + line[:LONGEST] + b"\n")


def _hits(text: bytes, start: int, end: int, words: tuple[bytes, ...]) -> Iterator[int]:
    """Where any of the words stands, in order."""
    places = {word: text.find(word, start, end) for word in words}
    while True:
        found = [(place, word) for word, place in places.items() if place >= 0]
        if not found:
            return
        place, word = min(found)
        yield place
        places[word] = text.find(word, place + 1, end)


def _head(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Process, level, logger of a line of oslo.log."""
    parts = line.split(b" ", 5)[2:5]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else (b"", b"", b"")  # noqa: PLR2004 - these three


def _bare(line: bytes) -> bytes:
    """Without the journal's own beginning, where the service wrote the time itself."""
    found = OF_JOURNAL.match(line)
    return line[found.end() :] if found and DATED.match(line, found.end()) else line


def tell(words: str) -> None:
    sys.stdout.buffer.write(os.fsencode(words) + b"\n")


def stamp_after(file: IO[bytes], place: int) -> bytes:
    """The time of the first line that begins after a place; empty when none near there has one."""
    file.seek(place)
    text = file.read(NEAR)
    for line in text[text.find(b"\n") + 1 :].split(b"\n") if place else text.split(b"\n"):
        if DATED.match(line):
            return line[:19].replace(b"T", b" ")
    return b""


def place_of(file: IO[bytes], size: int, stamp: bytes) -> int:
    """Where lines of that time may begin: all before it is older."""
    low, high = 0, size
    while high - low > NEAR:
        middle = (low + high) // 2
        found = stamp_after(file, middle)
        if found and found < stamp:
            low = middle
        else:
            high = middle
    return low


def search_plain(path: Path, size: int, wish: Wish) -> None:
    with path.open("rb", buffering=0) as file:
        start, end = 0, size
        if wish.since and size > 4 * NEAR:
            start = place_of(file, size, wish.since)
        if wish.until and size > 4 * NEAR:
            # The last second has lines too, and they may be many.
            end = min(size, place_of(file, size, wish.until + b"~") + 2 * NEAR)
        file.seek(start)
        sieve = Sieve(str(path), wish)
        while start < end and sieve.left >= 0:
            piece = file.read(min(CHUNK, end - start))
            if not piece:
                break
            sieve.feed(piece)
            start += len(piece)
        sieve.close()


def search_output(name: str, argv: list[str], wish: Wish) -> None:
    """Of a program that prints a log."""
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as ran:
        if ran.stdout is not None:
            search_stream(name, ran.stdout, wish)
        ran.kill()


def search_stream(name: str, stream: IO[bytes], wish: Wish) -> None:
    sieve = Sieve(name, wish)
    while sieve.left >= 0:
        piece = stream.read(CHUNK)
        if not piece:
            break
        sieve.feed(piece)
    sieve.close()


def search_packed(path: Path, wish: Wish) -> None:
    program, own = PACKED[path.suffix]
    if find(program):
        search_output(str(path), [program, "-dc", "--", str(path)], wish)
    elif own:
        with importlib.import_module(own).open(path) as stream:
            search_stream(str(path), stream, wish)
    else:
        tell(f"#missing {path}")


def first_time(path: Path) -> bytes:
    """Of a log's first line that has one."""
    with contextlib.suppress(OSError, EOFError):
        own = PACKED.get(path.suffix, ("", ""))[1]
        with importlib.import_module(own).open(path) if own else path.open("rb") as file:
            for line in file.read(NEAR).split(b"\n"):
                if DATED.match(line):
                    return bytes(line[:19].replace(b"T", b" "))
    return b""


def search_files(pattern: str, wish: Wish) -> None:
    files = [
        path for path in Path("/").glob(pattern.lstrip("/")) if path.is_file() and os.access(path, os.R_OK)
    ]
    if not files:
        tell(f"#missing {pattern}")
    for path in sorted(files):
        facts, begins = path.stat(), first_time(path)
        tell(f"#file {path}\t{facts.st_size}\t{begins.decode()}")
        if wish.begin is not None and facts.st_mtime < wish.begin:
            continue
        if wish.until and begins > wish.until:
            continue
        with contextlib.suppress(OSError):
            if path.suffix in PACKED:
                search_packed(path, wish)
            else:
                search_plain(path, facts.st_size, wish)


def between(wish: Wish, sign: str) -> list[str]:
    """The time as journalctl and containers take it."""
    since = [] if wish.begin is None else ["--since", f"{sign}{wish.begin:.0f}"]
    return since + ([] if wish.end is None else ["--until", f"{sign}{wish.end:.0f}"])


def search_journal(unit: str, wish: Wish) -> None:
    known = ["systemctl", "list-units", "--all", "--plain", "--no-legend", unit + ".service"]
    if not (find("journalctl") and answer(known).strip()):
        tell("#missing journal:" + unit)
        return
    tell(f"#file journal:{unit}\t0\t")
    asked = ["journalctl", "--quiet", "--no-pager", "--output=short-unix", "--unit=" + unit]
    search_output("journal:" + unit, asked + between(wish, "@"), wish)


def search_container(program: str, name: str, wish: Wish) -> None:
    if not answer([program, "inspect", "--format", "{{.Id}}", name]).strip():
        tell(f"#missing {program}:{name}")
        return
    tell(f"#file {program}:{name}\t0\t")
    search_output(f"{program}:{name}", [program, "logs", *between(wish, ""), name], wish)


def answer(argv: list[str]) -> str:
    """What a program prints; nothing when it fails or is not there."""
    ended = tried(argv)
    return "" if ended.code else ended.out


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
        _search(asked["sources"], wish)


def _search(sources: list[str], wish: Wish) -> None:
    for source in sources:
        kind, _, name = source.partition(":")
        if kind == "journal":
            search_journal(name, wish)
        elif kind in ("docker", "podman"):
            search_container(kind, name, wish)
        else:
            search_files(source, wish)
    sys.stdout.buffer.flush()
