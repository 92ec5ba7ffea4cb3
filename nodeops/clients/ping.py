"""Pings several addresses without pause, in one thread, and keeps of each the longest time without an answer.

The kernel's ping sockets need no privilege (`net.ipv4.ping_group_range`); where they are not allowed a raw
socket is tried. An answer counts when it comes from the very address and carries this pinger's own mark.
"""

import os
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self, cast

INTERVAL = 0.05
"""Seconds between two pings of one address, and so the error of what is measured."""
ECHO_V4, ECHO_V6 = 8, 128
ANSWER_V4, ANSWER_V6 = 0, 129
HEADER_V4 = 20
"""Bytes before the message on a raw socket of IPv4; options are not sent by hosts."""
FIRST_NIBBLE = 0x45
MARK_BYTES = 8


@dataclass(slots=True)
class Heard:
    """What was heard of one address, by the monotonic clock."""

    first: float | None = None
    last: float | None = None
    longest: float = 0.0
    """Between two answers."""
    trouble: str = ""
    """Why nothing could be sent."""

    def answered(self, at: float) -> None:
        if self.last is None:
            self.first = at
        else:
            self.longest = max(self.longest, at - self.last)
        self.last = at

    @property
    def blackout(self) -> float:
        """Seconds beyond the usual pause between two answers."""
        return max(0.0, self.longest - INTERVAL)


class Pinger:
    """A context manager; addresses come and go while it runs."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}
        self._active: set[str] = set()
        self._sockets: dict[int, socket.socket] = {}
        self._troubles: dict[int, str] = {}
        self._mark = os.urandom(MARK_BYTES)
        self._sequence = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pinger", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        for held in self._sockets.values():
            held.close()

    def begin(self, address: str) -> None:
        """Ping it from now on; what was heard of it before stays."""
        with self._lock:
            self._heard.setdefault(address, Heard())
            self._active.add(address)

    def end(self, address: str) -> None:
        with self._lock:
            self._active.discard(address)

    def heard(self, address: str) -> Heard:
        with self._lock:
            return self._heard.get(address, Heard())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            if time.monotonic() >= due:
                due = max(due + INTERVAL, time.monotonic())
                self._send()
            wait = max(0.0, due - time.monotonic())
            sockets = list(self._sockets.values())
            if not sockets:
                self._ended.wait(wait)
                continue
            with selectors.DefaultSelector() as selector:
                for held in sockets:
                    selector.register(held, selectors.EVENT_READ)
                for key, _ in selector.select(wait):
                    self._receive(cast("socket.socket", key.fileobj))

    def _send(self) -> None:
        with self._lock:
            wanted = sorted(self._active)
        self._sequence = (self._sequence + 1) & 0xFFFF
        for address in wanted:
            family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004
            try:
                self._socket(family).sendto(self._echo(family), (address, 0))
            except OSError as error:
                self._heard[address].trouble = (error.strerror or str(error)).lower()

    def _socket(self, family: int) -> socket.socket:
        """Raises OSError when neither kind is allowed."""
        if family in self._sockets:
            return self._sockets[family]
        protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
        try:
            made = socket.socket(family, socket.SOCK_DGRAM, protocol)
        except PermissionError:
            made = socket.socket(family, socket.SOCK_RAW, protocol)
        made.settimeout(0)
        self._sockets[family] = made
        return made

    def _echo(self, family: int) -> bytes:
        kind = ECHO_V6 if family == socket.AF_INET6 else ECHO_V4
        body = struct.pack("!HH", os.getpid() & 0xFFFF, self._sequence) + self._mark
        # The kernel fills in an IPv6 message's checksum by itself.
        total = _checksum(struct.pack("!BBH", kind, 0, 0) + body)
        return struct.pack("!BBH", kind, 0, total) + body

    def _receive(self, held: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, sender = held.recvfrom(2048)
                self._take(data, str(sender[0]).partition("%")[0], time.monotonic())

    def _take(self, data: bytes, sender: str, at: float) -> None:
        if data[:1] == bytes([FIRST_NIBBLE]):
            data = data[HEADER_V4:]
        if data[:1] not in {bytes([ANSWER_V4]), bytes([ANSWER_V6])} or self._mark not in data:
            return
        with self._lock:
            if sender in self._active:
                self._heard[sender].answered(at)


def _checksum(message: bytes) -> int:
    """The Internet's, of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
