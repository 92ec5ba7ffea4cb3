"""Figures as people read them."""

import datetime as dt

MINUTE = 60
HOUR = 3600
GIBI = 1024
TEBI = 1024 * 1024
FEW = 10


def duration(seconds: float) -> str:
    """`9 s`, `3 min 20 s`, `1 h 05 min`: two units at most, never less than a second of real work."""
    whole = max(round(seconds), 1) if seconds > 0 else 0
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, left = divmod(whole, MINUTE)
        return f"{minutes} min {left:02d} s" if left else f"{minutes} min"
    hours, left = divmod(whole, HOUR)
    minutes = left // MINUTE
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"


def size(mebibytes: float) -> str:
    """`512 MiB`, `3.2 GiB`, `32 GiB`, `1.5 TiB`."""
    if mebibytes < GIBI:
        return f"{round(mebibytes)} MiB"
    amount, unit = (mebibytes / GIBI, "GiB") if mebibytes < TEBI else (mebibytes / TEBI, "TiB")
    return f"{_short(amount)} {unit}"


def share(part: float, whole: float) -> int:
    """Percent; of nothing is 0."""
    return max(0, round(100 * part / whole)) if whole > 0 else 0


def bar(percent: int, width: int) -> str:
    """A bar of `width` characters, full from 100 percent on."""
    full = min(round(width * percent / 100), width)
    return "━" * full + "╌" * (width - full)


def count(number: int, one: str, many: str = "") -> str:
    """`1 server`, `3 servers`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def moment(at: float) -> str:
    """Local time with its offset, to the second; empty for no time."""
    if not at:
        return ""
    return dt.datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def utc(at: float, timespec: str = "seconds") -> str:
    """`2026-05-04T03:02:01Z`."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _short(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0") if amount < FEW else str(round(amount))
