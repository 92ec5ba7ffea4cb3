"""`Logs` over SSH, or on this machine: searched by grep where they are; only what belongs comes back."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.clients.on_host import OnHost, Runner
from nodeops.clients.shell import Answer, Command, Shell
from nodeops.errors import HostTroubleError, SshError, SshReason
from nodeops.inventory import Inventory, Place
from nodeops.inventory.variables import ServiceManager
from nodeops.log import redact
from nodeops.log_lines import Clock, parse, service_of
from nodeops.tracing import Found, LogFile, LogLine, LogSource, SourceKind, Wanted

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
    _open: dict[str, Shell] = field(default_factory=dict, init=False, repr=False)
    """A second question goes over the same connection."""

    def hosts(self) -> tuple[str, ...]:
        return tuple(self.inventory.places)

    def search(self, host: str, wanted: Wanted) -> Found:
        place = self.inventory.place(host)
        if place is None:
            return Found(host, error="is not in the inventory")
        try:
            if place.local:
                return search(LocalShell(host), place, wanted, Clock(float(time.localtime().tm_gmtoff)))
            if host not in self._open:
                self._open[host] = self.shell(place)
            return search(_Sudo(self._open[host]), place, wanted)
        except (SshError, HostTroubleError) as error:
            return Found(host, error=error.message.removeprefix(f"{host}: "))

    def close(self) -> None:
        """End the connections."""
        for shell in self._open.values():
            shell.close()
        self._open.clear()


def search(runner: Runner, place: Place, wanted: Wanted, clock: Clock | None = None) -> Found:
    """What one host has; its clock is asked for, unless known. Raises `SshError`, `HostTroubleError`."""
    clock = clock or _clock(runner, min(CLOCK_SECONDS, wanted.seconds))
    host = place.nova_host
    found = _search(runner, host, place.logs or USUAL, wanted, clock)
    if not place.logs and not any(service_of(file.name) == "nova-compute" for file in found.files):
        more = _search(runner, host, (_service_source(place),), wanted, clock)
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


def _service_source(place: Place) -> LogSource:
    kinds = {
        ServiceManager.SYSTEMD: SourceKind.JOURNAL,
        ServiceManager.DOCKER: SourceKind.DOCKER,
        ServiceManager.PODMAN: SourceKind.PODMAN,
    }
    return LogSource(kinds[place.service_manager], place.nova_compute_unit)


def _clock(runner: Runner, seconds: float) -> Clock:
    """The middle of the question is when it was answered, give or take half of the way there and back."""
    runner.run(Command(("true",), timeout=seconds))
    asked = time.time()
    answer = runner.run(Command(("date", "+%s.%N %z"), timeout=seconds))
    took = time.time() - asked
    found = re.fullmatch(r"(\d+)(?:\.(\d+)|\.N|\.%N)? ([+-])(\d\d)(\d\d)", answer.stdout.strip())
    if not found:
        return Clock()
    sign = -1 if found[3] == "-" else 1
    offset = sign * (int(found[4]) * 3600 + int(found[5]) * 60)
    skew = float(f"{found[1]}.{found[2] or 5}") - (asked + took / 2)
    return Clock(offset, skew if abs(skew) > max(TRUSTED_SKEW, took) else 0.0)


def _search(runner: Runner, host: str, sources: Iterable[LogSource], wanted: Wanted, clock: Clock) -> Found:
    asked = _asked(tuple(map(str, sources)), wanted, clock)
    answer = OnHost(runner).printed("log-search", asked, seconds=wanted.seconds, most_bytes=MOST_BYTES)
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


@dataclass(frozen=True, slots=True)
class _Sudo:
    """Logs belong to their services; who may not use sudo reads what he may."""

    shell: Shell

    def run(self, command: Command) -> Answer:
        try:
            return self.shell.run(command)
        except SshError as error:
            if error.reason is not SshReason.SUDO:
                raise
        return self.shell.run(replace(command, sudo=False))


@dataclass(frozen=True, slots=True)
class LocalShell:
    """The machine itself as a host of the inventory (`ansible_connection=local`), without SSH and sudo."""

    host: str

    def run(self, command: Command) -> Answer:
        """Raises `SshError`, as a host that is far does."""
        argv = (sys.executable, *command.argv[1:]) if command.argv[0] == "python3" else command.argv
        try:
            ended = subprocess.run(
                argv, input=command.stdin, capture_output=True, timeout=command.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            words = f"{self.host}: {command.argv[0]} did not end within {command.timeout:.0f} s"
            raise SshError(words, hint="Name a shorter time: --since.", reason=SshReason.TIMED_OUT) from None
        except OSError as error:
            shown = redact(shlex.join(command.argv[:3]))
            words = f"{self.host}: {shown}: {os.strerror(error.errno or 0).lower()}"
            raise SshError(words, hint="Look at the PATH here.", reason=SshReason.LOST) from None
        out, err = (kept[: command.most_bytes] for kept in (ended.stdout, ended.stderr))
        return Answer(
            self.host,
            command,
            ended.returncode,
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            cut=len(ended.stdout) > command.most_bytes,
            raw=out,
        )
