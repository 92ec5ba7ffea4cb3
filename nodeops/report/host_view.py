"""Hosts as machines, on the terminal, as JSON and as Markdown."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from nodeops.model.machine import Condition, Service
from nodeops.model.readiness import Check, Standing
from nodeops.report.console import line
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

MARK = {
    Standing.PASSED: ("✓", "good"),
    Standing.FAILED: ("✗", "bad"),
    Standing.UNKNOWN: ("?", "bad"),
    Standing.NOTED: ("·", "dim"),
    Standing.ACCEPTED: ("!", "warn"),
}
GOOD = frozenset({"running"})


def moment(at: float | None) -> str:
    """UTC, as Nova's own times are."""
    return "" if at is None else dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def conditions_table(conditions: Sequence[Condition]) -> Table:
    """One line for each host."""
    table = plain_table("host", "up since", "system", "nova-compute", "by", "bus", "libvirt", "guests>")
    for each in conditions:
        service = each.compute
        state = str(service.state) + (", masked" if service.masked else "") if service else "not found"
        bus = "?" if each.bus.connections is None else f"{each.bus.connections} conn."
        libvirt = each.libvirt.version if each.libvirt and each.libvirt.answers else "no answer"
        table.add_row(
            Text(each.host, "host"),
            Text(moment(each.booted_at)),
            Text(each.system_state or "-", "" if each.system_state == "running" else "warn"),
            Text(state, "good" if service and service.running else "bad"),
            Text(str(service.manager) if service else "-", "dim"),
            Text(bus, "" if each.bus.connections else "warn"),
            Text(libvirt),
            Text("?" if each.guests is None else str(len(each.guests))),
        )
    return table


def condition_lines(condition: Condition) -> Iterator[Any]:
    """All that is known of one host."""
    table = plain_table("service", "state", "by", "since")
    for service in (condition.compute, *condition.services):
        if service is not None:
            kept = ", masked" if service.masked else ""
            style = "good" if service.running else "bad"
            since = moment(service.since)
            table.add_row(
                Text(service.name),
                Text(f"{service.state}{kept}", style),
                Text(str(service.manager), "dim"),
                Text(since, "dim"),
            )
    yield table
    if condition.failed_units:
        yield line(("failed units: ", "bad"), ", ".join(condition.failed_units))


def condition_document(condition: Condition) -> dict[str, Any]:
    return {
        "host": condition.host,
        "boot": {
            "id": condition.boot.id,
            "at": moment(condition.booted_at),
            "kernel": condition.boot.kernel,
        },
        "system": condition.system_state,
        "failed_units": None if condition.failed_units is None else list(condition.failed_units),
        "nova_compute": _service(condition.compute) if condition.compute else None,
        "services": [_service(each) for each in condition.services],
        "bus": {"servers": list(condition.bus.wanted), "connections": condition.bus.connections},
        "libvirt": condition.libvirt.version if condition.libvirt else None,
        "guests": None if condition.guests is None else list(condition.guests),
        "clock_offset": round(condition.clock_offset, 1),
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "manager": str(service.manager),
        "state": str(service.state),
        "masked": service.masked,
        "since": moment(service.since) or None,
    }


def conditions_markdown(conditions: Sequence[Condition]) -> str:
    rows = [
        (
            each.host,
            moment(each.booted_at),
            each.compute.words if each.compute else "nova-compute not found",
            "" if each.guests is None else str(len(each.guests)),
        )
        for each in conditions
    ]
    return "\n".join(markdown_table(("Host", "Up since", "nova-compute", "Guests"), rows)) + "\n"


def checks_table(checks: Sequence[Check]) -> Table:
    """Found and, where it is not so, wanted and the way out."""
    table = plain_table("", "question", "found")
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for check in checks:
        mark, style = MARK[check.standing]
        found = line(check.found)
        if check.standing.holds_up:
            wanted = f"\nwanted: {check.wanted}" if check.wanted else ""
            found.append(wanted, "warn").append(f"\n{check.way_out}" if check.way_out else "", "dim")
        table.add_row(Text(mark, style), Text(check.subject), found)
    return table


def check_document(check: Check) -> dict[str, Any]:
    return {
        "code": check.code,
        "subject": check.subject,
        "standing": str(check.standing),
        "found": check.found,
        "wanted": check.wanted,
        "way_out": check.way_out,
    }


def checks_markdown(checks: Sequence[Check]) -> str:
    rows = [
        (str(check.standing), check.subject, check.found, check.wanted if check.standing.holds_up else "")
        for check in checks
    ]
    return "\n".join(markdown_table(("", "Question", "Found", "Wanted"), rows)) + "\n"
