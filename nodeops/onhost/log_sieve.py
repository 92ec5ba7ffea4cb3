"""Takes the lines that belong to some requests out of a log, and prints them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import IO, NamedTuple

CHUNK = 1024 * 1024
LONGEST = 4000
"""Bytes of a line that are kept."""
DATED = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
OF_JOURNAL = re.compile(rb"\d+\.\d+ \S+ [^ ]+: ")
TRACEBACK = frozenset({b"ERROR", b"CRITICAL", b"TRACE"})
CONTEXT = re.compile(rb" \[(?:-\]|None |req-)")

UNPACK = {".gz": ("gzip", "gzip"), ".xz": ("xz", "lzma"), ".bz2": ("bzip2", "bz2"), ".zst": ("zstd", "")}
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


def sift(name: str, stream: IO[bytes], wish: Wish, length: int = sys.maxsize) -> None:
    """So many bytes of it, or all."""
    sieve = Sieve(name, wish)
    while sieve.left >= 0:
        piece = stream.read(min(CHUNK, length))
        if not piece:
            break
        sieve.feed(piece)
        length -= len(piece)
    sieve.close()


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
