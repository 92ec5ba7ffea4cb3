"""What `nodeops disks` shows."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from nodeops.cli.desk import Desk
from nodeops.cli.inspect_show import seen
from nodeops.cli.options import Manner
from nodeops.cli.showing import Shown, show, unbroken
from nodeops.plan import Finding, Plan
from nodeops.report.console import line
from nodeops.report.figures import duration, size
from nodeops.runbooks.disks import Item

QUIET = frozenset({"in-use", "base-used", "nova"})
"""Classes whose members are summed up and not listed one by one."""
MIB = 2**20


def show_disks(
    desk: Desk,
    plan: Plan,
    items: Sequence[Item],
    manner: Manner,
    *,
    code: int,
    run: str,
    moved: dict[str, str],
) -> None:
    """In the format that was asked for."""
    shown = Shown(
        lambda: as_document(plan, items, manner, code=code, run=run, moved=moved),
        lambda: as_markdown(plan, items),
        lambda _width: _parts(plan, items, moved),
    )
    show(desk, manner.output, shown)


def _parts(plan: Plan, items: Sequence[Item], moved: dict[str, str]) -> Iterator[Any]:
    listed = [item for item in items if item.kind.name not in QUIET]
    if listed:
        yield _table(listed, moved)
    yield _sums(items)
    for finding in plan.findings:
        yield unbroken(line((finding.words, _style(finding))))


def _style(finding: Finding) -> str:
    return {"error": "bad", "warning": "warn"}.get(finding.level, "dim")


def _table(items: Sequence[Item], moved: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("class", "name"):
        table.add_column(name, overflow="fold")
    for name in ("space", "age"):
        table.add_column(name, justify="right")
    table.add_column("", overflow="fold")
    for item in items:
        words = "; ".join(filter(None, (item.words, item.kept, moved.get(item.name, ""))))
        style = "bad" if item.kind.serious else "warn" if item.movable else ""
        space = size(item.space / MIB) if item.space else ""
        age = "" if item.age is None else duration(item.age)
        table.add_row(line((item.kind.name, style)), seen(item.name), space, age, seen(words))
    return table


def by_class(items: Sequence[Item]) -> dict[str, tuple[int, int]]:
    """Class -> number and bytes."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for item in items:
        number, space = found[item.kind.name]
        found[item.kind.name] = number + 1, space + item.space
    return dict(found)


def _sums(items: Sequence[Item]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class")
    table.add_column("number", justify="right")
    table.add_column("space", justify="right")
    table.add_column("what it is")
    kinds = {item.kind.name: item.kind for item in items}
    for name, (number, space) in by_class(items).items():
        table.add_row(name, str(number), size(space / MIB), kinds[name].seen)
    return table


def as_document(
    plan: Plan, items: Sequence[Item], manner: Manner, *, code: int, run: str, moved: dict[str, str]
) -> dict[str, Any]:
    """The stable keys of `-o json`."""
    return {
        "command": "disks",
        "host": plan.host,
        "run": run,
        "dry_run": manner.dry_run,
        "exit_code": code,
        "classes": {
            name: {"number": number, "bytes": space} for name, (number, space) in by_class(items).items()
        },
        "items": [
            {
                "class": item.kind.name,
                "name": item.name,
                "bytes": item.space,
                "age_seconds": None if item.age is None else round(item.age),
                "words": item.words,
                "serious": item.kind.serious,
                "movable": item.movable,
                "kept": item.kept,
                "moved_to": moved.get(item.name, ""),
            }
            for item in items
        ],
        "findings": [
            {"level": str(each.level), "code": each.code, "words": each.words, "hint": each.hint}
            for each in plan.findings
        ],
        "error": None,
    }


def as_markdown(plan: Plan, items: Sequence[Item]) -> str:
    lines = [f"# disks of {plan.host}", "", "| class | name | bytes | what |", "|---|---|---|---|"]
    lines += [
        f"| {item.kind.name} | `{seen(item.name)}` | {item.space} | {seen(item.words or item.kind.seen)} |"
        for item in items
    ]
    return "\n".join(lines) + "\n"
