"""How many moves are in flight, and how often to look.

A source host should never idle, and Nova should not hold a long queue that nobody can take back: in flight
are as many as the host runs at once, one queued behind them, and as many more as may end between two looks.
How many it runs at once is seen in the statuses of its migrations: once one is `queued`, the others fill it
(`nova/compute/manager.py`, `live_migration`: `queued` until a worker of the pool takes it, then `preparing`
and `running`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nodeops.model.facts import Migration

MOST_IN_FLIGHT = 10
COLD_AT_ONCE = 2
"""Moves that Nova does not queue, such as cold migrations, out of one host unless the operator says more."""
FIRST_GUESS = 3
FEWEST_TO_COMPARE = 2
"""One move alone says nothing of how many run at once."""
ENOUGH_LOOKS = 2
"""Looks that agree on how many a host runs at once."""
MOST_UNCLEAR = 6
"""Looks in a row that say nothing, after which none is worth its call."""
MARGIN = 1.25
"""Moves that may end between two looks, over those expected to."""
SHORTEST_TICK = 2.0
LONGEST_TICK = 10.0
UNSURE_TICK = 5.0
"""Longest while few moves of the run have ended: the first is often slower than the rest."""
ENOUGH_OBSERVED = 3
MUCH_LESS = 0.6
"""Of what was estimated: believed sooner, as a host that idles costs more than a look."""
SHORTEST_WAIT = 1.0
"""Between looks when little is left to come: nothing else is waiting to be started."""

_AT_WORK = frozenset({"preparing", "running", "post-migrating"})


@dataclass(slots=True)
class _Source:
    probe: int = FIRST_GUESS
    at_once: int = 0
    """Most that were seen at work at once while others were queued; 0 while that was never seen."""
    seen: int = 0
    """Most that were seen at work at once at all: it runs at least so many."""
    looks: int = 0
    """That agreed on it."""
    unclear: int = 0
    """Looks since the last that said something."""


@dataclass(slots=True)
class Pace:
    """What is known of each source host."""

    parallel: int | None
    """Most in flight out of one host, as the operator said; None: found out."""
    sources: dict[str, _Source] = field(default_factory=dict)
    ratio: float = 1.0
    """Observed over expected duration, smoothed."""
    observed: int = 0
    """Moves of this run that have ended: with some of them the estimates are worth something."""

    def limit(self, source: str, expected: float) -> int:
        """Most moves in flight out of that host now, each expected to take so many seconds."""
        if self.parallel is not None:
            return self.parallel
        known = self._of(source)
        if known.at_once == 0:
            return known.probe
        ends = known.at_once * self.tick(expected) / max(self.estimate(expected), 0.1)
        return min(MOST_IN_FLIGHT, known.at_once + max(1, math.ceil(MARGIN * ends)))

    def probing(self, source: str) -> bool:
        """Whether it is still to be found out how many that host runs at once."""
        known = self._of(source)
        return self.parallel is None and known.looks == 0 and known.unclear < MOST_UNCLEAR

    def at_once(self, source: str) -> int:
        """How many of those in flight are taken to be at work, the others being queued behind them."""
        known = self._of(source)
        return max(1, known.at_once, known.seen)

    def wants_look(self, source: str, in_flight: int) -> bool:
        """Whether the statuses of this host's migrations would tell something new."""
        known = self._of(source)
        if in_flight < FEWEST_TO_COMPARE or known.unclear >= MOST_UNCLEAR:
            return False
        return known.looks < (ENOUGH_LOOKS if self.parallel is None else 1)

    def looked(self, source: str, migrations: Sequence[Migration], in_flight: int) -> None:
        """What those statuses say; `in_flight` are ours."""
        known = self._of(source)
        at_work = sum(migration.status in _AT_WORK for migration in migrations)
        queued = sum(migration.status == "queued" for migration in migrations)
        known.seen = max(known.seen, at_work)
        known.unclear += 1
        if queued and at_work:
            known.at_once = max(known.at_once, at_work)
            known.looks += 1
            known.unclear = 0
        elif at_work >= in_flight:
            self._idle(known, in_flight)

    def _idle(self, known: _Source, in_flight: int) -> None:
        """None of ours is queued: the host may run more at once."""
        known.at_once = 0
        if self.parallel is not None or in_flight >= MOST_IN_FLIGHT:
            known.looks = ENOUGH_LOOKS
        elif in_flight >= known.probe:
            known.probe = min(MOST_IN_FLIGHT, known.probe * 2)
            known.unclear = 0

    def ended(self, expected: float, seconds: float, unseen: float) -> None:
        """A move that was expected to take so long was seen to, and ended in the last `unseen` of that.

        One that followed another is seen late at both its ends, which is nothing on the average.
        """
        seconds -= unseen / 2
        if expected > 0 and seconds > 0:
            seen = min(20.0, max(0.05, seconds / expected))
            much_less = seen < MUCH_LESS * self.ratio
            weight = 1.0 if not self.observed else 0.6 if much_less else 0.3
            self.ratio += weight * (seen - self.ratio)
            self.observed += 1

    def estimate(self, expected: float) -> float:
        """Seconds, as moves of this run have turned out so far."""
        return expected * self.ratio

    def tick(self, expected: float) -> float:
        """Seconds between looks while moves are queued in Nova."""
        sure = self.observed >= ENOUGH_OBSERVED
        longest, part = (LONGEST_TICK, 0.75) if sure else (UNSURE_TICK, 0.4)
        return min(longest, max(SHORTEST_TICK, part * self.estimate(expected)))

    def wait(self, expected: float, elapsed: float) -> float:
        """Seconds until a look may find the end of a move that nothing is queued behind."""
        if not self.observed:
            return min(UNSURE_TICK, max(SHORTEST_WAIT, 0.35 * elapsed))
        estimate = self.estimate(expected)
        until = estimate - elapsed if elapsed < estimate else 0.2 * elapsed
        return min(LONGEST_TICK, max(SHORTEST_WAIT, until))

    def _of(self, source: str) -> _Source:
        return self.sources.setdefault(source, _Source())
