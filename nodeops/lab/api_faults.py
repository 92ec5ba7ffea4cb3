"""The faults of the lab's APIs: rules that match calls, kept in `<state dir>/faults/api.json`.

    fault = arm(state_dir, ApiFault(Kind.STATUS, path="servers/*/action", status=409, times=1))
    list_faults(state_dir); struck(state_dir); disarm(state_dir, fault.fault_id); disarm_all(state_dir)

The proxy reads the file again whenever it changed, so a fault holds from the next call on.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from nodeops.lab.hypervisor.places import read_json, write_json
from nodeops.lab.numbered_file import Followed, NumberedFile

READING = frozenset({"GET", "HEAD", "OPTIONS"})
TOKENS_PATH = "/auth/tokens"


class Service(StrEnum):
    """A service of the lab, by its type in the catalog."""

    IDENTITY = "identity"
    PLACEMENT = "placement"
    COMPUTE = "compute"
    NETWORK = "network"
    VOLUME = "volumev3"
    IMAGE = "image"


class Kind(StrEnum):
    """What goes wrong with a call. Before: the service is never asked. After: what was asked has happened."""

    LATENCY = "latency"
    """Waits `seconds` before the service is asked, then goes on; several add up."""
    STATUS = "status"
    """Answers with `status` and the error body that service would send."""
    STATUS_AFTER = "status-after"
    """The same, after the call took effect: the gateway lost patience."""
    DROP_BEFORE = "drop-before"
    DROP_AFTER = "drop-after"
    HANG = "hang"
    """No answer; the connection is held until the fault is cleared or `seconds` are over, then dropped."""
    HANG_AFTER = "hang-after"
    EXPIRED_TOKEN = "expired-token"  # noqa: S105 - no secret, a fault's name
    """The token of this call has expired, for every service from now on; a new token is good."""


AFTER = frozenset({Kind.STATUS_AFTER, Kind.DROP_AFTER, Kind.HANG_AFTER})
DEFAULT_SECONDS: Mapping[Kind, float] = {Kind.LATENCY: 1.0, Kind.HANG: 3600.0, Kind.HANG_AFTER: 3600.0}


@dataclass(frozen=True, slots=True)
class Received:
    """A call as faults are matched against it."""

    service: Service
    method: str
    path: str
    """Without the query."""
    action: str | None = None
    """A server action's name, the body's one key, as in `os-migrateLive`."""
    client: str = ""
    """The user agent."""

    @property
    def writes(self) -> bool:
        return is_write(self.service, self.method, self.path)


def is_write(service: Service, method: str, path: str) -> bool:
    """Tell whether the call may change the cloud; asking for a token or revoking it does not."""
    return method not in READING and not is_token_call(service, path)


def is_token_call(service: Service, path: str) -> bool:
    return service is Service.IDENTITY and path.rstrip("/").endswith(TOKENS_PATH)


@dataclass(frozen=True, slots=True)
class ApiFault:
    """What goes wrong, with which calls and how often; a field that is None matches every call."""

    kind: Kind
    fault_id: int = 0
    service: Service | None = None
    method: str | None = None
    """GET, POST, …, or `read` or `write`."""
    path: str | None = None
    """`*` is one part of a path, `**` any number; matched from the end unless it begins with a slash."""
    action: str | None = None
    client: str | None = None
    """A part of the user agent."""
    status: int = 500
    seconds: float | None = None
    probability: float = 1.0
    times: int | None = None
    """How many calls it strikes; None is every one, and one where `nth` is given or a token expires."""
    nth: int | None = None
    """The first matching call it strikes, counted from 1 since it was set."""
    message: str = ""

    def matches(self, call: Received) -> bool:
        return (
            self.service in {None, call.service}
            and self._method_matches(call)
            and (self.path is None or path_pattern(self.path).fullmatch(call.path) is not None)
            and self.action in {None, call.action}
            and (self.client is None or self.client.lower() in call.client.lower())
        )

    def _method_matches(self, call: Received) -> bool:
        if self.method in {"read", "write"}:
            return call.writes is (self.method == "write")
        return self.method in {None, call.method}

    @property
    def number(self) -> int:
        return self.fault_id

    @property
    def limit(self) -> int | None:
        """How many calls it may strike in all, None when there is no end."""
        if self.times is None and (self.nth is not None or self.kind is Kind.EXPIRED_TOKEN):
            return 1
        return self.times

    @property
    def duration(self) -> float:
        """Seconds of a latency or a hang."""
        return DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def due(self, seen: int, struck: int) -> bool:
        """Tell whether it may strike the `seen`-th matching call after it struck `struck` ones."""
        return seen >= (self.nth or 1) and (self.limit is None or struck < self.limit)


@lru_cache(maxsize=256)
def path_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a path pattern; see `ApiFault.path`."""
    parts = re.split(r"(\*\*|\*)", pattern.rstrip("/"))
    words = {"**": ".*", "*": "[^/]*"}
    body = "".join(words.get(part, re.escape(part)) for part in parts)
    return re.compile(("" if pattern.startswith("/") else "(?:.*/)?") + body + "/?")


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a fault's calls came, as of its last strike, and how many it struck."""

    seen: int = 0
    struck: int = 0


def faults_file(state_dir: Path) -> Path:
    return state_dir / "faults" / "api.json"


def tally_file(state_dir: Path) -> Path:
    """Where the proxy, and only the proxy, writes what its faults did."""
    return state_dir / "faults" / "api-tally.json"


def arm(state_dir: Path, fault: ApiFault) -> ApiFault:
    """Set the fault and return it with the id it was given; ids are not used twice."""
    return _file(state_dir).add(fault)


def list_faults(state_dir: Path) -> list[ApiFault]:
    """Return the faults in the order they were set, also those that struck as often as they may."""
    return _file(state_dir).all()


def followed(state_dir: Path) -> Followed[ApiFault]:
    """Return the faults as the proxy follows them."""
    return Followed(_file(state_dir))


def disarm(state_dir: Path, fault_id: int) -> bool:
    """Clear one fault; return whether it was there. What hangs by it is let go, its token is good again."""
    return _file(state_dir).remove(fault_id)


def disarm_all(state_dir: Path) -> int:
    """Clear all faults; return how many there were."""
    return _file(state_dir).clear()


def tallies(state_dir: Path) -> dict[int, Tally]:
    """Return what each fault that ever struck did, by its id."""
    held = read_json(tally_file(state_dir)) or {}
    return {int(number): Tally(**tally) for number, tally in held.items()}


def struck(state_dir: Path, fault_id: int) -> int:
    """Return how many calls the fault struck."""
    return tallies(state_dir).get(fault_id, Tally()).struck


def write_tallies(state_dir: Path, held: Mapping[int, Tally]) -> None:
    write_json(tally_file(state_dir), {str(number): asdict(tally) for number, tally in held.items()})


def _file(state_dir: Path) -> NumberedFile[ApiFault]:
    return NumberedFile(
        faults_file(state_dir),
        numbered=lambda fault, number: replace(fault, fault_id=number),
        restored=_restored,
    )


def _restored(held: Mapping[str, Any]) -> ApiFault:
    service = Service(held["service"]) if held["service"] else None
    return ApiFault(**{**held, "kind": Kind(held["kind"]), "service": service})
