"""Durations, sizes and rates as an operator writes them."""

import re

from nodeops.errors import UsageError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MEBIBYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}
_DURATION = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_RATE = re.compile(r"(\d+(?:\.\d+)?)([KMGT])(?:i?B)?(?:/s)?", re.ASCII)


def duration(text: str, *, option: str) -> float:
    """Seconds of `90s`, `15m`, `1h30m`, `2d`; larger units first, each once, no bare number.

    Raises `UsageError`.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise UsageError(
            f"{option}: {text!r} is no duration",
            hint="Write it with its unit: 90s, 15m, 1h30m; larger units first.",
        )
    parts = zip(found.groups(), (SECONDS["d"], SECONDS["h"], SECONDS["m"], SECONDS["s"]), strict=True)
    seconds = sum(int(amount) * unit for amount, unit in parts if amount)
    if not seconds:
        raise UsageError(f"{option}: {text!r} is no time at all", hint="Give at least 1s.")
    return float(seconds)


def rate(text: str, *, option: str) -> float:
    """MiB per second of `500M`, `1.5G`, `800MiB/s`; units are powers of 1024, bytes not bits.

    Raises `UsageError`.
    """
    found = _RATE.fullmatch(text)
    if not found:
        raise UsageError(
            f"{option}: {text!r} is no rate", hint="Write bytes per second with a unit: 500M, 1.2G, 800MiB/s."
        )
    mebibytes = float(found[1]) * MEBIBYTES[found[2]]
    if mebibytes <= 0:
        raise UsageError(f"{option}: {text!r} is no rate", hint="Give more than 0.")
    return mebibytes
