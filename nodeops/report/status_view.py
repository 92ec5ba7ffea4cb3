"""Hosts and servers as they are, and what was run: tables and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from nodeops.model.facts import Host, Resource, Server
from nodeops.outcome import StepResult, StepState
from nodeops.report import figures
from nodeops.report.console import NARROW, line
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

MEMORY, CPU = "MEMORY_MB", "VCPU"
BAR = 10
FULL = 85
STATE_STYLE = {"up": "good", "disabled": "warn", "down": "bad", "forced down": "bad"}
STEP_MARK = {
    StepState.PENDING: ("·", "dim"),
    StepState.SENT: ("▸", "head"),
    StepState.DONE: ("✓", "good"),
    StepState.SKIPPED: ("✓", "dim"),
    StepState.FAILED: ("✗", "bad"),
    StepState.BLOCKED: ("·", "warn"),
    StepState.UNKNOWN: ("?", "bad"),
}
STATUS_STYLE = {"ACTIVE": "", "ERROR": "bad", "SHUTOFF": "dim"}


def state_of(host: Host) -> str:
    """One word for an operator: `up`, `disabled`, `down`, `forced down`, and two when both."""
    if host.forced_down:
        words = "forced down"
    elif not host.up:
        words = "down"
    else:
        return "up" if host.enabled else "disabled"
    return words if host.enabled else f"{words}, disabled"


def hosts_table(hosts: Sequence[Host], width: int) -> Table:
    """Every compute host with its room."""
    wide = width >= NARROW
    table = plain_table("host", "zone", "state", "servers>", "VCPU>", "memory>", "reason")
    table.columns[-1].overflow, table.columns[-1].no_wrap = "fold", False
    for host in hosts:
        state = state_of(host)
        table.add_row(
            Text(host.name, "host"),
            Text(host.zone),
            Text(state, STATE_STYLE.get(state, "bad")),
            Text("-" if host.servers is None else str(host.servers)),
            _cpus(host.resources.get(CPU)),
            _room(host.resources.get(MEMORY), figures.GIBI, " GiB", wide=wide),
            Text(host.disabled_reason, "dim"),
        )
    return table


def _cpus(resource: Resource | None) -> Text:
    """`16 of 64`; more than there are is usual: how much more is Placement's affair."""
    if resource is None:
        return Text("-", "dim")
    return line(str(resource.used), (f" of {resource.capacity}", "dim"))


def _room(resource: Resource | None, divisor: int, unit: str, *, wide: bool) -> Text:
    """`16 of 120 GiB  13 %`."""
    if resource is None:
        return Text("-", "dim")
    percent = figures.share(resource.used, resource.capacity)
    style = "warn" if percent >= FULL else "good"
    return line(
        str(resource.used // divisor),
        (f" of {resource.capacity // divisor}{unit}", "dim"),
        (f"  {figures.bar(percent, BAR)}" if wide else "", style),
        (f" {percent:3} %", style),
    )


def servers_table(servers: Sequence[Server], width: int) -> Table:
    """The servers of one host."""
    wide = width >= NARROW
    identity = ["id"] if wide else []
    table = plain_table("server", *identity, "status", "task", "VCPU>", "memory>", "disk>", "")
    for server in servers:
        disk = "volume" if server.boots_from_volume else f"{server.local_disk_gb} GiB"
        table.add_row(
            Text(server.name),
            *([Text(server.id, "dim")] if wide else []),
            Text(server.status, STATUS_STYLE.get(server.status, "warn")),
            Text(server.task_state or "-", "warn" if server.task_state else "dim"),
            Text(str(server.flavor.vcpus)),
            Text(figures.size(server.flavor.ram_mb)),
            Text(disk, "dim"),
            Text("locked" if server.locked else "", "warn"),
        )
    return table


def hosts_markdown(hosts: Sequence[Host]) -> str:
    """Hosts to paste into a ticket."""
    rows = [
        (
            host.name,
            host.zone,
            state_of(host),
            "" if host.servers is None else str(host.servers),
            _cpus(host.resources.get(CPU)).plain,
            _room(host.resources.get(MEMORY), figures.GIBI, " GiB", wide=False).plain,
            host.disabled_reason,
        )
        for host in hosts
    ]
    headers = ("Host", "Zone", "State", "Servers", "VCPU", "Memory", "Reason")
    return "\n".join(markdown_table(headers, rows))


def servers_markdown(servers: Sequence[Server]) -> str:
    """Servers to paste into a ticket."""
    rows = [
        (server.name, server.id, server.status, server.task_state or "", figures.size(server.flavor.ram_mb))
        for server in servers
    ]
    return "\n".join(markdown_table(("Server", "Id", "Status", "Task", "Memory"), rows))


def host_document(host: Host) -> dict[str, Any]:
    """One host, in JSON."""
    return {
        "name": host.name,
        "zone": host.zone,
        "state": state_of(host),
        "enabled": host.enabled,
        "up": host.up,
        "forced_down": host.forced_down,
        "disabled_reason": host.disabled_reason or None,
        "last_seen": host.last_seen or None,
        "servers": host.servers,
        "aggregates": list(host.aggregates),
        "resources": {
            kind: {"used": resource.used, "capacity": resource.capacity, "free": resource.free}
            for kind, resource in sorted(host.resources.items())
        },
    }


def server_document(server: Server) -> dict[str, Any]:
    """One server, in JSON."""
    return {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "task_state": server.task_state,
        "host": server.host,
        "project_id": server.project_id,
        "locked": server.locked,
        "vcpus": server.flavor.vcpus,
        "ram_mb": server.flavor.ram_mb,
        "local_disk_gb": server.local_disk_gb,
        "boots_from_volume": server.boots_from_volume,
    }


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of the journal, for the list."""

    id: str
    runbook: str
    host: str
    cloud: str
    state: str
    started: float
    ended: float | None
    user: str
    command: str
    exit_code: int | None
    owner: str
    """Who works on it now; empty when nobody does."""


def runs_table(runs: Sequence[RunLine]) -> Table:
    """Newest first."""
    table = plain_table("run", "what", "state", "started", "took>", "by", "exit>")
    for run in runs:
        style = "good" if run.exit_code == 0 else "warn"
        took = figures.duration(run.ended - run.started) if run.ended else "-"
        table.add_row(
            Text(run.id),
            line(f"{run.runbook} ", (run.host, "host")),
            Text(run.state, style if run.state != "running" else "head"),
            Text(figures.moment(run.started)[:19], "dim"),
            Text(took),
            Text(run.owner or run.user),
            Text("-", "dim") if run.exit_code is None else Text(str(run.exit_code), style),
        )
    return table


def steps_table(results: Sequence[StepResult], names: Mapping[str, str]) -> Table:
    """Every step of a run as the journal has it."""
    table = plain_table("", "subject", "step", "state", "on", "words")
    table.columns[-1].overflow, table.columns[-1].no_wrap = "fold", False
    for result in results:
        mark, style = STEP_MARK[result.state]
        table.add_row(
            Text(mark, style),
            Text(names.get(result.subject_id, result.subject_id)),
            Text(result.action),
            Text(str(result.state), style),
            Text(result.target or "-", "host" if result.target else "dim"),
            Text(result.words, "dim"),
        )
    return table


def run_line_document(run: RunLine) -> dict[str, Any]:
    """One run of the list, in JSON."""
    return {
        "run": run.id,
        "runbook": run.runbook,
        "host": run.host,
        "cloud": run.cloud,
        "state": run.state,
        "started": run.started,
        "ended": run.ended,
        "user": run.user,
        "command": run.command,
        "exit_code": run.exit_code,
        "owner": run.owner or None,
    }
