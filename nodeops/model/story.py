"""What came of some requests: their events and log lines in one order, and the line that explains the end."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nodeops.model.log_lines import service_of
from nodeops.model.tracing import Found, LogLine, RequestRecord, TraceFacts
from nodeops.signatures import Rank, Signature, explain

ERRORS = frozenset({"ERROR", "CRITICAL", "TRACE"})
LOUD = ERRORS | {"WARNING"}
MOVES = frozenset({"live-migration", "migrate", "evacuate"})
"""Nova's events of these may all be a success though the move failed: only its migration tells."""
GIVEN_UP = re.compile(r"Setting instance (?:vm_state )?to ERROR")
"""Of a build that no host could do the instance action tells nothing: `nova/scheduler/utils.py`."""
GAP_SECONDS = 60.0
"""By which a log may begin after the request and still count as whole: services do not log all the time."""
UNKNOWN = "it is not among the lines nodeops knows"
NOVA = "nova"
"""The service whose API tells events and faults."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, by our clock."""

    at: float
    host: str
    service: str
    module: str
    level: str
    words: str
    more: tuple[str, ...] = ()
    request_id: str = ""
    server_id: str = ""
    times: int = 1
    """How often the same was said in a row."""

    @property
    def bad(self) -> bool:
        return self.level in ERRORS

    @property
    def noise(self) -> bool:
        """What tells nothing of the story: who looked at a server meanwhile, and what is deprecated."""
        looked = self.module.endswith("requestlog") and '"GET ' in self.words and " status: 2" in self.words
        return looked or "is deprecated" in self.words or self.level == "DEBUG"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why it ended so."""

    line: str
    """In the words of the log, or of Nova's API."""
    host: str
    service: str
    at: float
    meaning: str
    source: str
    next_command: str
    name: str = ""
    """Of the signature; empty for a line that is not known."""

    @property
    def sentence(self) -> str:
        """In one line, for a report."""
        where = " ".join(part for part in (self.host, self.service) if part)
        words = self.meaning if self.name else self.line
        return f"{where}: {words}" if where else words


@dataclass(frozen=True, slots=True)
class Story:
    facts: TraceFacts
    entries: tuple[Entry, ...]
    failed: bool | None
    """None: nothing was found that says how it ended."""
    diagnosis: Diagnosis | None
    gaps: tuple[str, ...] = ()
    """What may be missing, and why."""

    @property
    def outcome(self) -> str:
        """In a word."""
        return {True: "failed", False: "went well", None: "not known"}[self.failed]


def tell(facts: TraceFacts) -> Story:
    """Put it all together; no I/O."""
    lines = [_entry(line) for found in facts.found for line in found.lines]
    entries = sorted(chain(lines, _events(facts.requests)), key=lambda each: each.at)
    failed = _failed(facts, lines)
    return Story(
        facts=facts,
        entries=tuple(_folded(entries)),
        failed=failed,
        diagnosis=_diagnosis(facts, lines) if failed else None,
        gaps=tuple(_gaps(facts)),
    )


def _entry(line: LogLine) -> Entry:
    return Entry(
        line.at, line.host, line.service, line.module, line.level, line.words, line.more,
        line.request_id, line.server_id,
    )  # fmt: skip


def _events(requests: Iterable[RequestRecord]) -> Iterator[Entry]:
    """What Nova's API tells."""
    for each in requests:
        module = "instance action"
        yield Entry(
            each.started, "", NOVA, module, "", f"{each.action} asked for", (), each.id, each.server_id
        )
        for event in each.events:
            yield Entry(
                event.started, event.host, NOVA, module, "", f"{event.name} begins", (), each.id,
                each.server_id,
            )  # fmt: skip
            if event.ended is not None:
                level = "ERROR" if event.failed else ""
                words = f"{event.name}: {event.result}" + (f": {event.words}" if event.words else "")
                yield Entry(event.ended, event.host, NOVA, module, level, words, (), each.id, each.server_id)


def _folded(entries: Iterable[Entry]) -> Iterator[Entry]:
    """What one service says again and again is one entry."""
    last: Entry | None = None
    for each in entries:
        if last and _same(last, each):
            last = Entry(
                last.at, last.host, last.service, last.module, last.level, last.words, last.more,
                last.request_id, last.server_id, last.times + 1,
            )  # fmt: skip
            continue
        if last:
            yield last
        last = each
    if last:
        yield last


def _same(one: Entry, other: Entry) -> bool:
    return (one.host, one.service, one.module, one.level, one.words) == (
        other.host, other.service, other.module, other.level, other.words,
    )  # fmt: skip


def _failed(facts: TraceFacts, lines: Sequence[Entry]) -> bool | None:
    """Nova's word where it has one: a service may complain and all end well."""
    if facts.requests:
        if any(each.failed for each in facts.requests) or any(GIVEN_UP.search(each.words) for each in lines):
            return True
        if not any(each.action in MOVES and not each.migrations for each in facts.requests):
            return False if all(each.ended is not None for each in facts.requests) else None
    if any(each.bad for each in lines):
        return True
    known = (explain(_text(each)) for each in lines if each.level in LOUD)
    if any(each is not None and each.rank is not Rank.SYMPTOM for each in known):
        return True
    return None if not lines else False


def _text(entry: Entry) -> str:
    """What may be known of it: its words and the exceptions in its traceback, outermost last."""
    exceptions = [text for text in entry.more if text[:1].strip() and not text.startswith("Traceback")]
    return "\n".join((entry.words, *exceptions))


def _diagnosis(facts: TraceFacts, lines: Sequence[Entry]) -> Diagnosis | None:
    """The line that explains most; of equals an error before a remark, and what came first."""
    told = list(_api_words(facts.requests))
    known = [(entry, found) for entry in chain(lines, told) if (found := explain(_text(entry))) is not None]
    if known:
        entry, found = min(known, key=lambda pair: (-pair[1].rank, pair[0].level not in LOUD, pair[0].at))
        if found.rank is not Rank.SYMPTOM:
            return _known(facts, entry, found)
    silent = next((each for each in (*told, *sorted(lines, key=lambda e: e.at)) if each.bad), None)
    if silent is not None:
        return Diagnosis(
            line=_short(silent), host=silent.host, service=silent.service, at=silent.at, meaning=UNKNOWN,
            source=silent.module, next_command=_fill("nodeops host HOST logs", facts, silent),
        )  # fmt: skip
    return _known(facts, *known[0]) if known else None


def _known(facts: TraceFacts, entry: Entry, found: Signature) -> Diagnosis:
    return Diagnosis(
        line=_short(entry, found),
        host=entry.host,
        service=entry.service,
        at=entry.at,
        meaning=" ".join(found.meaning.split()),
        source=found.source,
        next_command=_fill(found.next_command, facts, entry),
        name=found.name,
    )


def _api_words(requests: Iterable[RequestRecord]) -> Iterator[Entry]:
    for each in requests:
        for event in each.events:
            if event.failed and event.words:
                at = event.ended or event.started
                yield Entry(at, event.host, NOVA, "instance action", "ERROR", event.words)
        if each.fault:
            yield Entry(each.updated, "", NOVA, "fault", "ERROR", each.fault)


def _short(entry: Entry, found: Signature | None = None) -> str:
    """The line of the message that says it: of a traceback the exception."""
    texts = [text.strip() for text in _text(entry).splitlines() if text.strip()]
    if found is not None:
        return next((text for text in texts if found.pattern.search(text)), texts[0])
    return texts[-1] if len(texts) > 1 and ": " in texts[-1] else texts[0]


def _fill(command: str, facts: TraceFacts, entry: Entry) -> str:
    """HOST and SERVER by what is known; what is not stays to be filled in."""
    servers = [each.server_id for each in facts.requests if each.server_id]
    server_id = entry.server_id or next(iter(servers), "") or next(iter(facts.wanted.subjects), "")
    target = next((m.target for each in facts.requests for m in each.migrations if m.target), "")
    host = _host(facts, entry)
    known = {"HOST": host, "TARGET": target or host, "SERVER": server_id}
    return " ".join(known.get(word) or word for word in command.split(" "))


def _host(facts: TraceFacts, entry: Entry) -> str:
    """A compute host: where the line is from, unless that is a control host, then the target of the move."""
    parts = frozenset[str]().union(*(each.hosts for each in facts.requests))
    if entry.host and (entry.host in parts or not parts):
        return entry.host
    targets = [each.target for request in facts.requests for each in request.migrations if each.target]
    return next(iter(targets), "") or next(iter(sorted(parts)), "") or entry.host


def _gaps(facts: TraceFacts) -> Iterator[str]:
    yield from facts.unseen
    begun = min((each.started for each in facts.requests), default=None)
    for found in facts.found:
        if found.error:
            yield f"{found.host}: {found.error}"
            continue
        yield from (f"{found.host}: {name} is not there" for name in found.missing)
        if found.cut:
            yield f"{found.host}: there was more than was read; --since shortens the time"
        if begun is not None:
            took_part = any(found.host in each.hosts for each in facts.requests)
            for service in _rotated_away(found, begun, empty_too=took_part):
                yield f"{found.host}: the log of {service} begins after the request; what was before is gone"


def _rotated_away(found: Found, begun: float, *, empty_too: bool) -> Iterator[str]:
    """Services of which nothing was found and nothing of that time is left."""
    told = {line.service for line in found.lines}
    beginnings: dict[str, list[float | None]] = {}
    for file in found.files:
        if file.size:
            beginnings.setdefault(service_of(file.name), []).append(file.begins)
        elif empty_too and file.name.startswith("/"):
            beginnings.setdefault(service_of(file.name), [])
    for service, begins in beginnings.items():
        early = any(each is None or each <= begun + GAP_SECONDS for each in begins)
        if service not in told and not early:
            yield service
