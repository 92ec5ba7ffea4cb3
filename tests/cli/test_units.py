"""Durations and rates are parsed strictly."""

import pytest

from nodeops.cli import units
from nodeops.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172800), ("1h1m1s", 3661), ("90m", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.duration(text, option="--window") == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "m", "30m1h", "1h 30m", "-5m", "1.5h", "0s", "5x", "1H", "\uff11m"]
)
def test_bad_durations_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="--window") as raised:
        units.duration(text, option="--window")
    assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("500M", 500), ("1.5G", 1536), ("800MiB/s", 800), ("2048K", 2), ("1T", 1 << 20), ("1GB/s", 1024)],
)
def test_rates(text: str, mebibytes: float) -> None:
    assert units.rate(text, option="--rate") == mebibytes


@pytest.mark.parametrize("text", ["", "500", "M", "-1M", "0M", "5 M", "1,5G", "500Mb", "500Mbit", "nanG"])
def test_bad_rates_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="--rate"):
        units.rate(text, option="--rate")
