"""Time that moves only when told."""

from collections.abc import Callable
from dataclasses import dataclass, field

EPOCH = 1_795_000_000.0


@dataclass
class FakeClock:
    """Time that moves only in `sleep`."""

    time: float = EPOCH
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], None] | None = None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a sleep of nothing is a busy loop"
        self.slept.append(seconds)
        self.time += seconds
        if self.on_sleep is not None:
            self.on_sleep()
