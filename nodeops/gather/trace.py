"""What is asked of Nova's API and of the hosts' logs to tell the story of some requests."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from nodeops.errors import ApiError, AuthenticationError
from nodeops.model.tracing import Found, LogLine, Logs, RequestRecord, RequestRecords, TraceFacts, Wanted

AT_ONCE = 8
BEFORE, AFTER = 30.0, 90.0
"""Seconds around what the API knows of a request in which its servers' names count."""
AROUND = 5.0
"""Seconds around the lines of a request in which the requests it caused are looked for."""
MOST_SERVERS = 5
"""Of which a request without a server is asked."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a trace is asked for: requests, each with its server where that is known."""

    subject: str
    requests: tuple[tuple[str, str], ...]
    """Request id, server id or ""."""
    names: dict[str, str] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()
    """Hosts that are known to have had a part."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who can be asked, and within what limits."""

    logs: Logs | None
    """None: no inventory."""
    records: RequestRecords | None
    """None: no cloud answers."""
    since: float | None = None
    only: tuple[str, ...] = ()
    """Ask no other hosts' logs."""
    seconds: float = 120.0
    """Of each host."""
    follow: bool = True


def gather_trace(named: Named, asking: Asking) -> TraceFacts:
    """Ask the API what it knows, the logs of the hosts that had a part, and what both name again."""
    unseen: list[str] = []
    requests = _known(named.requests, asking, unseen)
    wanted = _wanted(named, requests, asking)
    found = _search(asking, _hosts(named, requests, asking, unseen), wanted)
    if not requests:
        # A bare request id names no server: the log lines do.
        servers = _servers(found)[:MOST_SERVERS]
        pairs = [(request, server) for server in servers for request, _ in named.requests]
        requests = _known(pairs, asking, unseen)
    followed = _new_ids(found, wanted.ids) if asking.follow else ()
    if followed:
        found = _merged(found, _search(asking, _asked(found), _followed(followed, found, wanted)))
    names = {each.server_id: each.server_name for each in requests if each.server_name}
    return TraceFacts(
        subject=named.subject,
        wanted=wanted,
        requests=requests,
        found=found,
        unseen=tuple(dict.fromkeys(unseen)),
        names={**named.names, **names},
        followed=followed,
    )


def _known(pairs: Iterable[tuple[str, str]], asking: Asking, unseen: list[str]) -> tuple[RequestRecord, ...]:
    found = []
    for request_id, server_id in pairs:
        if asking.records is None or not server_id or not request_id:
            continue
        try:
            known = asking.records.request(server_id, request_id)
        except (ApiError, AuthenticationError) as error:
            unseen.append(error.message)
            break
        if known is not None:
            found.append(known)
    return tuple(found)


def _wanted(named: Named, requests: Sequence[RequestRecord], asking: Asking) -> Wanted:
    """A request that has not ended is looked for up to now; one of which nothing is known, everywhere."""
    ids = tuple(dict.fromkeys(request for request, _ in named.requests if request))
    subjects = tuple(dict.fromkeys(server for _, server in named.requests if server))
    since, until = asking.since, None
    if requests and len(requests) == len(ids):
        begun = min(each.started for each in requests) - BEFORE
        since = begun if since is None else max(since, begun)
        ends = [max(each.ended or 0.0, each.updated) for each in requests]
        if all(each.ended is not None for each in requests):
            until = max(ends) + AFTER
    return Wanted(ids, subjects if requests else (), since, until, asking.seconds)


def _hosts(
    named: Named, requests: Sequence[RequestRecord], asking: Asking, unseen: list[str]
) -> tuple[str, ...]:
    """Those with a part in it, and those of the inventory that are no compute hosts; else all."""
    known = asking.logs.hosts() if asking.logs else ()
    if asking.only:
        return asking.only
    took_part = frozenset[str]().union(named.hosts, *(each.hosts for each in requests))
    if not took_part or asking.records is None:
        return known
    try:
        computes = asking.records.computes()
    except (ApiError, AuthenticationError) as error:
        unseen.append(error.message)
        return known
    return tuple(host for host in known if host in took_part or host not in computes)


def _search(asking: Asking, hosts: Sequence[str], wanted: Wanted) -> tuple[Found, ...]:
    if asking.logs is None or not hosts:
        return ()
    logs = asking.logs
    pool = ThreadPoolExecutor(min(AT_ONCE, len(hosts)))
    try:
        return tuple(pool.map(lambda host: logs.search(host, wanted), hosts))
    finally:
        # Who is interrupted does not wait for hosts that still search: closing the logs ends them.
        pool.shutdown(wait=False, cancel_futures=True)


def _asked(found: Iterable[Found]) -> tuple[str, ...]:
    return tuple(each.host for each in found if not each.error)


def _lines(found: Iterable[Found]) -> list[LogLine]:
    return [line for each in found for line in each.lines]


def _servers(found: Iterable[Found]) -> list[str]:
    return list(dict.fromkeys(line.server_id for line in _lines(found) if line.server_id))


def _new_ids(found: Iterable[Found], ids: Sequence[str]) -> tuple[str, ...]:
    """Requests that ours caused in other services, or that caused ours, whose lines have no id of ours."""
    new = {}
    for line in _lines(found):
        pair = {line.request_id, line.global_id}
        if pair & set(ids):
            new.update(dict.fromkeys(sorted(pair - set(ids) - {""})))
    return tuple(new)


def _followed(ids: tuple[str, ...], found: Iterable[Found], wanted: Wanted) -> Wanted:
    """Near to the lines that name them, so that it costs little."""
    times = [line.at for line in _lines(found)]
    return replace(wanted, ids=ids, subjects=(), since=min(times) - AROUND, until=max(times) + AROUND)


def _merged(first: Sequence[Found], second: Sequence[Found]) -> tuple[Found, ...]:
    more = {each.host: each for each in second}
    merged = []
    for each in first:
        other = more.get(each.host)
        if other is not None:
            both = dict.fromkeys((*each.lines, *other.lines))
            each = replace(each, lines=tuple(both), cut=each.cut or other.cut)  # noqa: PLW2901 - same host
        merged.append(each)
    return tuple(merged)
