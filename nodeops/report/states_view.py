"""States of servers that contradict each other: a table, a page for the ticket, a document."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from nodeops.report.console import indented, line
from nodeops.report.figures import count, duration, utc
from nodeops.report.markdown_view import markdown_page
from nodeops.report.plan_view import plain_table


@dataclass(frozen=True, slots=True)
class MismatchLine:
    """One finding, as it is shown."""

    kind: str
    serious: bool
    id: str
    name: str
    host: str
    vm_state: str
    task_state: str | None
    power: str
    by_hypervisor: bool
    words: str
    cause: str
    mend: str
    fix: tuple[str, ...]
    """What --fix would do, in its order; empty: nothing."""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class StatesReport:
    """What was looked at and what was found."""

    host: str | None
    servers: int
    tasks: int
    """Servers in a task, of which nothing else is said."""
    hypervisors: Sequence[str]
    """Hosts that were asked themselves."""
    silent: Sequence[str]
    """Hosts that are down: what their guests do is not known."""
    lines: Sequence[MismatchLine]
    unseen: Sequence[str]
    calls: int
    now: float

    @property
    def where(self) -> str:
        return self.host or "all hosts"

    @property
    def serious(self) -> int:
        return sum(each.serious for each in self.lines)


def states_lines(report: StatesReport) -> Iterator[Any]:
    """For a terminal: the findings, then each kind once with cause and mend."""
    if report.lines:
        table = plain_table("server", "host", "vm_state", "task", "power", "finding", "for>", "--fix does")
        for each in report.lines:
            table.add_row(
                Text(each.name),
                Text(each.host, "host"),
                Text(each.vm_state),
                Text(each.task_state or "-", "warn" if each.task_state else "dim"),
                Text(each.power + ("*" if each.by_hypervisor else "")),
                Text(each.kind, "bad" if each.serious else "dim"),
                Text(duration(report.now - each.since) if each.since else "", "dim"),
                Text(", then ".join(each.fix) or "nothing", "" if each.fix else "dim"),
            )
        yield table
        yield Text()
        yield from _kinds(report.lines)
    for words in report.unseen:
        yield line(("not seen  ", "warn"), words)
    yield line((summary(report), "head"))


def _kinds(lines: Sequence[MismatchLine]) -> Iterator[Any]:
    for kind in dict.fromkeys(each.kind for each in lines):
        same = [each for each in lines if each.kind == kind]
        yield line((kind, "bad" if same[0].serious else "dim"), f"  {count(len(same), 'server')}")
        yield indented(line(("cause  ", "dim"), same[0].cause))
        yield indented(line(("mend   ", "dim"), same[0].mend))
        for each in same:
            yield indented(line(f"{each.name} ", (each.words, "dim")))
        yield Text()


def summary(report: StatesReport) -> str:
    """One line."""
    parts = [f"{report.where}: {count(report.serious, 'finding')} in {count(report.servers, 'server')}"]
    if report.tasks:
        parts.append(f"{report.tasks} in a task")
    if report.silent:
        parts.append(f"guests not judged on {', '.join(report.silent)}: down")
    seen = f"hypervisor asked on {count(len(report.hypervisors), 'host')}" if report.hypervisors else ""
    parts.append(seen or "by Nova's records alone")
    return ", ".join(parts)


def states_markdown(report: StatesReport) -> str:
    """For a ticket."""
    rows = [
        (
            each.name, each.id, each.host, each.vm_state, each.task_state or "", each.power, each.kind,
            each.words, each.mend,
        )
        for each in report.lines
    ]  # fmt: skip
    headers = ("Server", "Id", "Host", "vm_state", "Task", "Power", "Finding", "Seen", "Mend")
    return markdown_page(headers, rows, summary(report))


def states_document(report: StatesReport, *, exit_code: int) -> dict[str, Any]:
    """In JSON."""
    return {
        "host": report.host,
        "exit_code": exit_code,
        "servers": report.servers,
        "in_a_task": report.tasks,
        "hypervisors": list(report.hypervisors),
        "silent": list(report.silent),
        "api_calls": report.calls,
        "findings": [_line(each) for each in report.lines],
        "unseen": list(report.unseen),
    }


def _line(each: MismatchLine) -> dict[str, Any]:
    return {
        "class": each.kind,
        "serious": each.serious,
        "id": each.id,
        "name": each.name,
        "host": each.host,
        "vm_state": each.vm_state,
        "task_state": each.task_state,
        "power_state": each.power,
        "by_hypervisor": each.by_hypervisor,
        "words": each.words,
        "cause": each.cause,
        "mend": each.mend,
        "fix": list(each.fix),
        "since": utc(each.since) if each.since else None,
    }
