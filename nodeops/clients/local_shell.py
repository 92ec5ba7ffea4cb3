"""The machine itself as a host of the inventory (`ansible_connection=local`), without SSH and sudo."""

import os
import selectors
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from nodeops.clients.shell import CHUNK, Answer, Command
from nodeops.errors import SshError, SshReason


@dataclass(frozen=True, slots=True)
class LocalShell:
    """Starts commands as `Shell` does."""

    host: str

    def start(self, command: Command) -> "StartedHere":
        """Raises `SshError`, as a host that is far does."""
        argv = (sys.executable, *command.argv[1:]) if command.argv[0] == "python3" else command.argv
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        except OSError as error:
            words = f"{self.host}: {command.shown}: {os.strerror(error.errno or 0).lower()}"
            raise SshError(words, hint="Look at the PATH here.", reason=SshReason.LOST) from None
        started = StartedHere(self.host, command, process)
        started.send(command.stdin)
        return started

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass(frozen=True, slots=True)
class StartedHere:
    """A command of this machine."""

    host: str
    command: Command
    process: subprocess.Popen[bytes]

    def send(self, data: bytes) -> None:
        """Nothing when it has ended: what it said of that is still there to be received."""
        rest = memoryview(data)
        with suppress(OSError):
            while rest and self.process.stdin is not None:
                rest = rest[self.process.stdin.write(rest) :]

    def receive(self, seconds: float) -> bytes:
        """Some of what it prints, empty after its end. Raises `TimeoutError`."""
        if self.process.stdout is None:
            return b""
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(seconds):
                raise TimeoutError
        return os.read(self.process.stdout.fileno(), CHUNK)

    def end(self) -> Answer:
        """How it ended, after it did."""
        words = self.process.stderr.read() if self.process.stderr else b""
        return Answer(self.host, self.command, self.process.wait(), "", words.decode(errors="replace"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            if file is not None:
                file.close()
