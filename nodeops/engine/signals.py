"""Ctrl-C and its kin: the first asks the run to stop, the second ends it at once.

with Stop().listening() as stop:
execution = execute(…, stop=stop, clock=SystemClock(stop))
# execution.interrupted_by is the signal's number or None
"""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType

from nodeops.errors import SIGNAL_BASE

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether, and by which signal, the run is asked to stop."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The signal that asked for it."""
        self._wake, self._ring = os.pipe()
        os.set_blocking(self._ring, False)

    @property
    def asked(self) -> bool:
        return self.number is not None

    def ask(self, number: int) -> None:
        """Ask to stop; the second time the process ends, with the exit code of that signal."""
        if self.number is not None:
            raise SystemExit(SIGNAL_BASE + number)
        self.number = number
        with contextlib.suppress(OSError):
            os.write(self._ring, b"!")

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until asked to stop.

        A pipe, as an event's lock must not be taken in a signal handler.
        """
        if not self.asked:
            select.select([self._wake], [], [], seconds)

    @contextlib.contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Handle the signals while inside; only the main thread can."""
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake)
            os.close(self._ring)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.ask(number)
