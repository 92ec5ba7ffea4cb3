"""Real SSH servers on loopback, as plain processes with keys and configuration of their own.

`python -m tests.services.sshd` installs what is missing for it, or says how.
"""

import getpass
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nodeops.clients.shell import Login, Shell
from tests.services.docker import install, program

PROGRAMS = {"sshd": "openssh-server", "ssh-keygen": "openssh-client", "sudo": "sudo", "setpriv": "util-linux"}
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Debian's sshd wants it when it is run by root."""
START_SECONDS = 10.0
SUDO = """#!/bin/sh
# Real sudo, asked by somebody who may do nothing without a password.
exec {setpriv} --reuid=65534 --regid=65534 --clear-groups {sudo} "$@"
"""


@dataclass(frozen=True, slots=True)
class Server:
    """An sshd, and what it takes to get in."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def login(self) -> Login:
        """With everything right, and nothing of whoever runs the tests."""
        return Login(
            host="c01",
            address="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            key=self.key,
            known_hosts=self.known_hosts,
            ssh_config=self.folder / "ssh_config",
        )

    def shell(self, login: Login | None = None, *, seconds: float = 5.0, **other: object) -> Shell:
        """A shell with its own empty home; `other` replaces fields of the login."""
        chosen = replace(login or self.login, **other)  # type: ignore[arg-type]  # fields of Login
        return Shell(chosen, connect_seconds=seconds, home=self.folder / "home")


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """An SSH server, until the context ends."""
    install(PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "user", "stranger"):
        make_key(folder / name)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "ssh_config").touch()
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    _make_sudo(folder / "bin")
    port = free_port()
    (folder / "sshd_config").write_text(_config(folder, port))
    public = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program("sshd")), "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log
        )
    try:
        _wait(process, port, folder / "log")
        yield Server(folder, port, process)
    finally:
        process.terminate()
        process.wait()


def make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(folder: Path, port: int) -> str:
    return f"""
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AllowTcpForwarding yes
SetEnv PATH={folder}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
"""


def _make_sudo(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        words = {name: shlex.quote(str(program(name))) for name in ("setpriv", "sudo")}
        (folder / "sudo").write_text(SUDO.format(**words))
        (folder / "sudo").chmod(0o755)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    try:
        install(PROGRAMS)
    except RuntimeError as trouble:
        sys.exit(str(trouble))
