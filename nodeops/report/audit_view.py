"""Left-overs: a table by host, a page for the ticket, a document."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.padding import Padding
from rich.text import Text

from nodeops.report.console import indented, line
from nodeops.report.figures import count
from nodeops.report.markdown_view import markdown_page
from nodeops.report.plan_view import plain_table

SHOWN = 20
"""Left-overs of one kind that are told one by one on a terminal; JSON has all."""


@dataclass(frozen=True, slots=True)
class LeftoverLine:
    """One left-over, as it is shown."""

    kind: str
    serious: bool
    id: str
    name: str
    host: str
    words: str
    cause: str
    repair: str
    fixed: bool
    """Whether --fix would see to it."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was looked at and what was found."""

    scope: str
    where: str
    hosts: int
    servers: int
    databases: bool
    lines: Sequence[LeftoverLine]
    unseen: Sequence[str]
    without_databases: Sequence[str]
    """Kinds that nothing could be said of."""
    calls: int

    @property
    def serious(self) -> int:
        return sum(each.serious for each in self.lines)


def audit_lines(report: AuditReport) -> Iterator[Any]:
    """For a terminal: each kind once with cause and repair, and under it what was found."""
    for kind in dict.fromkeys(each.kind for each in report.lines):
        same = [each for each in report.lines if each.kind == kind]
        yield line((kind, "bad" if same[0].serious else "dim"), f"  {len(same)}")
        yield indented(line(("cause   ", "dim"), same[0].cause))
        fix = ("  --fix does it", "good") if any(each.fixed for each in same) else ("", "")
        yield indented(line(("repair  ", "dim"), same[0].repair, fix))
        table = plain_table("host", "server", "seen")
        table.columns[-1].no_wrap = False
        for each in same[:SHOWN]:
            table.add_row(Text(each.host or "-", "host"), Text(each.name), Text(each.words, "dim"))
        yield indented(table)
        if len(same) > SHOWN:
            yield Padding(line((f"and {len(same) - SHOWN} more: -o json has them all", "dim")), (0, 0, 0, 2))
        yield Text()
    for words in report.unseen:
        yield line(("not seen  ", "warn"), words)
    if report.without_databases:
        kinds = ", ".join(report.without_databases)
        yield line(("not seen without the databases  ", "dim"), kinds)
    yield line((summary(report), "head"))


def summary(report: AuditReport) -> str:
    """One line."""
    other = len(report.lines) - report.serious
    parts = [f"{report.where}: {count(report.serious, 'finding')}"]
    if other:
        parts.append(f"{other} more that are no fault")
    parts.append(f"{count(report.servers, 'server')} on {count(report.hosts, 'host')} looked at")
    parts.append("with the databases" if report.databases else "by the API alone")
    return ", ".join(parts)


def audit_markdown(report: AuditReport) -> str:
    """For a ticket."""
    rows = [
        (each.kind, each.host, each.name, each.id, each.words, each.repair, "yes" if each.fixed else "")
        for each in report.lines
    ]
    headers = ("Finding", "Host", "Server", "Id", "Seen", "Repair", "--fix")
    return markdown_page(headers, rows, summary(report))


def audit_document(report: AuditReport, *, exit_code: int) -> dict[str, Any]:
    """In JSON."""
    return {
        "scope": report.scope,
        "exit_code": exit_code,
        "hosts": report.hosts,
        "servers": report.servers,
        "databases": report.databases,
        "api_calls": report.calls,
        "findings": [_line(each) for each in report.lines],
        "unseen": list(report.unseen),
        "unseen_without_databases": list(report.without_databases),
    }


def _line(each: LeftoverLine) -> dict[str, Any]:
    return {
        "class": each.kind,
        "serious": each.serious,
        "id": each.id,
        "name": each.name,
        "host": each.host,
        "words": each.words,
        "cause": each.cause,
        "repair": each.repair,
        "fix": each.fixed,
    }
