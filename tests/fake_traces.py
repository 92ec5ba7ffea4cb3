"""Logs and Nova's records of requests in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nodeops.errors import ApiError, UnknownServerError
from nodeops.model.facts import Migration
from nodeops.model.tracing import Found, LogLine, Person, RequestEvent, RequestRecord, Wanted

OWN = "req-2f922cba-7d09-4327-8067-e4b8fd5a99ba"
CHILD = "req-9c1216fa-cd20-4ee5-b537-79993b2c521d"
SERVER = "79ca94e9-1d5f-4b7e-8d34-8a5b6b0fd2c1"
AT = 1_795_255_200.0


def log_line(
    second: float, words: str, *, host: str = "c01", level: str = "INFO", request: str = OWN, cause: str = ""
) -> LogLine:
    """One of nova-compute, so many seconds after the request."""
    return LogLine(
        AT + second, host, "nova-compute", level, "nova.compute.manager", words, "7", request, cause, SERVER
    )


def event(name: str, host: str, result: str = "Success", words: str = "") -> RequestEvent:
    return RequestEvent(name, host, AT + 1, AT + 5, result, words)


def request(*events: RequestEvent, status: str = "completed", target: str = "c02") -> RequestRecord:
    """A live migration of c01 to c02."""
    move = Migration(7, "m", SERVER, "live-migration", status, "c01", target)
    events = events or (event("compute_live_migration", "c01"),)
    return RequestRecord(OWN, SERVER, "live-migration", AT, AT + 5, "web01", "", events, (move,))


@dataclass
class FakeLogs:
    """Implements `Logs`; `lines` by host, and why a host is silent."""

    lines: Mapping[str, tuple[LogLine, ...]] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    begins: Mapping[str, float] = field(default_factory=dict)
    asked: list[tuple[str, Wanted]] = field(default_factory=list)

    def hosts(self) -> tuple[str, ...]:
        return tuple(sorted({*self.lines, *self.silent}))

    def search(self, host: str, wanted: Wanted) -> Found:
        self.asked.append((host, wanted))
        if host in self.silent:
            return Found(host, error=self.silent[host])
        kept = (line for line in self.lines.get(host, ()) if _wanted(line, wanted))
        return Found(host, tuple(kept))


def _wanted(line: LogLine, wanted: Wanted) -> bool:
    in_time = (wanted.since or 0) <= line.at <= (wanted.until or 9e12)
    named = {line.request_id, line.global_id} & set(wanted.ids)
    return in_time and bool(named or line.server_id in wanted.subjects)


@dataclass
class FakeRequests:
    """Implements `RequestRecords`."""

    known: tuple[RequestRecord, ...] = ()
    down: str = ""
    """Why the API does not answer."""
    hosts: frozenset[str] = frozenset({"c01", "c02", "c03"})

    def computes(self) -> frozenset[str]:
        self._answer()
        return self.hosts

    def server(self, word: str) -> Person:
        self._answer()
        if word not in {SERVER, "web01"}:
            raise UnknownServerError(f"server {word}: no server has this name or id")
        return Person(SERVER, "web01", "c01")

    def newest(self, server_id: str, number: int) -> tuple[RequestRecord, ...]:
        self._answer()
        listed = (replace(each, events=()) for each in self.known if each.server_id == server_id)
        return tuple(listed)[:number]

    def request(self, server_id: str, request_id: str) -> RequestRecord | None:
        self._answer()
        return next((r for r in self.known if (r.id, r.server_id) == (request_id, server_id)), None)

    def _answer(self) -> None:
        if self.down:
            raise ApiError(self.down)
