"""Lines of oslo.log, as services write them into files, a journal or a container's output, made values.

`oslo_log/_options.py`: time, process, level, logger, `[global request id, request id, user]`, `[instance]`,
message. A traceback follows with the same beginning and without the brackets of the request.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from nodeops.model.tracing import LogLine

REQUEST = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?) (?P<pid>\d+) (?P<level>[A-Z]+) (?P<module>\S+) "
    r"(?:\[(?!instance: )(?P<context>[^\]]*)\] ?)?(?:\[instance: (?P<server>[^\]]+)\] ?)?(?P<words>.*)"
)
_JOURNAL = re.compile(r"(?P<at>\d{9,11}\.\d{3,9}) (?P<host>\S+) (?P<unit>[^\s\[:]+)(?:\[(?P<pid>\d+)\])?: ?")
_PLAIN = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?)(?P<zone>Z|[+-]\d\d:?\d\d)?:? (?P<words>.*)"
)
_SUFFIXES = re.compile(r"(?:\.log|\.out|[.-]\d+|\.gz|\.xz|\.zst|\.bz2|\.old|-current)+$")


@dataclass(frozen=True, slots=True)
class Clock:
    """How a host's log tells the time."""

    offset: float = 0.0
    """Seconds its zone is ahead of UTC."""
    skew: float = 0.0
    """Seconds its clock is ahead of ours."""

    def ours(self, text: str, *, zoned: bool = False) -> float:
        """A local time of its log, by our clock."""
        moment = dt.datetime.fromisoformat(text.replace(",", ".").replace(" ", "T"))
        seconds = moment.replace(tzinfo=dt.UTC).timestamp()
        return seconds - (0.0 if zoned else self.offset) - self.skew

    def local(self, at: float) -> str:
        """To the second, as its log writes it."""
        moment = dt.datetime.fromtimestamp(at + self.skew + self.offset, dt.UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")


def service_of(name: str) -> str:
    """The service that writes a log of this path, unit or container."""
    stem = _SUFFIXES.sub("", PurePosixPath(name.rpartition(":")[2]).name)
    return stem.replace("_", "-").removesuffix(".service").removesuffix(".py") or name


def parse(texts: Iterable[str], host: str, service: str, clock: Clock) -> tuple[LogLine, ...]:
    """Lines of one log in their order, what belongs to one message folded into it."""
    lines: list[LogLine] = []
    for text in texts:
        line = _one(text, host, service, clock)
        if line is None or (lines and _continues(line, lines[-1])):
            if lines:
                words = text if line is None else line.words
                lines[-1] = replace(lines[-1], more=(*lines[-1].more, words))
            continue
        lines.append(line)
    return tuple(lines)


def _continues(line: LogLine, before: LogLine) -> bool:
    """Whether it is a part of the traceback that the line before began, itself perhaps a mere warning."""
    same = (line.pid, line.module) == (before.pid, before.module) and bool(line.pid)
    return same and line.bare and line.level in {"ERROR", "CRITICAL", "TRACE"}


def _one(text: str, host: str, service: str, clock: Clock) -> LogLine | None:
    """None for what is no line of its own."""
    journal = _JOURNAL.match(text)
    if journal:
        text = text[journal.end() :]
    if found := _LINE.match(text):
        ids = REQUEST.findall(found["context"] or "")
        return LogLine(
            at=clock.ours(found["at"]),
            host=host,
            service=service,
            level=found["level"],
            module=found["module"],
            words=found["words"],
            pid=found["pid"],
            request_id=ids[-1] if ids else "",
            global_id=ids[0] if len(ids) > 1 and ids[0] != ids[-1] else "",
            server_id=found["server"] or "",
            bare=found["context"] is None,
        )
    if text.startswith("{") and (line := _json(text, host, service, clock)):
        return line
    if journal:
        at = float(journal["at"]) - clock.skew
        return LogLine(at, host, journal["unit"], "", "", text, pid=journal["pid"] or "")
    if plain := _PLAIN.match(text):
        at = clock.ours(plain["at"], zoned=bool(plain["zone"]))
        return LogLine(at, host, service, "", "", plain["words"])
    return None


def _json(text: str, host: str, service: str, clock: Clock) -> LogLine | None:
    """`oslo_log/formatters.py`, JSONFormatter."""
    try:
        said: dict[str, Any] = json.loads(text)
        at = clock.ours(str(said["asctime"]))
    except (ValueError, KeyError, TypeError):
        return None
    context = said.get("context") if isinstance(said.get("context"), dict) else {}
    extra = said.get("extra") if isinstance(said.get("extra"), dict) else {}
    merged = {**(extra or {}), **(context or {}), **said}
    return LogLine(
        at=at,
        host=host,
        service=service,
        level=str(said.get("levelname") or ""),
        module=str(said.get("name") or ""),
        words=str(said.get("message") or ""),
        pid=str(said.get("process") or ""),
        request_id=str(merged.get("request_id") or ""),
        global_id=str(merged.get("global_request_id") or ""),
        server_id=_server(merged),
        more=tuple(_traceback(said)),
    )


def _server(said: dict[str, Any]) -> str:
    instance = said.get("instance_uuid") or said.get("resource_uuid") or said.get("instance") or ""
    found = re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(instance))
    return found[0] if found else ""


def _traceback(said: dict[str, Any]) -> Iterator[str]:
    written = said.get("traceback")
    for part in written if isinstance(written, list) else [written] if written else []:
        yield from str(part).splitlines()
