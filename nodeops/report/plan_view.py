"""A plan on the terminal: every server, the set, the refusals, the hosts that receive."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodeops.plan import Action, Finding, Level, Plan, Refusal, Risk, ServerPlan, Step, TargetLoad
from nodeops.report import figures
from nodeops.report.console import NARROW, RISK_STYLE, indented, line
from nodeops.report.rows import RowChange, row_changes

MARK = {Level.INFO: ("·", "dim"), Level.WARNING: ("!", "warn"), Level.ERROR: ("✗", "bad")}
NAMES_SHOWN = 8
IN_PLACE = frozenset({"recover"})
"""Runbooks that need no place for anybody."""
BAR = 10
TITLES = {"VCPU": "VCPU", "MEMORY_MB": "memory", "DISK_GB": "disk"}
UNITS = {"MEMORY_MB": (1024, " GiB"), "DISK_GB": (1, " GB")}
FULL = 85
"""Percent of a host in use from which it is shown as nearly full."""


class PlanView:
    """Renders for the width it is given."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        wide = options.max_width >= NARROW
        plan = self.plan
        yield line((f"{plan.runbook} {plan.host}", "head"), (f"   {plan.cloud}   plan {plan.digest}", "dim"))
        yield Text()
        if plan.servers:
            yield server_table(plan.servers, wide=wide)
            yield Text()
        yield from _section("Refused", _refusals(plan.refused))
        if plan.targets:
            yield target_table(plan.targets, wide=wide)
            yield Text()
        yield from _section(f"On {plan.host}, in this order", list(host_lines(plan)))
        yield from _section("Rows, before → after", list(row_lines(row_changes(plan))))
        if plan.findings:
            yield Group(*(finding_lines(finding) for finding in plan.findings))
            yield Text()
        if any(not server.refused for server in plan.servers):
            yield totals(plan)
        yield line((summary(plan), "head"))


WINDOW = "wait-ready"
"""The action that only windows of maintenance have."""


def host_steps(plan: Plan) -> tuple[Step, ...]:
    """What is done on the host itself, in a plan in which that is more than a detail."""
    if not any(step.action == WINDOW for step in plan.steps):
        return ()
    return tuple(step for step in plan.steps if step.subject_id == plan.host)


def host_lines(plan: Plan) -> Iterator[RenderableType]:
    """Every step on the host, and where the servers' own come between them."""
    for number, step in enumerate(host_steps(plan), start=1):
        risk = step.risk.name.lower()
        costs = (f"  {risk}", RISK_STYLE.get(risk) or "dim") if step.risk > Risk.SAFE else ("", "dim")
        yield line((f"{number:2}  ", "dim"), f"{step.action:16}", costs, (f"  {step.why}", "dim"))


def row_lines(changes: Sequence[RowChange]) -> Iterator[RenderableType]:
    """Every row of a database or an API that is changed, before and after, server by server."""
    for (name, server_id), of_server in groupby(changes, key=lambda each: (each.server, each.server_id)):
        yield line((name, "head"), f"  {server_id}")
        for (table, key), of_row in groupby(of_server, key=lambda each: (each.table, each.key)):
            parts = [f"{each.column} {each.cells[3]} → {each.cells[4]}" for each in of_row]
            which = "" if key == server_id else f" {key}"
            body = line((table, "host"), (which, "dim"), f": {', '.join(parts)}")
            yield indented(body)


def _section(title: str, body: Sequence[RenderableType]) -> Iterator[RenderableType]:
    if body:
        yield line((title, "head"))
        yield from (indented(part) for part in body)
        yield Text()


def plain_table(*headers: str) -> Table:
    """A table without lines; a header ending in `>` is right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", collapse_padding=True)
    for header in headers:
        right = header.endswith(">")
        table.add_column(
            header.rstrip(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    return table


def server_table(servers: Sequence[ServerPlan], *, wide: bool) -> Table:
    """Every server with what is done about it; the wide one has its id, size and the reason too."""
    headers = ["server", "status", "action", "target", "risk", "expected>"]
    if wide:
        headers[1:1] = ["id"]
        headers += ["memory>", "why"]
    table = plain_table(*headers)
    # The only column that may shrink: what is done about a server is never cut off.
    table.columns[0].no_wrap = False
    if wide:
        table.columns[-1].overflow = "fold"
        table.columns[-1].no_wrap = False
        table.columns[1].min_width = 36
    for server in servers:
        cells = _cells(server)
        if wide:
            cells[1:1] = [Text(server.id, "dim")]
            why = server.refusals[0].reason if server.refused else server.why
            cells += [Text(figures.size(server.ram_mb) if server.ram_mb else ""), Text(why, "dim")]
        table.add_row(*cells)
    return table


def _cells(server: ServerPlan) -> list[Text]:
    name = Text(server.name)
    status = Text(server.status, "bad" if server.status == "ERROR" else "")
    if server.refused:
        return [name, status, Text(f"✗ {server.refusals[0].refusal_class}", "bad"), *_nothing()]
    if server.action is Action.NONE:
        return [name, status, Text("nothing to do", "dim"), *_nothing()]
    risk = server.risk.name.lower()
    return [
        name,
        status,
        Text(str(server.action)),
        Text(server.target or "-", "host" if server.target else "dim"),
        Text(risk, RISK_STYLE[risk]),
        Text(figures.duration(server.expected_seconds)),
    ]


def _nothing() -> list[Text]:
    return [Text("-", "dim"), Text("-", "dim"), Text("-", "dim")]


def _refusals(servers: Sequence[ServerPlan]) -> list[RenderableType]:
    """Refusals in groups of one class and one override, each server with its reason."""
    pairs = [(refusal, server) for server in servers for refusal in server.refusals]
    pairs.sort(key=lambda pair: (pair[0].refusal_class, pair[0].override or ""))
    shown: list[RenderableType] = []
    for (name, override), members in groupby(
        pairs, key=lambda pair: (pair[0].refusal_class, pair[0].override)
    ):
        group = list(members)
        shown.append(_refusal_head(name, override, group[0][0], len(group)))
        for reason, same in _by_reason(group):
            names = ", ".join(same[:NAMES_SHOWN])
            more = f" and {len(same) - NAMES_SHOWN} more" if len(same) > NAMES_SHOWN else ""
            shown.append(indented(line(names, more, (f": {reason}", "dim"))))
    return shown


def _refusal_head(name: str, override: str | None, example: Refusal, number: int) -> Text:
    head = line((name, "bad"), f"  {figures.count(number, 'server')}  ")
    if override is None:
        return head.append("nothing allows it", "dim")
    risk = example.risk.name.lower() if example.risk is not None else ""
    return head.append(override).append(f"  costs: {risk}" if risk else "", RISK_STYLE.get(risk) or "dim")


def _by_reason(group: Sequence[tuple[Refusal, ServerPlan]]) -> list[tuple[str, list[str]]]:
    reasons: dict[str, list[str]] = {}
    for refusal, server in group:
        reasons.setdefault(refusal.reason, []).append(server.name)
    return list(reasons.items())


def target_table(targets: Sequence[TargetLoad], *, wide: bool) -> Table:
    """Hosts that receive, before and after."""
    kinds = ("VCPU", "MEMORY_MB", "DISK_GB") if wide else ("VCPU", "MEMORY_MB")
    table = plain_table("receives", "zone", "servers>", *(f"{TITLES[kind]}>" for kind in kinds))
    for target in targets:
        loads = [_load(kind, target, wide=wide) for kind in kinds]
        table.add_row(Text(target.host, "host"), Text(target.zone), Text(f"+{target.servers_in}"), *loads)
    return table


def _load(kind: str, target: TargetLoad, *, wide: bool) -> Text:
    """`16 → 22 of 120 GiB  18 %`."""
    if kind == "VCPU" and kind not in target.before:
        kind = "PCPU"
    before, after = target.before.get(kind), target.after.get(kind)
    if before is None or after is None:
        return Text("-", "dim")
    used, capacity = after
    divisor, unit = UNITS.get(kind, (1, ""))
    percent = figures.share(used, capacity)
    style = "warn" if percent >= FULL else "good"
    return line(
        (f"{before[0] // divisor} → ", "dim"),
        str(used // divisor),
        (f" of {capacity // divisor}{unit}", "dim"),
        (f"  {figures.bar(percent, BAR)}" if wide else "", style),
        (f" {percent:3} %", style),
    )


def finding_lines(finding: Finding) -> RenderableType:
    """A finding and, indented below it, its hint."""
    mark, style = MARK[finding.level]
    lines: list[RenderableType] = [line((f"{mark} ", style), finding.words)]
    if finding.hint:
        lines.append(indented(line((f"hint: {finding.hint}", "dim"))))
    return Group(*lines)


def totals(plan: Plan) -> Text:
    """Whether the set fits, and how long it takes at how many at once."""
    fits = ("every server has a place", "good") if plan.fits else ("not every server has a place", "bad")
    place = () if plan.runbook in IN_PLACE else (fits, "; ")
    text = line(*place, "expected ", (figures.duration(plan.expected_seconds), "head"))
    parallel, rate = plan.options.get("parallel"), plan.options.get("rate_mib")
    if isinstance(parallel, int):
        text.append(f" with {parallel} at once")
    if isinstance(rate, int | float):
        text.append(f" at {figures.size(rate)}/s each")
    return text


def summary(plan: Plan) -> str:
    """The last line, such as `Plan: 18 to live-migrate, 3 refused, 0 nothing to do`."""
    of_host = all(step.subject_id == plan.host for step in plan.steps)
    if not plan.servers and of_host and any(step.risk > Risk.SAFE for step in plan.steps):
        return f"Plan: {', '.join(f'{step.action} {step.subject_name}' for step in plan.steps)}"
    willing = [server.action for server in plan.servers if not server.refused]
    parts = [
        f"{willing.count(action)} to {action}"
        for action in Action
        if action in willing and action is not Action.NONE
    ]
    parts.append(f"{len(plan.refused)} refused")
    parts.append(f"{willing.count(Action.NONE)} nothing to do")
    return f"Plan: {', '.join(parts)}"
