"""What can happen to one call, before and after its effect."""

from dataclasses import dataclass
from enum import StrEnum

from nodeops.errors import ApiError


class Crash(BaseException):
    """The process dies here (kill -9): nothing in nodeops may catch it."""


class FaultKind(StrEnum):
    """What happens to one call."""

    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"
    DROP_BEFORE = "drop-before"
    """The connection is lost on the way there: ambiguous, without effect."""
    DROP_AFTER = "drop-after"
    """The connection is lost on the way back: ambiguous, with effect."""
    UNAVAILABLE = "unavailable"
    """503: certainly without effect."""


@dataclass(frozen=True)
class Call:
    number: int
    name: str
    arguments: tuple[object, ...]
    write: bool
    at: float


def fail(fault: FaultKind | None, here: set[FaultKind], name: str) -> None:
    """Raise what this fault is, when it is one of these."""
    if fault is None or fault not in here:
        return
    if fault in {FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER}:
        raise Crash(name)
    if fault is FaultKind.UNAVAILABLE:
        raise ApiError(f"{name}: service unavailable", status=503, request_id="req-503")
    raise ApiError(f"{name}: connection lost", ambiguous=True)
