"""The faults as the proxy holds them: counted in memory, read again when the file changed."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nodeops.lab.api_faults import (
    ApiFault,
    Kind,
    Received,
    Tally,
    followed,
    is_token_call,
    tallies,
    write_tallies,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a call."""

    delay: float = 0.0
    """Seconds to wait before anything else."""
    fault: ApiFault | None = None
    late_by: ApiFault | None = None
    """The fault that made it late."""


class Armed:
    """Judges every call by the faults that are set."""

    def __init__(self, state_dir: Path, chance: Callable[[], float] = random.random) -> None:
        self._state_dir = state_dir
        self._chance = chance
        self._followed = followed(state_dir)
        self._tallies: dict[int, Tally] = tallies(state_dir)
        self._expired: dict[str, int] = {}

    def judge(self, call: Received, token: str | None) -> Verdict:
        """Count the call with every fault it matches, and say which of them strike it."""
        self._refresh()
        expired = self._expiry(call, token)
        striking = [fault for fault in self._followed.values if self._due(fault, call, token)]
        late = [fault for fault in striking if fault.kind is Kind.LATENCY]
        worse = next((fault for fault in striking if fault.kind is not Kind.LATENCY), None)
        if expired is None and worse is not None and worse.kind is Kind.EXPIRED_TOKEN:
            self._expired[_digest(token)] = worse.fault_id
        chosen = [*late, worse] if worse and not expired else late
        self._strike(chosen)
        return Verdict(
            delay=sum(fault.duration for fault in late),
            fault=expired or worse,
            late_by=late[0] if late else None,
        )

    def holds(self, fault: ApiFault) -> bool:
        """Tell whether the fault is still set."""
        self._refresh()
        return any(fault.fault_id == held.fault_id for held in self._followed.values)

    def _due(self, fault: ApiFault, call: Received, token: str | None) -> bool:
        if fault.kind is Kind.EXPIRED_TOKEN and (token is None or is_token_call(call.service, call.path)):
            return False
        if not fault.matches(call):
            return False
        before = self._tallies.get(fault.fault_id, Tally())
        now = self._tallies[fault.fault_id] = replace(before, seen=before.seen + 1)
        return fault.due(now.seen, now.struck) and (
            fault.probability >= 1.0 or self._chance() < fault.probability
        )

    def _expiry(self, call: Received, token: str | None) -> ApiFault | None:
        if is_token_call(call.service, call.path):
            return None
        number = self._expired.get(_digest(token)) if self._expired else None
        return next((fault for fault in self._followed.values if fault.fault_id == number), None)

    def _strike(self, faults: list[ApiFault]) -> None:
        for fault in faults:
            tally = self._tallies[fault.fault_id]
            self._tallies[fault.fault_id] = replace(tally, struck=tally.struck + 1)
        if faults:
            write_tallies(self._state_dir, self._tallies)

    def _refresh(self) -> None:
        if self._followed.refresh():
            held = {fault.fault_id for fault in self._followed.values}
            self._expired = {token: number for token, number in self._expired.items() if number in held}


def _digest(token: str | None) -> str:
    """Keep no token in memory longer than its call."""
    return hashlib.sha256((token or "").encode()).hexdigest()
