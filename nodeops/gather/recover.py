"""All that a recovery is planned from, and what is seen after it; reading only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nodeops.errors import NodeopsError
from nodeops.gather.guests import Guests
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.gather.reattach import gather_reattach
from nodeops.model.facts import AttachedVolume, Host, Server
from nodeops.model.readiness import Check
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.recovering import (
    Past,
    RecoverEvidence,
    RecoverFacts,
    Remembered,
    Trace,
    switching,
)
from nodeops.model.tracing import LogLine, Logs, Wanted
from nodeops.model.world import View
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Action, Plan

LOG_REACH, LOG_SECONDS = 2 * 3600.0, 20.0
"""How far back a log is read, and how long that may take."""
GRAVE = frozenset({"ERROR", "CRITICAL"})
TOLD = frozenset({StepState.FAILED, StepState.BLOCKED, StepState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known already as a recovery is planned."""

    cloud: str = ""
    checks: tuple[Check, ...] = ()
    booted: float | None = None
    """By the host itself, or by whoever asks."""
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    promised: Mapping[str, float] = field(default_factory=dict)
    detached: tuple[AttachedVolume, ...] = ()
    """Volumes that an unfinished run has detached."""


def gather_recover(
    view: View, past: Past, guests: Guests, host: str, *, now: float, known: Known, volumes: bool = True
) -> RecoverFacts:
    """Raises `UnknownHostError`, and `ApiError` when hosts or servers cannot be read."""
    unseen = Unseen()
    found = find_host(host, view.hosts())
    servers = view.servers_on(host)
    domains = guests.domains(fresh=True)
    if domains is None and guests.host is not None:
        unseen.words.append(f"guests of {host}: libvirt did not answer over SSH; nova is asked of each")
    runs = {
        server.id: each
        for server in servers
        if (domains is not None or found.up) and (each := _runs(guests, server, unseen)) is not None
    }
    asked = {
        server.id: switching(actions)
        for server in servers
        if (actions := unseen.ask(f"actions of server {server.name}", past.asked, server.id)) is not None
    }
    return RecoverFacts(
        cloud=known.cloud,
        now=now,
        host=found,
        servers=servers,
        checks=known.checks,
        booted=known.booted if known.booted is not None else _booted(past, found, unseen),
        runs=runs,
        domains=domains,
        asked=asked,
        remembered=known.remembered,
        promised=known.promised,
        volumes=_volumes(view, known, host, unseen) if volumes else None,
        unseen=tuple(unseen.words),
    )


def _runs(guests: Guests, server: Server, unseen: Unseen) -> bool | None:
    """Nova itself can ask only for those it calls ACTIVE."""
    if guests.domains() is None and server.vm_state != "active":
        return None
    return unseen.ask(f"whether {server.name} runs", guests.runs, server.id)


def _booted(past: Past, host: Host, unseen: Unseen) -> float | None:
    if not host.provider_id or not host.up:
        return None
    return unseen.ask(f"uptime of {host.name}", past.booted, host.provider_id)


def _volumes(view: View, known: Known, host: str, unseen: Unseen) -> ReattachFacts | None:
    try:
        return gather_reattach(view, host, promised=known.detached, cloud=known.cloud)
    except NodeopsError as error:
        unseen.words.append(f"volumes of {host}: {error.message}")
        return None


def gather_recover_evidence(
    view: View,
    guests: Guests,
    logs: Logs | None,
    plan: Plan,
    results: Sequence[StepResult],
    *,
    now: float,
    volumes: bool = True,
) -> RecoverEvidence:
    """What is seen afterwards; of those that do not run also the log of nova-compute."""
    unseen = Unseen()
    listed = {server.id: server for server in view.servers_on(plan.host)}
    servers = {each.id: listed.get(each.id) or view.server(each.id) for each in plan.servers}
    guests.domains(fresh=True)
    runs: dict[str, bool] = {}
    for server in servers.values():
        if server is not None and server.host == plan.host:
            found = _runs(guests, server, unseen)
            if found is not None:
                runs[server.id] = found
    off = {
        planned.id: request_of(planned.id, results)
        for planned in plan.servers
        if planned.action is Action.START and not runs.get(planned.id)
    }
    return RecoverEvidence(
        servers=servers,
        runs=runs,
        traces=_traces(logs, plan.host, off, now, unseen) if logs and off else {},
        volumes=_volumes(view, Known(cloud=plan.cloud), plan.host, unseen) if volumes else None,
        unseen=tuple(unseen.words),
    )


def request_of(server_id: str, results: Sequence[StepResult]) -> str:
    """Of the last attempt that failed, else of the last one."""
    mine = [each for each in results if each.subject_id == server_id and each.request_id]
    failed = [each for each in mine if each.state in TOLD]
    return (failed or mine)[-1].request_id if mine else ""


def _traces(logs: Logs, host: str, off: Mapping[str, str], now: float, unseen: Unseen) -> dict[str, Trace]:
    """By the requests' ids, in one search; a start that nobody asked for is found by the server's."""
    ids = tuple(filter(None, off.values()))
    wanted = Wanted(ids, tuple(off), since=now - LOG_REACH, seconds=LOG_SECONDS)
    found = logs.search(host, wanted)
    if found.error:
        unseen.words.append(f"the logs of {host}: {found.error}")
        return {}
    lines = sorted(found.lines, key=lambda line: line.at)
    return {
        server_id: Trace(request, tuple(_texts(lines, server_id, request)))
        for server_id, request in off.items()
    }


def _texts(lines: Sequence[LogLine], server_id: str, request: str) -> Iterator[str]:
    ours = [line for line in lines if request and request in {line.request_id, line.global_id}]
    for line in ours or [line for line in lines if line.server_id == server_id]:
        yield f"{line.level} {line.words}" if line.level in GRAVE else line.words
        yield from (text.strip() for text in line.more if text.strip())
