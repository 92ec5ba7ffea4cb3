"""Values of one kind in a file, each with a number of its own that no later one takes over.

Several processes may add and remove: they take turns by a lock beside the file. Readers need no lock, for the
file is written whole or not at all.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field, asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from nodeops.lab.hypervisor.places import read_json, write_json


class Numbered(Protocol):
    """A dataclass's value that knows its number."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def number(self) -> int: ...


Value = TypeVar("Value", bound=Numbered)


@dataclass(frozen=True, slots=True)
class NumberedFile(Generic[Value]):
    """The file, and how a value is made of what is in it."""

    path: Path
    numbered: Callable[[Value, int], Value]
    """The value with this number."""
    restored: Callable[[dict[str, Any]], Value]
    """What `dataclasses.asdict` made of a value, as that value."""

    def add(self, value: Value) -> Value:
        """Keep the value and return it with its number."""
        with self._locked():
            last, values = self._read()
            given = self.numbered(value, last + 1)
            self._write([*values, given], last + 1)
        return given

    def all(self) -> list[Value]:
        """Return the values in the order they were added."""
        return self._read()[1]

    def remove(self, number: int) -> bool:
        """Forget one value; return whether it was there."""
        with self._locked():
            last, values = self._read()
            kept = [value for value in values if value.number != number]
            self._write(kept, last)
        return len(kept) != len(values)

    def clear(self) -> int:
        """Forget all values; return how many there were."""
        with self._locked():
            last, values = self._read()
            self._write([], last)
        return len(values)

    def _read(self) -> tuple[int, list[Value]]:
        """Return the last number that was given, and the values."""
        held = read_json(self.path) or {}
        return held.get("last_id", 0), [self.restored(value) for value in held.get("values", ())]

    def _write(self, values: list[Value], last: int) -> None:
        write_json(self.path, {"last_id": last, "values": [asdict(value) for value in values]})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.path.with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


class Followed(Generic[Value]):
    """The values as one process sees them, read again when the file changed."""

    def __init__(self, file: NumberedFile[Value]) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self.values: list[Value] = []

    def refresh(self) -> bool:
        """Return whether they were read again."""
        stamp = self._now()
        if stamp == self._stamp:
            return False
        self.values = self._file.all()
        self._stamp = stamp
        return True

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self._file.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns
