"""How one simulated host obeys the fault rules in operations that are not a live copy."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeops.lab.hypervisor.behaviour import (
    Behaviour,
    Rule,
    Subject,
    first,
    hindrance,
    rules_of_metadata,
)
from nodeops.lab.hypervisor.settings import read_settings
from nodeops.lab.hypervisor_faults import RuleBook, strike

TICK_SECONDS = 0.5
BEFOREHAND = (Behaviour.REFUSE, Behaviour.FAIL_BEFORE)


class SimulatedFaultError(Exception):
    """A rule made this operation fail; the text is what the hypervisor says."""


@dataclass(frozen=True, slots=True)
class Obedience:
    """The rules as one nova-compute applies them."""

    state_dir: Path
    book: RuleBook
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def rules(self, metadata: Mapping[str, str]) -> list[Rule]:
        """Return the lab's rules and the server's own, as they are now."""
        return [*self.book.rules(), *rules_of_metadata(metadata)]

    def struck(self, behaviour: Behaviour, subject: Subject, metadata: Mapping[str, str]) -> str | None:
        """Return the hypervisor's words when a rule of this behaviour strikes now, and count the strike."""
        rule = first(self.rules(metadata), behaviour, subject)
        return rule.words if rule is not None and strike(self.state_dir, rule) else None

    def refuse(self, behaviour: Behaviour, subject: Subject, metadata: Mapping[str, str]) -> None:
        """Fail when a rule of this behaviour strikes.

        Raises:
            SimulatedFaultError: it does.

        """
        words = self.struck(behaviour, subject, metadata)
        if words is not None:
            raise SimulatedFaultError(words)

    def perform(self, subject: Subject, metadata: Mapping[str, str], seconds: float = 0.0) -> None:
        """Let the operation take its time, with everything the rules do to it.

        `seconds` is what it takes by itself. A rule that is cleared meanwhile lets go at once.

        Raises:
            SimulatedFaultError: a rule makes the operation fail.

        """
        for behaviour in BEFOREHAND:
            self.refuse(behaviour, subject, metadata)
        self.wait_out(subject, metadata, seconds)
        self.refuse(Behaviour.FAIL_COPY, subject, metadata)
        self.refuse(Behaviour.FAIL_AFTER, subject, metadata)

    def wait_out(self, subject: Subject, metadata: Mapping[str, str], seconds: float) -> None:
        """Wait as long as the operation takes, slowed or hung by the rules as they are at each moment."""
        base = seconds + read_settings(self.state_dir).operation_seconds
        began = self.clock()
        while (left := self._left(began, base, subject, metadata)) > 0:
            self.wait(min(TICK_SECONDS, left))

    def _left(self, began: float, base: float, subject: Subject, metadata: Mapping[str, str]) -> float:
        rules = self.rules(metadata)
        now = hindrance(rules, subject)
        if now.frozen_at is not None:
            return TICK_SECONDS
        slow = first(rules, Behaviour.SLOW, subject)
        total = base * now.slower + (slow.seconds if slow else 0.0)
        return began + total - self.clock()
