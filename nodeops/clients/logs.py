"""`Logs` over SSH, or on this machine: searched by grep where they are; only what belongs comes back."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nodeops.clients.conversation import Conversation, Starter
from nodeops.clients.local_shell import LocalShell
from nodeops.clients.shell import Shell
from nodeops.errors import HostTroubleError, SshError, SshReason
from nodeops.inventory import Inventory, Place
from nodeops.inventory.variables import ServiceManager
from nodeops.model.log_lines import Clock, parse, service_of
from nodeops.model.tracing import Found, LogFile, LogLine, LogSource, SourceKind, Wanted

CLOCK_SECONDS = 10.0
MOST_BYTES = 24 * 1024 * 1024
"""Of all that one host sends; what is beyond it is dropped."""
MOST_LINES = 3000
"""Of one log."""
PROJECTS = ("nova", "neutron", "cinder", "placement", "glance", "keystone")
USUAL = tuple(
    LogSource(SourceKind.FILE, f"{root}/{project}/*.log*")
    for root in ("/var/log", "/var/log/kolla")
    for project in PROJECTS
)
"""Where packages and kolla put them; for a host of which the inventory does not tell."""
TRUSTED_SKEW = 0.5
"""Of a clock that was asked over a slow link less cannot be told from the link."""


@dataclass(frozen=True, slots=True)
class HostLogs:
    """Implements `Logs` for the hosts of an inventory."""

    inventory: Inventory
    shell: Callable[[Place], Shell]
    _open: dict[str, "OpenHost"] = field(default_factory=dict, init=False, repr=False)
    """A second question goes to the same program, over the same connection."""

    def hosts(self) -> tuple[str, ...]:
        return tuple(self.inventory.places)

    def search(self, host: str, wanted: Wanted) -> Found:
        place = self.inventory.place(host)
        if place is None:
            return Found(host, error="is not in the inventory")
        if host not in self._open:
            self._open[host] = OpenHost(place, LocalShell(host) if place.local else self.shell(place))
        try:
            return self._open[host].search(wanted)
        except (SshError, HostTroubleError) as error:
            return Found(host, error=error.message.removeprefix(f"{host}: "))

    def close(self) -> None:
        """End the connections."""
        for each in self._open.values():
            each.close()
        self._open.clear()


class Host(Starter, Protocol):
    """What is reached, and left in the end."""

    def close(self) -> None: ...


class OpenHost:
    """One host's logs. Its clock is asked for once."""

    def __init__(self, place: Place, shell: Host) -> None:
        self._place = place
        self._shell = shell
        self._talk = Conversation(shell)
        self._clock: Clock | None = None

    def search(self, wanted: Wanted) -> Found:
        """What the host has. Raises `SshError`, `HostTroubleError`."""
        if self._clock is None:
            self._clock = self._asked_clock(min(CLOCK_SECONDS, wanted.seconds))
        place, clock = self._place, self._clock
        found = _search(self._talk, place.nova_host, place.logs or USUAL, wanted, clock)
        if not place.logs and not any(service_of(file.name) == "nova-compute" for file in found.files):
            more = _search(self._talk, place.nova_host, (_service_source(place),), wanted, clock)
            found = replace(
                found,
                lines=(*found.lines, *more.lines),
                files=(*found.files, *more.files),
                cut=found.cut or more.cut,
            )
        if not place.logs:
            # Of the usual places most are somewhere else, which is nothing to tell of.
            found = replace(found, missing=() if found.files else ("/var/log/nova/*.log*",))
        return found

    def close(self) -> None:
        self._talk.close()
        self._shell.close()

    def _asked_clock(self, seconds: float) -> Clock:
        """Logs belong to their services: who may not use sudo reads what he may."""
        try:
            return _clock(self._talk, seconds)
        except SshError as error:
            if error.reason is not SshReason.SUDO:
                raise
        self._talk = Conversation(self._shell, sudo=False)
        return _clock(self._talk, seconds)


def _service_source(place: Place) -> LogSource:
    kinds = {
        ServiceManager.SYSTEMD: SourceKind.JOURNAL,
        ServiceManager.DOCKER: SourceKind.DOCKER,
        ServiceManager.PODMAN: SourceKind.PODMAN,
    }
    return LogSource(kinds[place.service_manager], place.nova_compute_unit)


def _clock(talk: Conversation, seconds: float) -> Clock:
    """The middle of the question is when it was answered, give or take half of the way there and back."""
    # The first one waits for the program's start too.
    talk.ask("clock", {}, seconds=seconds)
    asked = time.time()
    found = talk.ask("clock", {}, seconds=seconds)
    took = time.time() - asked
    skew = found["now"] - (asked + took / 2)
    return Clock(found["offset"], skew if abs(skew) > max(TRUSTED_SKEW, took) else 0.0)


def _search(
    talk: Conversation, host: str, sources: Iterable[LogSource], wanted: Wanted, clock: Clock
) -> Found:
    asked = _asked(tuple(map(str, sources)), wanted, clock)
    answer = talk.printed("log-search", asked, seconds=wanted.seconds, most_bytes=MOST_BYTES)
    return replace(read(answer.stdout, host, clock, wanted), cut=answer.cut or "\n#cut " in answer.stdout)


def _asked(sources: Sequence[str], wanted: Wanted, clock: Clock) -> dict[str, Any]:
    since, until = wanted.since, wanted.until
    return {
        "ids": wanted.ids,
        "subjects": wanted.subjects,
        "since": "" if since is None else clock.local(since),
        "until": "" if until is None else clock.local(until),
        "begin": None if since is None else int(since + clock.skew),
        "end": None if until is None else int(until + clock.skew + 1),
        "most": MOST_LINES,
        "sources": sources,
    }


def read(output: str, host: str, clock: Clock, wanted: Wanted) -> Found:
    """What the search printed."""
    kept: list[tuple[LogFile, list[str]]] = []
    missing = []
    for text in output.split("\n"):
        if text.startswith(">") and kept:
            kept[-1][1].append(text[1:])
        elif text.startswith("#file "):
            kept.append((_file(text.removeprefix("#file "), clock), []))
        elif text.startswith("#missing "):
            missing.append(text.removeprefix("#missing "))
    lines = [
        line
        for file, texts in kept
        for line in parse(texts, host, service_of(file.name), clock)
        if _within(line, wanted)
    ]
    return Found(host, _once(lines), tuple(file for file, _ in kept), tuple(missing), clock.skew)


def _file(text: str, clock: Clock) -> LogFile:
    name, _, rest = text.partition("\t")
    size, _, begins = rest.partition("\t")
    try:
        first = clock.ours(begins) if begins else None
    except ValueError:
        first = None
    return LogFile(name, int(size) if size.isdecimal() else 0, first)


def _within(line: LogLine, wanted: Wanted) -> bool:
    early = wanted.since is not None and line.at < wanted.since - 1
    late = wanted.until is not None and line.at > wanted.until + 1
    return not (early or late)


def _once(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """A service that writes into a file and into the journal says the same twice."""
    return tuple({(each.at, each.pid, each.module, each.words): each for each in lines}.values())
