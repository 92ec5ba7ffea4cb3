"""Which host is meant, and what surrounds it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from nodeops.errors import ApiError, UnknownHostError
from nodeops.model.facts import Aggregate, Host


def find_host(name: str, hosts: Iterable[Host]) -> Host:
    """The host with exactly this name, case and all.

    Raises `UnknownHostError` with the near names, and `ApiError` when Nova cannot reach the host's cell: its
    list of servers would then be empty without being so (`[api] list_records_by_skipping_down_cells`).
    """
    by_name = {host.name: host for host in hosts}
    host = by_name.get(name)
    if host is None:
        raise UnknownHostError(f"host {name}: no compute host has this name", hint=_near(name, by_name))
    if not host.service_id:
        raise ApiError(
            f"host {name}: nova cannot reach the cell it is in",
            hint="Look at the cell's database and message queue; until then its servers cannot be seen.",
        )
    return host


def _near(name: str, known: Mapping[str, Host]) -> str:
    folded = {each.casefold(): each for each in sorted(known)}
    wanted = name.casefold()
    related = [each for key, each in folded.items() if wanted in key or key in wanted]
    alike = [folded[key] for key in get_close_matches(wanted, folded)]
    near = list(dict.fromkeys([*related[:3], *alike]))
    if near:
        return f"Did you mean {' or '.join(near)}? The name must match exactly."
    return "nodeops status lists the hosts." if known else "This cloud has no compute host."


def with_aggregates(hosts: Iterable[Host], aggregates: Iterable[Aggregate]) -> tuple[Host, ...]:
    names: dict[str, list[str]] = {}
    for aggregate in aggregates:
        for host_name in aggregate.hosts:
            names.setdefault(host_name, []).append(aggregate.name)
    return tuple(replace(host, aggregates=tuple(names.get(host.name, ()))) for host in hosts)
