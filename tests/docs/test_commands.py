"""Every command and option explains itself, and the pages made of them are current."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from nodeops.cli.app import app
from nodeops.cli.exit_codes import error_classes
from nodeops.report.json_view import plan_document
from tests.sample import PLAN

ROOT = Path(__file__).parents[2]


def walk(command: Any, path: tuple[str, ...], parent: Any = None) -> Iterator[tuple[str, Any]]:
    with command.make_context(path[-1], [], parent=parent, resilient_parsing=True) as context:
        yield " ".join(path), command
        if hasattr(command, "list_commands"):
            for name in command.list_commands(context):
                yield from walk(command.get_command(context, name), (*path, name), context)


COMMANDS = dict(walk(typer.main.get_command(app), ("nodeops",)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    options = [param for param in command.params if param.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize(
    "path",
    [
        "drain",
        "undrain",
        "plan drain",
        "apply",
        "runs",
        "show",
        "resume",
        "status",
        "doctor",
        "inquest",
        "watch",
        "snapshot",
        "states",
        "address show",
        "address keep",
        "address move",
        "address reserve",
        "address rescue",
        "address check",
    ],
)
def test_commands_come_with_examples(path: str) -> None:
    assert re.search(rf"^  nodeops {path}", COMMANDS[f"nodeops {path}"].help, re.MULTILINE)


def test_the_page_of_exit_codes_holds_every_error() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    assert [
        kind.code for kind in error_classes() if f"| {kind.exit_code} | `{kind.code}` |" not in page
    ] == []


def test_the_issue_s_keys_are_there() -> None:
    document = plan_document(PLAN, exit_code=0, dry_run=True)
    wanted = {"run", "runbook", "host", "digest", "exit_code", "fits", "servers", "findings"}
    assert wanted <= document.keys()
    of_a_server = "id name status action target verdict class reason override risk expected_seconds"
    assert set(of_a_server.split()) <= document["servers"][0].keys()
