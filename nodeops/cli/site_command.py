"""A command of the operator's own, run beside the work: started, looked at, ended."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
STDERR = 2


class Running(Protocol):
    """A command that was started."""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    def end(self) -> None:
        """SIGTERM to all of it, SIGKILL after a grace."""
        ...


class Commands(Protocol):
    def start(self, words: str, environment: Mapping[str, str]) -> Running: ...


@dataclass(slots=True)
class SiteCommand:
    """One process group."""

    process: "subprocess.Popen[bytes]"
    grace: float = GRACE_SECONDS

    def poll(self) -> int | None:
        return self.process.poll()

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.grace)


@dataclass(frozen=True, slots=True)
class SiteCommands:
    """`sh -c`, as it was typed; what concerns the server is in the environment, where nothing is expanded.

    Its own session: a Ctrl-C on the terminal or the end of nodeops does not end it. What it prints goes to
    stderr.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    grace: float = GRACE_SECONDS

    def start(self, words: str, environment: Mapping[str, str]) -> SiteCommand:
        process = subprocess.Popen(
            ["/bin/sh", "-c", words],
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            env={**self.environment, **environment},
            start_new_session=True,
        )
        return SiteCommand(process, self.grace)


@dataclass(slots=True)
class Timed:
    """A command with its time."""

    running: Running
    began: float
    seconds: float
    """It is ended after so long."""
    code: int | None = None
    ended: float = 0.0
    late: bool = False

    def poll(self, now: float) -> bool:
        """Whether it has come to its end."""
        if self.code is None:
            self.code = self.running.poll()
            if self.code is None and now - self.began >= self.seconds:
                self.running.end()
                self.late, self.code = True, self.running.poll()
                self.code = -signal.SIGKILL if self.code is None else self.code
            if self.code is not None:
                self.ended = now
        return self.code is not None

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.late

    @property
    def words(self) -> str:
        """How it ended."""
        if self.late:
            return f"did not end within {self.seconds:.0f} s"
        if self.code is not None and self.code < 0:
            return f"was ended by signal {-self.code}"
        return f"exit code {self.code}"


def start(
    commands: Commands, words: str, environment: Mapping[str, str], seconds: float, now: float
) -> Timed:
    """Raises `OSError` when the system cannot start it."""
    return Timed(commands.start(words, environment), now, seconds)


def wait_for(running: Running, seconds: float) -> int | None:
    """Its exit code, None when it does not end in time; where there is no loop left to look from."""
    deadline = time.monotonic() + seconds
    while (code := running.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return code
