"""Many questions to one host, answered by one program there: only the first waits for its start."""

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nodeops.clients.on_host import (
    MOST_BYTES,
    RUN,
    SECONDS,
    Questions,
    program,
    python,
    told,
    trouble,
    unusable,
)
from nodeops.clients.shell import Answer, Command, late
from nodeops.errors import SshError

LONGEST_MARK = 80
"""Bytes of the line that ends an answer."""


class Running(Protocol):
    """A command that runs on a host."""

    @property
    def host(self) -> str: ...

    def send(self, data: bytes) -> None: ...

    def receive(self, seconds: float) -> bytes:
        """Some of what it prints, empty after its end. Raises `TimeoutError`."""

    def end(self) -> Answer:
        """How it ended, after it did. Raises `SshError`."""

    def close(self) -> None: ...


class Starter(Protocol):
    """What starts a command on a host; `Shell` does."""

    def start(self, command: Command) -> Running: ...


@dataclass
class Conversation(Questions):
    """Questions to one host, one after another; as root where `sudo` is wanted."""

    shell: Starter
    sudo: bool = True
    run: str = RUN
    _running: Running | None = field(default=None, init=False, repr=False)

    def printed(
        self,
        question: str,
        asked: Mapping[str, Any],
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """What it prints, up to so many bytes; raises as `ask` does."""
        command = python("converse", question, seconds=seconds, most_bytes=most_bytes, sudo=self.sudo)
        try:
            answer = self._answer(command, told(question, asked, self.run))
        except SshError:
            # It may still be busy with this question.
            self.close()
            raise
        if not answer.ok:
            raise trouble(answer)
        return answer

    def close(self) -> None:
        """End the program; a further question starts it anew."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _answer(self, command: Command, asked: Mapping[str, Any]) -> Answer:
        if self._running is None:
            self._running = self.shell.start(replace(command, stdin=program()))
        mark = secrets.token_hex()
        text = json.dumps({**asked, "mark": mark}).encode()
        self._running.send(b"%d\n%b" % (len(text), text))
        begun = time.monotonic()
        last = re.compile(rb"%b (\d+)\n\Z" % mark.encode())
        kept, tail, size = bytearray(), b"", 0
        while not (ended := last.search(tail)):
            try:
                piece = self._running.receive(max(0.0, begun + command.timeout - time.monotonic()))
            except TimeoutError:
                raise late(self._running.host, command) from None
            if not piece:
                raise unusable(self._running.end())
            size += len(piece)
            tail = (tail + piece)[-LONGEST_MARK:]
            kept += piece[: max(0, command.most_bytes - len(kept))]
        # Before its first answer stands what login scripts may have printed.
        _, _, out = bytes(kept[: size - len(ended[0])]).partition(mark.encode() + b"\n")
        return Answer(
            self._running.host,
            command,
            int(ended[1]),
            out.decode(errors="replace"),
            "",
            cut=size > len(kept),
            seconds=time.monotonic() - begun,
            raw=out,
        )
