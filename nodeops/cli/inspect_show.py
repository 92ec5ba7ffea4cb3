"""What looks into disks show on the terminal."""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from nodeops.cli.desk import Desk
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.model.inspecting import Entry, Look, Part
from nodeops.plan import Plan
from nodeops.report.console import line
from nodeops.report.figures import size


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that was copied out, its checksum the same on both sides."""

    path: str
    file: Path
    size: int
    sha256: str


@dataclass
class Result:
    """What a command has to tell."""

    plan: Plan
    run: str = ""
    look: Look | None = None
    listed: str = ""
    entries: tuple[Entry, ...] = ()
    more: bool = False
    copied: list[Copied] = field(default_factory=list)
    words: str = ""


def show_plan(desk: Desk, plan: Plan, manner: Manner) -> None:
    console = desk.out() if manner.output is Format.TABLE and manner.dry_run else desk.err()
    console.print(line((f"{plan.runbook} {plan.options.get('name', '')} on {plan.host}", "head")))
    for step in plan.steps:
        console.print(line("  ", step.why), soft_wrap=True)
    for finding in plan.findings:
        style = {"error": "bad", "warning": "warn"}.get(finding.level, "dim")
        console.print(line("  ", (finding.words, style)), soft_wrap=True)


def show_result(desk: Desk, result: Result, manner: Manner, *, code: int = 0) -> None:
    shown = Shown(
        lambda: as_document(result, manner, code),
        lambda: _markdown(result),
        lambda _width: () if manner.dry_run else _parts(desk, result),
    )
    show(desk, manner.output, shown)


def _parts(desk: Desk, result: Result) -> Iterator[Any]:
    if result.listed:
        yield entries_table(result.entries)
    if result.more:
        yield "there are more"
    for each in result.copied:
        yield f"{each.file}  {_size(each.size)}  sha256 {each.sha256}"
    if result.words:
        desk.err().print(line((result.words, "head")), soft_wrap=True)


def as_document(result: Result, manner: Manner, code: int) -> dict[str, Any]:
    """The stable keys of `-o json`."""
    look, plan = result.look, result.plan
    return {
        "command": "inspect",
        "run": result.run,
        "dry_run": manner.dry_run,
        "exit_code": code,
        "host": plan.host,
        "server": {"id": plan.options.get("server"), "name": plan.options.get("name")},
        "disk": plan.options.get("disk"),
        "writable": plan.options.get("write"),
        "consent": plan.options.get("consent"),
        "steps": [{"id": step.id, "why": step.why, "risk": step.risk.name} for step in plan.steps],
        "findings": [
            {"level": str(each.level), "code": each.code, "words": each.words, "hint": each.hint}
            for each in plan.findings
        ],
        "parts": [asdict(part) for part in look.parts] if look else [],
        "guest": {
            "before": look.state_before if look else "",
            "suspended": bool(look and look.suspended),
            "after": look.state_after if look else "",
        },
        "listed": result.listed,
        "entries": [asdict(entry) for entry in result.entries],
        "more": result.more,
        "copied": [{**asdict(each), "file": str(each.file)} for each in result.copied],
        "words": result.words,
        "error": None,
    }


def _markdown(result: Result) -> str:
    lines = [f"# inspect {result.plan.options.get('name')} on {result.plan.host}", ""]
    lines += [f"- {step.why}" for step in result.plan.steps]
    lines += [f"- `{seen(entry.name)}` {entry.mode} {entry.size}" for entry in result.entries]
    lines += [f"- `{each.file}` {each.size} sha256 `{each.sha256}`" for each in result.copied]
    return "\n".join([*lines, "", result.words]).rstrip() + "\n"


def seen(name: str) -> str:
    """A guest's file name, so that it cannot steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def entries_table(entries: Sequence[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("mode", "owner"):
        table.add_column(name)
    table.add_column("size", justify="right")
    table.add_column("modified")
    table.add_column("name", overflow="fold")
    for each in entries:
        link = f" -> {seen(each.link)}" if each.link else ""
        table.add_row(
            each.mode,
            f"{each.uid}:{each.gid}",
            str(each.size),
            _moment(each.modified),
            seen(each.name) + link,
        )
    return table


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def parts_words(parts: Sequence[Part]) -> list[str]:
    """One line for each part of the disk."""
    found = []
    for part in parts:
        label = f" {seen(part.label)}" if part.label else ""
        kind = f"{part.type}{label}".strip()
        how = f"not mounted: {part.trouble}" if part.trouble else "mounted"
        found.append(f"{part.name}  {kind or '-'}  {_size(part.size) if part.size else 'whole disk'}  {how}")
    return found


def _size(number: int) -> str:
    return size(number / 2**20)


def new_file(folder: Path, path: str) -> Path:
    """The name a copy gets here: the last part of the guest's."""
    name = "".join(letter for letter in path.rsplit("/", 1)[-1] if letter.isprintable() and letter != os.sep)
    return folder / (name if name.strip(".") else "file")


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
