"""docs/json.md tells of every key, and of no other."""

import re
from pathlib import Path
from typing import Any

from nodeops.report.json_view import plan_document, run_document
from tests.sample import OUTCOME, PLAN

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()


def documented(heading: str) -> list[str]:
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


def test_the_document() -> None:
    assert documented("Plan and run") == list(plan_document(PLAN, exit_code=5, dry_run=True))


def test_its_parts() -> None:
    document: dict[str, Any] = run_document(OUTCOME, exit_code=11)
    for part in ("servers", "findings", "targets"):
        assert documented(f"One of `{part}`") == list(document[part][0])
