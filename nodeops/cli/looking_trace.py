"""What `nodeops trace` looks at and shows."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nodeops.cli.desk import Desk
from nodeops.cli.history import LAST, find_run, refuse_other_cloud
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.engine.journal import Journal, RunInfo
from nodeops.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    NodeopsError,
    UnknownRequestError,
    UnknownRunError,
    UnknownServerError,
    UsageError,
)
from nodeops.gather.trace import Asking, Named, gather_trace
from nodeops.model.log_lines import REQUEST
from nodeops.model.story import Story, tell
from nodeops.model.tracing import Logs, RequestRecords, TraceFacts
from nodeops.report.trace_view import story_document, story_lines

NEWEST = 10
"""Requests of a server among which the last that failed is looked for."""
_RUN = re.compile(r"[a-z]-\d{6,8}[\w-]*")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was said on the command line."""

    subject: str
    since: float | None = None
    """Seconds before now."""
    only: tuple[str, ...] = ()
    seconds: float = 600.0
    full: bool = False
    json: bool = False


def nova_requests(desk: Desk) -> RequestRecords:
    from nodeops.clients.request_records import NovaRequests

    return NovaRequests(desk.cloud())


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked; tests put theirs here."""

    records: Callable[[Desk], RequestRecords] = nova_requests
    logs: Callable[[Desk], Logs | None] = Desk.logs
    now: Callable[[], float] = field(default=time.time)


def show_trace(desk: Desk, wish: Wish, sources: Sources | None = None) -> None:
    """Raises `UnknownRequestError` when nothing at all was found of it."""
    story = tell(_facts(desk, wish, sources or Sources()))
    shown = Shown(
        lambda: story_document(story, exit_code=0),
        lambda: "",
        lambda width: story_lines(story, full=wish.full, width=width),
    )
    if not story.entries:
        raise _nothing(story)
    show(desk, Format.JSON if wish.json else Format.TABLE, shown)


def _facts(desk: Desk, wish: Wish, sources: Sources) -> TraceFacts:
    unseen: list[str] = []
    records = _records(desk, sources, unseen)
    asking = Asking(
        logs=sources.logs(desk),
        records=records,
        since=None if wish.since is None else sources.now() - wish.since,
        only=_known_hosts(desk, wish.only),
        seconds=wish.seconds,
    )
    desk.err().print(f"{wish.subject}: looking", soft_wrap=True)
    facts = gather_trace(_named(desk, wish.subject, records, asking), asking)
    return replace(facts, unseen=(*unseen, *facts.unseen))


def _known_hosts(desk: Desk, only: tuple[str, ...]) -> tuple[str, ...]:
    for host in only:
        if desk.inventory().place(host) is None:
            raise UsageError(
                f"--host {host}: is not in the inventory", hint="Its logs can be read only if it is."
            )
    return only


def _records(desk: Desk, sources: Sources, unseen: list[str]) -> RequestRecords | None:
    """The API, or None with the reason noted: logs can be read while the cloud is away."""
    try:
        return sources.records(desk)
    except (ApiError, AuthenticationError, ConfigurationError) as error:
        unseen.append(error.message)
        return None


def _named(desk: Desk, word: str, records: RequestRecords | None, asking: Asking) -> Named:
    if REQUEST.fullmatch(word):
        server_id = desk.journal().subject_of(word) or ""
        return Named(word, ((word, server_id),))
    if word == LAST or _RUN.fullmatch(word):
        try:
            run = find_run(desk.journal(), word)
        except UnknownRunError:
            if word == LAST or records is None:
                raise
        else:
            if records is not None:
                refuse_other_cloud(desk, run)
            return _of_run(desk.journal(), run)
    if records is None:
        raise UnknownServerError(
            f"server {word}: the cloud does not answer", hint="Name a request: nodeops trace req-..."
        )
    return _of_server(word, records, asking)


def _of_run(journal: Journal, run: RunInfo) -> Named:
    """The requests of the servers it did not move; of a run in which all went well, all."""
    names = {server.id: server.name for server in run.plan.servers}
    bad = {result.id for result in journal.results(run.id) if not result.verdict.good}
    steps = [row.result for row in journal.steps(run.id) if row.result.request_id]
    chosen = [step for step in steps if step.subject_id in bad] or steps
    pairs = {step.request_id: step.subject_id if step.subject_id in names else "" for step in chosen}
    if not pairs:
        raise UnknownRequestError(
            f"run {run.id}: it sent no request", hint=f"nodeops show {run.id} tells what it did."
        )
    return Named(f"run {run.id}", tuple(pairs.items()), names, frozenset({run.host}))


def _of_server(word: str, records: RequestRecords, asking: Asking) -> Named:
    """Its last request that failed, or its last one; a list tells failures of the API's own only."""
    server = records.server(word)
    listed = [
        each
        for each in records.newest(server.id, NEWEST)
        if asking.since is None or each.started >= asking.since
    ]
    if not listed:
        raise UnknownRequestError(
            f"server {server.name} ({server.id}): Nova keeps no request of it in that time",
            hint="Without --since its last ones are looked at.",
        )
    known = (records.request(server.id, each.id) for each in listed)
    failed = next((each for each in known if each is not None and each.failed), None)
    chosen = failed or listed[0]
    hosts = frozenset({server.host} if server.host else ())
    subject = f"server {server.name} ({server.id})"
    return Named(subject, ((chosen.id, server.id),), {server.id: server.name}, hosts)


def _nothing(story: Story) -> NodeopsError:
    gaps = "; ".join(story.gaps)
    words = f"{story.facts.subject}: nothing was found of it" + (f" ({gaps})" if gaps else "")
    if not story.facts.found:
        hint = "Without an inventory logs cannot be read: nodeops_logs in docs/configuration.md."
    else:
        hint = "Its logs may be gone, or on hosts that the inventory does not have."
    return UnknownRequestError(words, hint=hint)
