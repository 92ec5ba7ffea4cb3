"""One result in the three formats, each made only when it was asked for."""

import json
from typing import Any

import pytest

from nodeops.cli.desk import Desk
from nodeops.cli.globals import Globals
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show, unbroken
from nodeops.report.console import line

LONG = " ".join(["word"] * 100)


def not_asked(*_: Any) -> Any:
    raise AssertionError("nobody asked for this form")


def test_json_and_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    with Desk(Globals()) as desk:
        show(desk, Format.JSON, Shown(lambda: {"words": LONG}, not_asked, not_asked))
        assert json.loads(capsys.readouterr().out) == {"words": LONG}
        show(desk, Format.MARKDOWN, Shown(not_asked, lambda: f"# {LONG}\n", not_asked))
        assert capsys.readouterr().out == f"# {LONG}\n"


def test_words_and_what_is_unbroken_stay_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parts = [LONG, unbroken(line((LONG, "warn"))), line((LONG, "warn"))]
    with Desk(Globals()) as desk:
        show(desk, Format.TABLE, Shown(not_asked, not_asked, lambda width: [str(width), *parts]))
    width, first, second, *broken = capsys.readouterr().out.splitlines()
    assert width == "80"
    assert first == second == LONG
    assert len(broken) > 1
