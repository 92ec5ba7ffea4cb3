"""Figures as people read them."""

import pytest

from nodeops.report import figures


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3900, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert figures.duration(seconds) == words


@pytest.mark.parametrize(
    ("mebibytes", "words"),
    [
        (0, "0 MiB"),
        (512, "512 MiB"),
        (1024, "1 GiB"),
        (3300, "3.2 GiB"),
        (32768, "32 GiB"),
        (1572864, "1.5 TiB"),
    ],
)
def test_sizes(mebibytes: float, words: str) -> None:
    assert figures.size(mebibytes) == words


def test_a_share_may_be_more_than_all_but_its_bar_is_full() -> None:
    assert (figures.share(1, 0), figures.share(200, 100), figures.share(-3, 10)) == (0, 200, 0)
    assert figures.bar(200, 4) == figures.bar(100, 4) == "━━━━"


def test_counts() -> None:
    assert (figures.count(1, "server"), figures.count(2, "server"), figures.count(2, "entry", "entries")) == (
        "1 server",
        "2 servers",
        "2 entries",
    )
