"""What clients asked of the lab's APIs: the proxy's access log, `<state dir>/logs/api.jsonl`, read back.

    begin = mark(state_dir)
    …                                     # run a command
    calls = calls_since(state_dir, begin)
    assert not writes(calls)              # a dry run changes nothing
    tally = counts(calls)                 # {("compute", "GET", "/v2.1/servers/detail"): 3, …}

The services' own traffic does not pass the proxy, so every line is a client's. A line is in the file before
the client has its answer.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from nodeops.lab.api_faults import Service, is_write

IDENTITY = re.compile(r"(?<=/)(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|\d+)(?=/|$)")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client."""

    time: str
    """When it came, ISO 8601 in UTC."""
    service: Service
    method: str
    path: str
    """With the query, as it was sent."""
    action: str | None
    """A server action's name, as in `os-migrateLive`."""
    status: int | None
    """What the client was told; None when it got no answer."""
    forwarded: int | None
    """What the service answered; None when it was not asked or did not answer."""
    milliseconds: float
    """From the call's arrival to the beginning of its answer."""
    fault: str | None
    """The fault that struck, as in `drop-after`; `latency` when it was only late."""
    fault_id: int | None
    user_agent: str
    request_id: str | None

    @property
    def writes(self) -> bool:
        """Whether it was meant to change the cloud, struck by a fault or not."""
        return is_write(self.service, self.method, self.path.partition("?")[0])

    @property
    def shape(self) -> str:
        """The path without its query, ids as `*`; a server action with its name."""
        bare = IDENTITY.sub("*", self.path.partition("?")[0])
        return f"{bare} {self.action}" if self.action else bare

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n"


def log_file(state_dir: Path) -> Path:
    return state_dir / "logs" / "api.jsonl"


def mark(state_dir: Path) -> int:
    """Return where the log ends now, for `calls_since`."""
    try:
        return log_file(state_dir).stat().st_size
    except FileNotFoundError:
        return 0


def calls_since(state_dir: Path, begin: int = 0, *, client: str = "") -> list[Call]:
    """Return the calls after a mark, in the order of their answers; `client` is a part of the user agent."""
    try:
        with log_file(state_dir).open("rb") as handle:
            handle.seek(begin)
            lines = handle.read().split(b"\n")
    except FileNotFoundError:
        return []
    # The last part is empty, or a line that is being written.
    calls = (_call(line) for line in lines[:-1] if line)
    return [call for call in calls if client.lower() in call.user_agent.lower()]


def writes(calls: Iterable[Call]) -> list[Call]:
    """Return the calls that were meant to change the cloud."""
    return [call for call in calls if call.writes]


def counts(calls: Iterable[Call]) -> Counter[tuple[str, str, str]]:
    """Return how often each service, method and shape of path was called."""
    return Counter((call.service.value, call.method, call.shape) for call in calls)


def _call(line: bytes) -> Call:
    held = json.loads(line)
    return Call(**{**held, "service": Service(held["service"])})
