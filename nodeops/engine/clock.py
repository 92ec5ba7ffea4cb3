"""Time as the engine sees it, so that tests need not wait for it."""

import time
from dataclasses import dataclass
from typing import Protocol

from nodeops.engine.signals import Stop


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that long, less when the operator asks to stop."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """Real time; a sleep ends early at a signal."""

    stop: Stop

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.stop.wait(seconds)
