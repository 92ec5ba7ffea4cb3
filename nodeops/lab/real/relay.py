"""Lets a real host reach the lab's services: a connection to its loopback arrives on the machine's.

So the control plane listens on loopback only, and the catalogue's addresses are good everywhere.
"""

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from nodeops.lab.layout import LOOPBACK

CLONE_NEWNET = 0x40000000
CHUNK = 65536


class Relay:
    """Listens in a network namespace and passes everything on to the same port of this one."""

    def __init__(self, netns: Path, ports: Sequence[int]) -> None:
        self._sockets = listen(netns, ports)
        self._servers: list[asyncio.Server] = []
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        for held in self._sockets:
            pass_on = partial(self._pass_on, int(held.getsockname()[1]))
            self._servers.append(await asyncio.start_server(pass_on, sock=held))

    def close(self) -> None:
        """Stop listening and cut every connection, as the end of a host does."""
        for server in self._servers:
            server.close()
        for pump in self._pumps:
            pump.cancel()

    async def _pass_on(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, inner_writer), (inner_reader, writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with suppress(OSError):
        sink.close()


def listen(netns: Path, ports: Sequence[int]) -> list[socket.socket]:
    """Return sockets that listen on these ports of the namespace's loopback.

    Raises:
        OSError: there is no such namespace, or a port is taken.

    """
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter_and_listen() -> None:
        try:
            _enter(netns)
            made.extend(socket.create_server((LOOPBACK, port), backlog=128) for port in ports)
        except OSError as error:
            failed.append(error)

    # Only the thread that calls setns changes its namespace, and this one ends at once.
    thread = threading.Thread(target=enter_and_listen)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made


def _enter(netns: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(netns, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
