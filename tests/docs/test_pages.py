"""The pages do not lie: files, tests and commands they name exist, and what is generated is current."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from nodeops.cli.app import app
from nodeops.cli.exit_codes import error_classes
from nodeops.cli.globals import separate
from nodeops.inventory.variables import VARIABLES
from nodeops.runbooks.classes import CLASSES
from tests.docs.commands_in import ROOT, Command, commands_in, pages

PAGES = pages()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PATHS = re.compile(r"`((?:nodeops|tests|docs|runbooks|bench)/[\w./-]+)`")
COMMANDS = [command for page in PAGES for command in commands_in(page)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_pages_and_commands_are_found() -> None:
    assert {"README.md", "docs/lab.md", "runbooks/planned-maintenance.md"} <= {
        name_of(page) for page in PAGES
    }
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [first or second for first, second in LINK.findall(page.read_text())]
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    path = page.parent / file if file else page
    return path.exists() and (not anchor or anchor in anchors(path))


@cache
def anchors(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    assert [path for path in PATHS.findall(text) if not (ROOT / path).exists()] == []
    assert [
        f"{path}::{name}" for path, name in TEST.findall(text) if name not in functions(ROOT / path)
    ] == []


@cache
def functions(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    )


def test_each_promise_of_the_readme_is_kept_by_a_test() -> None:
    page = (ROOT / "README.md").read_text()
    promises = page.split("| Promise |")[-1].split("\n\n")[0].splitlines()[2:]
    assert len(promises) == 6
    assert [promise for promise in promises if not TEST.search(promise)] == []


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_commands_are_such_as_nodeops_takes(command: Command) -> None:
    rest, _cloud = separate(list(command.words[1:]))
    assert parse(typer.main.get_command(app), "nodeops", rest, None) in command.words


def parse(command: Any, name: str, words: list[str], parent: Any) -> str:
    """Return the command's name; a usage error is raised as the program itself would. Runs nothing."""
    with command.make_context(name, list(words), parent=parent) as context:
        if hasattr(command, "resolve_command"):
            below, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            return parse(found, below, rest, context)
    return name


def test_the_runbook_names_true_exit_codes() -> None:
    text = (ROOT / "runbooks" / "planned-maintenance.md").read_text()
    named = {int(code) for codes in re.findall(r"\(((?:\d+, )*\d+)\) \|", text) for code in codes.split(", ")}
    assert named
    assert named <= {kind.exit_code for kind in error_classes()} | {130}


def test_every_refusal_class_and_every_variable_has_its_line() -> None:
    refusals, variables = (ROOT / "docs" / name for name in ("refusals.md", "inventory-variables.md"))
    assert [name for name in CLASSES if f"`{name}`" not in refusals.read_text()] == []
    assert [each.name for each in VARIABLES if f"`{each.name}`" not in variables.read_text()] == []


def test_every_environment_variable_of_the_code_is_documented() -> None:
    code = "".join(path.read_text() for path in (ROOT / "nodeops").rglob("*.py") if "lab" not in path.parts)
    page = (ROOT / "docs" / "configuration.md").read_text()
    used = set(re.findall(r"\"(NODEOPS_[A-Z_]+|XDG_[A-Z_]+_HOME)\"", code))
    assert [name for name in sorted(used) if f"`{name}`" not in page] == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    records = sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [name for name in records if f"({name})" not in index] == []
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))


def test_generated_pages_are_current() -> None:
    ran = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("words", ["drain c01 --no-such-option", "no-such-command", "drain", "lab fault api"])
def test_a_command_that_nodeops_does_not_take_is_noticed(words: str) -> None:
    with pytest.raises(typer.TyperException):
        parse(typer.main.get_command(app), "nodeops", words.split(), None)


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    page = ROOT / "README.md"
    assert leads_somewhere(page, "docs/lab.md#making-it-large")
    assert not leads_somewhere(page, "docs/nowhere.md")
    assert not leads_somewhere(page, "docs/lab.md#no-such-heading")
