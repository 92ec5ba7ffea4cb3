"""What `nodeops doctor` shows: what is configured here, then what the cloud offers and permits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from nodeops import config
from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import exit_code
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.clients.doctor import Check, Health, examine
from nodeops.errors import NodeopsError
from nodeops.report.console import line
from nodeops.report.figures import count
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

MARK = {
    Health.OK: ("✓", "good"),
    Health.WARNING: ("!", "warn"),
    Health.FAILED: ("✗", "bad"),
    Health.NOT_ASKED: ("·", "dim"),
}


@dataclass(frozen=True, slots=True)
class Local:
    """A question about this machine: words, and a hint when they are a warning."""

    name: str
    ask: Callable[[Desk], tuple[str, str]]


def run_checks(desk: Desk, output: Format) -> int:
    """Ask everything, show the answers, and return the exit code of the first that failed."""
    answers = [*_here(desk), *_there(desk)]
    code = next((_code(answer) for answer in answers if answer.health is Health.FAILED), 0)
    shown = Shown(
        lambda: {"exit_code": code, "checks": [_value(answer) for answer in answers]},
        lambda: _markdown(answers),
        lambda _width: _parts(answers),
    )
    show(desk, output, shown)
    return code


def _here(desk: Desk) -> Iterator[Check]:
    for local in LOCAL:
        try:
            words, hint = local.ask(desk)
        except NodeopsError as error:
            yield _failed(local.name, error)
        else:
            yield Check(local.name, Health.WARNING if hint else Health.OK, words, hint)


def _there(desk: Desk) -> Iterator[Check]:
    try:
        cloud = desk.cloud()
    except NodeopsError as error:
        yield _failed("cloud", error)
    else:
        yield from examine(cloud)


def _failed(name: str, error: NodeopsError) -> Check:
    return Check(name, Health.FAILED, error.message, error.hint, error)


def _code(answer: Check) -> int:
    return exit_code(answer.error) if answer.error else NodeopsError.exit_code


def _value(answer: Check) -> dict[str, object]:
    return {
        "check": answer.name,
        "health": str(answer.health),
        "words": answer.found,
        "hint": answer.hint,
        "code": _code(answer) if answer.health is Health.FAILED else 0,
    }


def _markdown(answers: Sequence[Check]) -> str:
    rows = [(answer.name, str(answer.health), answer.found, answer.hint) for answer in answers]
    return "\n".join(markdown_table(("Check", "Health", "Found", "Hint"), rows))


def _parts(answers: Sequence[Check]) -> Iterator[Any]:
    table = plain_table("", "check", "found")
    table.show_header = False
    table.columns[2].overflow, table.columns[2].no_wrap = "fold", False
    for answer in answers:
        mark, style = MARK[answer.health]
        words = Text(answer.found, "dim" if answer.health is Health.NOT_ASKED else "")
        if answer.hint:
            words.append(f"\nhint: {answer.hint}", "dim")
        table.add_row(Text(mark, style), Text(answer.name), words)
    yield table
    yield ""
    bad = sum(answer.health is Health.FAILED for answer in answers)
    ending = "everything a drain needs is there" if not bad else f"{count(bad, 'check')} failed"
    yield line((ending, "bad" if bad else "good"))


def _inventory(desk: Desk) -> tuple[str, str]:
    known = desk.inventory()
    if not known.name:
        return "none; storage and migration rates are learnt or asked for", ""
    words = f"{known.name}: {count(len(known.places), 'host')}"
    return words, "; ".join(known.warnings)


def _journal(desk: Desk) -> tuple[str, str]:
    journal = desk.journal()
    left = [run for run in journal.runs() if run.unfinished and not run.owner_alive]
    shown = journal.engine.url.render_as_string(hide_password=True)
    if left:
        names = ", ".join(f"{run.id} ({run.runbook} {run.host})" for run in left)
        return f"{shown}: {count(len(left), 'run')} not finished: {names}", "nodeops resume RUN goes on."
    return shown, ""


def _operator(_desk: Desk) -> tuple[str, str]:
    return str(config.operator()), ""


LOCAL = (Local("operator", _operator), Local("inventory", _inventory), Local("journal", _journal))
