"""`nodeops lab fault`: what goes wrong in the rehearsal cloud."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nodeops.cli import lab_options as lab
from nodeops.cli.output import Format, document
from nodeops.cli.units import duration
from nodeops.errors import UsageError
from nodeops.lab.api_faults import ApiFault, Kind, Service
from nodeops.lab.hypervisor.behaviour import HALF_WAY, SLOW_FACTOR, Behaviour, Operation, Rule

HELP = """Make something go wrong in the lab.

Faults of the APIs (api) strike the calls of clients, before or after they took
effect. Faults of the hosts (host) strike what nova-compute does for a server.
Both hold from the next call or operation on, until they are cleared.

\b
  nodeops lab fault api status 503 --times 3     three calls get a 503
  nodeops lab fault host never-converge --server web-1
  nodeops lab fault list
  nodeops lab fault clear                        all well again
"""
API_HELP = """Spoil calls to the APIs.

\b
KIND is one of
  latency TIME        wait, then go on                     [default: 1s]
  status CODE         answer with this error, do nothing   [default: 500]
  status-after CODE   do it, then answer with this error   [default: 500]
  drop-before         drop the connection, do nothing
  drop-after          do it, then drop the connection
  hang TIME           do nothing, hold the connection      [default: 1h]
  hang-after TIME     do it, hold the connection           [default: 1h]
  expired-token       the call's token has expired; a new one is good

Without --service, --method, --path and the like every call is meant.

\b
Examples:
  nodeops lab fault api latency 2s --service compute
  nodeops lab fault api status 409 --action os-migrateLive --times 2
  nodeops lab fault api status 503 --probability 0.1
  nodeops lab fault api drop-after --method write --nth 4
  nodeops lab fault api drop-before --path 'servers/*/action'
  nodeops lab fault api expired-token --nth 20
  nodeops lab fault api hang --service placement --path 'resource_providers/**'
"""
HOST_HELP = """Spoil what simulated hosts do for servers.

\b
BEHAVIOUR is one of
  slow             takes --factor times as long, and --seconds more
  never-converge   a live migration copies on and on until it is aborted or forced
  hang             stands still (a copy at --at) until the fault is cleared
  refuse           the target says no when Nova asks beforehand
  break-check      the target's check breaks: ERROR in Nova, though it runs
  fail-before      fails before anything is copied
  fail-copy        breaks in mid-copy, at --at
  fail-after       fails at the target when the copy is done
  split            the record says completed, Nova's row stays behind

A server's metadata can say the same of that server alone:
nodeops:behaviour=never-converge.

\b
Examples:
  nodeops lab fault host slow --factor 10 --source c01
  nodeops lab fault host refuse --target c03
  nodeops lab fault host fail-copy --server web-1 --at 0.9 --times 1
  nodeops lab fault host hang --operation cold-migration
"""
NUMBER_KINDS = frozenset({Kind.STATUS, Kind.STATUS_AFTER})
TIME_KINDS = frozenset({Kind.LATENCY, Kind.HANG, Kind.HANG_AFTER})
LOWEST_STATUS, HIGHEST_STATUS = 400, 599

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True, help=HELP)

Times = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", show_default=False, help="Strike so often, then no more."),
]
Message = Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="The words of the error.")]


@app.command("api", help=API_HELP)
def api(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", show_default=False)],
    value: Annotated[str, typer.Argument(metavar="CODE|TIME", show_default=False)] = "",
    service: Annotated[
        Service | None,
        typer.Option(metavar="TYPE", help="identity, placement, compute, network, volumev3 or image."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="METHOD", help="GET, POST and so on; or read; or write.")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="* is one part, ** any number; from the end unless it begins with a slash.",
        ),
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="NAME", help="A server action, such as os-migrateLive.")
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only clients with this in their user agent, such as nodeops."),
    ] = None,
    probability: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="P", help="How likely it strikes a call.")
    ] = 1.0,
    times: Times = None,
    nth: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Strike the N-th such call from now, only it unless --times."),
    ] = None,
    message: Message = "",
    output: lab.Output = Format.TABLE,
    name: lab.Name = lab.DEFAULT_NAME,
    lab_dir: lab.Directory = None,
) -> None:
    """Arm one API fault."""
    from nodeops.lab.api_faults import arm

    fault = ApiFault(
        kind=kind,
        service=service,
        method=_method(method),
        path=path,
        action=action,
        client=client,
        status=_status(kind, value),
        seconds=_seconds(kind, value),
        probability=probability,
        times=times,
        nth=nth,
        message=message,
    )
    _show_one(_api_value(arm(lab.layout(name, lab_dir).root, fault), 0), output)


@app.command("host", help=HOST_HELP)
def host(
    behaviour: Annotated[Behaviour, typer.Argument(metavar="BEHAVIOUR", show_default=False)],
    operation: Annotated[
        Operation | None,
        typer.Option(metavar="NAME", help=f"Only this: {', '.join(Operation)} [default: every move]."),
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="NAME|ID", help="Only this server.")] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Only this host, at either end.")] = None,
    source: Annotated[str | None, typer.Option(metavar="HOST", help="Only from this host.")] = None,
    target: Annotated[str | None, typer.Option(metavar="HOST", help="Only to this host.")] = None,
    factor: Annotated[
        float, typer.Option(min=0.01, metavar="X", help="How many times slower.")
    ] = SLOW_FACTOR,
    seconds: Annotated[float, typer.Option(min=0.0, metavar="S", help="How many seconds more.")] = 0.0,
    at: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="P", help="The part copied when it strikes.")
    ] = HALF_WAY,
    times: Times = None,
    message: Message = "",
    output: lab.Output = Format.TABLE,
    name: lab.Name = lab.DEFAULT_NAME,
    lab_dir: lab.Directory = None,
) -> None:
    """Add one rule for the simulated hosts."""
    from nodeops.lab.hypervisor_faults import add_rule

    rule = Rule(
        behaviour=behaviour,
        operation=operation,
        server=server,
        host=host,
        source=source,
        target=target,
        factor=factor,
        seconds=seconds,
        at=at,
        times=times,
        message=message,
    )
    _show_one(_host_value(add_rule(lab.simulated(name, lab_dir).root, rule)), output)


@app.command("list")
def list_(
    output: lab.Output = Format.TABLE, name: lab.Name = lab.DEFAULT_NAME, lab_dir: lab.Directory = None
) -> None:
    """Show the faults that are set.

    `struck` is how many calls an API fault has spoiled; one that struck as often as it may stays listed.
    """
    values = _all(lab.layout(name, lab_dir).root)
    if output is Format.JSON:
        document({"faults": values})
        return
    if not values:
        typer.echo("no fault is set", err=True)
    for value in values:
        typer.echo(_line(value))


@app.command()
def clear(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="As list shows them; none: all.")
    ] = None,
    output: lab.Output = Format.TABLE,
    name: lab.Name = lab.DEFAULT_NAME,
    lab_dir: lab.Directory = None,
) -> None:
    """Clear faults; what hangs by them is let go."""
    from nodeops.lab import api_faults, hypervisor_faults

    state = lab.layout(name, lab_dir).root
    held = {str(value["id"]) for value in _all(state)}
    unknown = [number for number in ids or () if number not in held]
    if unknown:
        raise UsageError(
            f"no fault {', '.join(unknown)} is set", hint=f"These are: {', '.join(sorted(held)) or 'none'}."
        )
    cleared = sorted(set(ids or held))
    for number in cleared:
        side, _, bare = number.partition("-")
        drop = api_faults.disarm if side == "api" else hypervisor_faults.remove_rule
        drop(state, int(bare))
    if output is Format.JSON:
        document({"cleared": cleared})
    else:
        typer.echo(f"cleared {', '.join(cleared)}" if cleared else "no fault was set")


@app.command()
def calls(
    client: Annotated[str, typer.Option(metavar="TEXT", help="Only user agents with this in them.")] = "",
    output: lab.Output = Format.TABLE,
    name: lab.Name = lab.DEFAULT_NAME,
    lab_dir: lab.Directory = None,
) -> None:
    """Count the calls of clients.

    By service, method and path, since the lab was made; the log itself is logs/api.jsonl in the lab.
    """
    from nodeops.lab.api_calls import calls_since, counts

    found = counts(calls_since(lab.layout(name, lab_dir).root, client=client))
    rows = [
        {"service": service, "method": method, "path": path, "calls": number}
        for (service, method, path), number in found.most_common()
    ]
    if output is Format.JSON:
        document({"calls": rows})
        return
    for row in rows:
        typer.echo(f"{row['calls']:>7}  {row['service']:<9}  {row['method']:<6}  {row['path']}")


def _method(text: str | None) -> str | None:
    if text is None or text.lower() in {"read", "write"}:
        return text and text.lower()
    return text.upper()


def _status(kind: Kind, value: str) -> int:
    if kind not in NUMBER_KINDS or not value:
        return ApiFault(kind).status
    if not value.isdigit() or not LOWEST_STATUS <= int(value) <= HIGHEST_STATUS:
        raise UsageError(f"{value!r} is no error status", hint="Give one from 400 to 599, such as 503.")
    return int(value)


def _seconds(kind: Kind, value: str) -> float | None:
    if kind in TIME_KINDS:
        return duration(value, option=kind.value) if value else None
    if value and kind not in NUMBER_KINDS:
        raise UsageError(f"{kind.value} takes no value, and {value!r} was given")
    return None


def _all(state: Path) -> list[dict[str, Any]]:
    from nodeops.lab.api_faults import Tally, list_faults, tallies
    from nodeops.lab.hypervisor_faults import list_rules

    held = tallies(state)
    faults = [_api_value(fault, held.get(fault.fault_id, Tally()).struck) for fault in list_faults(state)]
    return faults + [_host_value(rule) for rule in list_rules(state)]


def _api_value(fault: ApiFault, struck: int) -> dict[str, Any]:
    value = asdict(fault)
    return {"id": f"api-{value.pop('fault_id')}", **value, "times": fault.limit, "struck": struck}


def _host_value(rule: Rule) -> dict[str, Any]:
    value = asdict(rule)
    return {"id": f"host-{value.pop('rule_id')}", **value}


def _show_one(value: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        document(value)
    else:
        typer.echo(_line(value))


def _line(value: dict[str, Any]) -> str:
    """Return a fault in words: its id, what it does, and whatever narrows it."""
    rest = dict(value)
    number, what = rest.pop("id"), str(rest.pop("kind", None) or rest.pop("behaviour"))
    unsaid = NARROW - RELEVANT.get(what, frozenset())
    words = [
        f"{key}={held:g}" if isinstance(held, float) else f"{key}={held}"
        for key, held in rest.items()
        if key not in unsaid and held not in {None, ""} and held != UNREMARKABLE.get(key)
    ]
    return "  ".join([f"{number:<8}", f"{what:<14}", *words])


NARROW = frozenset({"status", "seconds", "factor", "at"})
"""Said only of what they mean something for."""
RELEVANT: Mapping[str, frozenset[str]] = {
    "status": frozenset({"status"}),
    "status-after": frozenset({"status"}),
    "latency": frozenset({"seconds"}),
    "hang": frozenset({"seconds", "at"}),
    "hang-after": frozenset({"seconds"}),
    "slow": frozenset({"factor", "seconds"}),
    "fail-copy": frozenset({"at"}),
}
UNREMARKABLE = {"probability": 1.0, "seconds": 0.0}
