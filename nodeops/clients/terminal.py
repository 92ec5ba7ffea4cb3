"""A command on a host with this terminal as its own; or with what is piped in, where there is no terminal."""

import os
import select
import shlex
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nodeops.clients.shell import CHUNK, SUDO, Shell

TICK = 0.25
DRAIN_SECONDS = 2.0


def attach(shell: Shell, argv: Sequence[str], *, ended: Callable[[], bool]) -> int:
    """Until it ends, or `ended` says so; its exit code, -1 when it has none. Raises `SshError`."""
    shell.open()
    with shell.channel() as channel:
        if sys.stdin.isatty():
            size = shutil.get_terminal_size()
            channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
            signal.signal(signal.SIGWINCH, lambda *_: channel.resize_pty(*shutil.get_terminal_size()))
        channel.exec_command(shlex.join((*SUDO, *argv) if shell.uses_sudo else argv))
        with _raw():
            _carry(channel, ended)
        return int(channel.recv_exit_status()) if channel.exit_status_ready() else -1


@contextmanager
def _raw() -> Iterator[None]:
    """Every key goes to the host, Ctrl-C too; the terminal is put back whatever happens."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def _carry(channel: Any, ended: Callable[[], bool]) -> None:
    source = sys.stdin.fileno()
    watched: list[Any] = [source, channel]
    while not ended():
        ready, _, _ = select.select(watched, [], [], TICK)
        if source in ready:
            typed = os.read(source, CHUNK)
            if typed:
                channel.sendall(typed)
            else:
                channel.shutdown_write()
                watched.remove(source)
        moved = _show(channel)
        if not moved and (channel.closed or (channel.exit_status_ready() and channel.eof_received)):
            return
    deadline = time.monotonic() + DRAIN_SECONDS
    while _show(channel) and time.monotonic() < deadline:
        pass


def _show(channel: Any) -> bool:
    """Whether there was anything."""
    moved = False
    for ready, receive, stream in (
        (channel.recv_ready, channel.recv, sys.stdout),
        (channel.recv_stderr_ready, channel.recv_stderr, sys.stderr),
    ):
        if ready():
            moved = True
            stream.buffer.write(receive(CHUNK))
            stream.flush()
    return moved
