"""Why servers did not make it, by itself at the end of a run: one look into the logs for all of them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from nodeops.cli.desk import Desk
from nodeops.errors import NodeopsError
from nodeops.gather.trace import Asking, Named, gather_trace
from nodeops.model.story import tell
from nodeops.model.tracing import Found, LogLine, RequestRecord, TraceFacts, Wanted
from nodeops.outcome import Outcome, ServerResult
from nodeops.report.figures import count

CONNECT_SECONDS = 4.0
SEARCH_SECONDS = 12.0
"""Of each host, all at the same time: a report must not wait for long."""
BEFORE = 60.0
"""Seconds before the run that are read too."""
MOST = 50
"""Servers that are explained; of more the first ones say enough."""


def diagnosed(desk: Desk, outcome: Outcome, say: Callable[[str], None]) -> Outcome:
    """The same with a diagnosis for each server that was not moved; never raises, never changes a verdict.

    Looks at no logs after an interruption: who presses Ctrl-C wants to get away.
    """
    unlucky = [result for result in outcome.servers if not result.verdict.good and result.reason][:MOST]
    asked = [result for result in unlucky if result.request_id]
    found: tuple[Found, ...] = ()
    if asked and outcome.interrupted_by is None:
        found = _read(desk, outcome, asked, say)
    said = {result.id: _sentence(result, outcome, found) for result in unlucky}
    return replace(
        outcome,
        servers=tuple(
            replace(result, diagnosis=said[result.id]) if said.get(result.id) else result
            for result in outcome.servers
        ),
    )


def _read(
    desk: Desk, outcome: Outcome, asked: list[ServerResult], say: Callable[[str], None]
) -> tuple[Found, ...]:
    """Empty without an inventory: then only what Nova says can be explained."""
    try:
        logs = desk.logs(CONNECT_SECONDS)
        computes = {host.name for host in desk.world().hosts()} if logs else set()
    except NodeopsError:
        return ()
    if logs is None:
        return ()
    part = {outcome.plan.host, *(step.params.get("target") for step in outcome.plan.steps)}
    part |= {server.target for server in outcome.plan.servers} | {result.target for result in asked}
    hosts = tuple(host for host in logs.hosts() if host in part or host not in computes)
    say(f"looking into the logs of {count(len(hosts), 'host')} for why")
    pairs = tuple((result.request_id, result.id) for result in asked)
    asking = Asking(
        logs, None, since=outcome.started - BEFORE, only=hosts, seconds=SEARCH_SECONDS, follow=False
    )
    return gather_trace(Named(outcome.run_id, pairs), asking).found if hosts else ()


def _sentence(result: ServerResult, outcome: Outcome, found: Iterable[Found]) -> str:
    """Empty when it would only repeat the reason."""
    record = RequestRecord(
        id=result.request_id,
        server_id=result.id,
        action=result.action,
        started=outcome.started,
        updated=outcome.ended,
        server_name=result.name,
        message="Error",
        fault=result.reason,
    )
    own = tuple(
        replace(each, lines=tuple(line for line in each.lines if _belongs(line, result))) for each in found
    )
    wanted = Wanted((result.request_id,), (result.id,))
    diagnosis = tell(TraceFacts(result.name, wanted, (record,), own)).diagnosis
    if diagnosis is None or (not diagnosis.name and diagnosis.line in result.reason):
        return ""
    return diagnosis.sentence


def _belongs(line: LogLine, result: ServerResult) -> bool:
    if result.request_id in {line.request_id, line.global_id}:
        return True
    return line.server_id == result.id and not line.request_id
