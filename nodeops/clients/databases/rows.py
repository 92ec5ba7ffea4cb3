"""Rows as JSON can hold them, and back: byte for byte."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, DateTime, Row, Table

from nodeops.model.records import Row as PlainRow

Item = TypeVar("Item")
BATCH = 500
"""Ids in one query."""


def batches(items: Sequence[Item], size: int = BATCH) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def plain(value: Any) -> Any:
    """A column's value as JSON can hold it."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Decimal):
        return str(value)
    return value


def moment(value: datetime | None) -> str:
    """ISO 8601 with microseconds and no zone, which is UTC; empty for none."""
    if value is None:
        return ""
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat(timespec="microseconds")


def plain_row(row: Row[Any]) -> PlainRow:
    return {name: plain(value) for name, value in row._mapping.items()}  # noqa: SLF001 - its public name


def stored(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """A plain row, or a part of one, as the columns of that table take it; unknown columns are left out."""
    return {name: _column(table.c[name], value) for name, value in row.items() if name in table.c}


def _column(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, DateTime) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Boolean):
        return bool(value)
    return value


def now() -> datetime:
    """As the services write it: UTC without a zone, whole seconds, which is what the columns hold."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def grouped(rows: Iterable[Any], key: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, key), []).append(row)
    return found
