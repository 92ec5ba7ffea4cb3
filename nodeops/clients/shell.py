"""Commands on hosts, over SSH by fabric: who to be, through what, with which keys, and within which time.

Connections come from the inventory and from the user's ssh_config, in that order. A host's key must be known,
or is taken the first time where that was chosen. Commands are values; their arguments reach the remote shell
quoted, secrets go by standard input. What they print is read to the end and kept up to a limit.
"""

import logging
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import fabric
import paramiko

from nodeops.clients.ssh_trouble import UnknownHostKeyError, Where, explain
from nodeops.errors import ConfigurationError, SshError, SshReason
from nodeops.inventory import Place
from nodeops.log import redact

LOG = logging.getLogger("nodeops.ssh")
CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
MOST_BYTES = 1024 * 1024
"""Of each stream of a command's output."""
MOST_WORDS = 200
AT_ONCE = 8
CHUNK = 32 * 1024
GRACE_SECONDS = 1.0
"""For output that comes after the exit code."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
SUDO = ("env", "LC_ALL=C", "sudo", "-n", "--")
"""Its complaints are understood in English only."""
_SUDO_COMPLAINS = re.compile(
    r"^sudo: (.*(?:password is required|terminal is required|no tty present|not in the sudoers|"
    r"not allowed to|may not run).*)$|^(?:env: .sudo.: No such file or directory|"
    r".* is not in the sudoers file.*|Sorry, user .* is not allowed to .*)$",
    re.MULTILINE,
)
Value = TypeVar("Value")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Login:
    """How a host is reached; what is None is left to ssh_config, and then to ssh's own defaults."""

    host: str
    """Nova's name, for messages."""
    address: str
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    jump: str | None = None
    """[USER@]HOST[:PORT], several with commas."""
    known_hosts: Path | None = None
    """Beside ssh's own."""
    sudo: bool | None = None
    """None: unless the user is root."""
    ssh_config: Path | None = None
    """Instead of the user's and the machine's."""
    accept_new: bool = False
    """Take and write down the key of a host that was never seen; one that changed is refused all the same."""


def login_of(place: Place, *, accept_new: bool = False) -> Login:
    """As the inventory has it."""
    return Login(
        host=place.nova_host,
        address=place.address,
        port=place.port,
        user=place.user,
        key=Path(place.ssh_key).expanduser() if place.ssh_key else None,
        jump=place.ssh_jump,
        known_hosts=Path(place.ssh_known_hosts).expanduser() if place.ssh_known_hosts else None,
        sudo=place.sudo,
        accept_new=accept_new,
    )


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; nothing in it is interpreted by a shell."""

    argv: tuple[str, ...]
    stdin: bytes = field(default=b"", repr=False)
    """Where a secret belongs."""
    sudo: bool = False
    timeout: float = COMMAND_SECONDS
    most_bytes: int = MOST_BYTES
    name: str = ""
    """What to call it, where its arguments say less."""

    @property
    def shown(self) -> str:
        """For messages and logs."""
        return self.name or redact(shlex.join(self.argv))


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    host: str
    command: Command
    status: int
    """Its exit code; negative when a signal ended it."""
    stdout: str
    stderr: str
    cut: bool = False
    """There was more output than was kept."""
    seconds: float = 0.0
    raw: bytes = field(default=b"", repr=False)
    """`stdout` as it came."""

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def words(self) -> str:
        """The last line it said, without secrets."""
        said = [text.strip() for text in (self.stderr, self.stdout) if text.strip()]
        return redact(said[0].splitlines()[-1])[:MOST_WORDS] if said else f"ended with {self.status}"


class Shell:
    """One host's connection, opened by the first command and closed at the end of the context."""

    def __init__(
        self, login: Login, *, connect_seconds: float = CONNECT_SECONDS, home: Path | None = None
    ) -> None:
        self.login = login
        self.connect_seconds = connect_seconds
        self._home = home or Path.home()
        self._connection: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def user(self) -> str:
        return str(self._made().user)

    def open(self) -> None:
        """Connect and log in. Raises `SshError` or `ConfigurationError`."""
        hops = [self._made()]
        while isinstance(hops[-1].gateway, fabric.Connection):
            hops.append(hops[-1].gateway)
        for connection in reversed(hops):
            if not connection.is_connected:
                self._open_one(connection, jump=connection is not hops[0])

    def close(self) -> None:
        connection = self._connection
        while isinstance(connection, fabric.Connection):
            connection.client.close()
            connection = connection.gateway
        self._connection = None

    def run(self, command: Command) -> Answer:
        """Run it and wait for its end; whatever exit code it has is an answer.

        Raises `SshError`: no way to the host, sudo wants a password, the time is over, the link broke.
        """
        self.open()
        begun = time.monotonic()
        LOG.debug("%s: %s%s", self.login.host, "sudo " if command.sudo else "", command.shown)
        try:
            status, out, err, cut = self._exchange(command, begun + command.timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self.lost(command, str(error) or type(error).__name__) from None
        seconds = time.monotonic() - begun
        LOG.debug("%s: ended with %d after %.1f s", self.login.host, status, seconds)
        out_text, err_text = (text.decode(errors="replace") for text in (out, err))
        return self.checked(Answer(self.login.host, command, status, out_text, err_text, cut, seconds, out))

    def checked(self, answer: Answer) -> Answer:
        """Raises `SshError` where it was sudo that said no."""
        if answer.command.sudo and answer.status and (found := _SUDO_COMPLAINS.search(answer.stderr)):
            raise self._no_sudo(found[1] or found[0])
        return answer

    def start(self, command: Command) -> "Started":
        """Run it without waiting for its end. Its `stdin` is sent and stays open.

        Raises `SshError` where there is no way to the host.
        """
        self.open()
        LOG.debug("%s: %s%s", self.login.host, "sudo " if command.sudo else "", command.shown)
        try:
            channel = self._opened()
            channel.exec_command(self._line(command))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self.lost(command, str(error) or type(error).__name__) from None
        started = Started(self, channel, command)
        started.send(command.stdin)
        return started

    def _exchange(self, command: Command, deadline: float) -> tuple[int, bytes, bytes, bool]:
        with self.channel() as channel:
            channel.exec_command(self._line(command))
            streams = _Streams(channel, command)
            pause = FIRST_PAUSE
            while not streams.ended:
                if streams.moved():
                    pause = FIRST_PAUSE
                    continue
                if time.monotonic() > deadline:
                    raise late(self.login.host, command)
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            status = channel.recv_exit_status()
            if status < 0 and not self._connection.is_connected:
                raise self.lost(command, "it gave no exit code")
            return status, bytes(streams.out), bytes(streams.err), streams.cut

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A paramiko channel of the open connection, closed at the end."""
        channel = self._opened()
        try:
            yield channel
        finally:
            channel.close()

    def _opened(self) -> Any:
        return self._connection.client.get_transport().open_session(timeout=self.connect_seconds)

    def _line(self, command: Command) -> str:
        uses_sudo = command.sudo and self.uses_sudo
        return shlex.join((*SUDO, *command.argv) if uses_sudo else command.argv)

    @property
    def uses_sudo(self) -> bool:
        """Whether commands that need root go through sudo."""
        return self.user != "root" if self.login.sudo is None else self.login.sudo

    def _open_one(self, connection: Any, *, jump: bool) -> None:
        try:
            connection.open()
        except (UnknownHostKeyError, paramiko.SSHException, EOFError, OSError, ValueError) as error:
            where = Where(
                self.login.host, connection.host, connection.port, connection.user, self.connect_seconds, jump
            )
            raise explain(error, where) from None

    def _made(self) -> Any:
        if self._connection is None:
            logging.getLogger("paramiko").addHandler(logging.NullHandler())
            try:
                self._connection = self._make()
            except (paramiko.ssh_exception.ConfigParseError, OSError, ValueError) as error:
                raise ConfigurationError(
                    f"{self.login.host}: ssh_config cannot be used: {error}", hint="ssh -G HOST checks it."
                ) from None
        return self._connection

    def _make(self) -> Any:
        login = self.login
        config = fabric.Config(runtime_ssh_path=str(login.ssh_config) if login.ssh_config else None)
        config.load_ssh_config()
        keys = {"key_filename": [str(login.key)]} if login.key else {}
        gateway = None
        for hop in (login.jump or "").split(",") if login.jump else ():
            gateway = fabric.Connection(hop, gateway=gateway, config=config, connect_kwargs=dict(keys))
        connection = fabric.Connection(
            login.address,
            user=login.user,
            port=login.port,
            gateway=gateway,
            config=config,
            connect_kwargs=dict(keys),
        )
        hop = connection
        while isinstance(hop, fabric.Connection):
            self._harden(hop)
            hop = hop.gateway
        return connection

    def _harden(self, connection: Any) -> None:
        """Time limits, and only keys that are known: fabric itself takes any."""
        connection.connect_timeout = self.connect_seconds
        connection.connect_kwargs = {
            **connection.connect_kwargs,
            "banner_timeout": self.connect_seconds,
            "auth_timeout": self.connect_seconds,
            "channel_timeout": self.connect_seconds,
        }
        files = [self._home / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")]
        for option in ("userknownhostsfile", "globalknownhostsfile"):
            written = connection.ssh_config.get(option, "")
            files += [Path(name).expanduser() for name in written.split()]
        if self.login.known_hosts:
            files.append(self.login.known_hosts)
        for file in dict.fromkeys(files):
            if file.is_file():
                connection.client.load_system_host_keys(str(file))
        kept_in = self.login.known_hosts or self._home / ".ssh" / "known_hosts"
        connection.client.set_missing_host_key_policy(_Missing(kept_in if self.login.accept_new else None))

    def _no_sudo(self, words: str) -> SshError:
        user = self.user
        return SshError(
            f"{self.login.host}: sudo does not let {user}: {words}",
            hint=f"Let {user} use sudo there without a password (NOPASSWD in sudoers), or log in as root: "
            "nodeops_ssh_user.",
            reason=SshReason.SUDO,
        )

    def lost(self, command: Command, words: str) -> SshError:
        """For a command whose connection broke."""
        return SshError(
            f"{self.login.host}: the connection broke during {command.shown}: {words.lower().rstrip('.')}",
            hint="It may still run there: look before it is run again.",
            reason=SshReason.LOST,
            ambiguous=True,
        )


class _Missing:
    """Paramiko's `MissingHostKeyPolicy`: refuse a key nobody has seen, or write it down."""

    def __init__(self, kept_in: Path | None) -> None:
        self.kept_in = kept_in

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002 - paramiko's
        if self.kept_in is None:
            raise UnknownHostKeyError(hostname, key.get_name(), key.fingerprint)
        self.kept_in.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.kept_in.open("a", encoding="utf-8") as file:
            file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")


def late(host: str, command: Command) -> SshError:
    """For a command that did not end in time."""
    return SshError(
        f"{host}: {command.shown} did not end within {command.timeout:.0f} s",
        hint="It may still run there: look before it is run again.",
        reason=SshReason.TIMED_OUT,
        ambiguous=True,
    )


@dataclass(frozen=True, slots=True)
class Started:
    """A command that runs on a host, as long as its connection is open."""

    shell: Shell
    channel: Any
    command: Command

    @property
    def host(self) -> str:
        return self.shell.login.host

    def send(self, data: bytes) -> None:
        """Nothing when it has ended: what it said of that is still there to be received."""
        self.channel.settimeout(self.command.timeout)
        with suppress(OSError):
            self.channel.sendall(data)

    def receive(self, seconds: float) -> bytes:
        """Some of what it prints, empty after its end. Raises `TimeoutError`."""
        self.channel.settimeout(seconds)
        return bytes(self.channel.recv(CHUNK))

    def end(self) -> Answer:
        """How it ended, with what it complained of. Raises `SshError` when the connection did."""
        self.channel.status_event.wait(GRACE_SECONDS)
        complaints = bytearray()
        while self.channel.recv_stderr_ready():
            complaints += self.channel.recv_stderr(CHUNK)
        status = int(self.channel.exit_status)
        if status < 0:
            raise self.shell.lost(self.command, "it gave no exit code")
        words = complaints.decode(errors="replace")
        return self.shell.checked(Answer(self.shell.login.host, self.command, status, "", words))

    def close(self) -> None:
        self.channel.close()


@dataclass
class _Streams:
    """What goes to a command and what comes from it; beyond the limit it is read and dropped."""

    channel: Any
    command: Command
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    cut: bool = False
    sent: int = 0
    shut: bool = False
    ended_at: float = 0.0

    @property
    def ended(self) -> bool:
        """Its exit code came, and its output ended or comes only from what it left in the background."""
        if self.channel.recv_ready() or self.channel.recv_stderr_ready():
            return False
        if self.channel.closed or not self.channel.exit_status_ready():
            return bool(self.channel.closed)
        self.ended_at = self.ended_at or time.monotonic()
        return self.channel.eof_received or time.monotonic() > self.ended_at + GRACE_SECONDS

    def moved(self) -> bool:
        """Whether any byte went anywhere."""
        fed = self._feed()
        read = self._take(self.channel.recv_ready, self.channel.recv, self.out)
        complained = self._take(self.channel.recv_stderr_ready, self.channel.recv_stderr, self.err)
        return fed or read or complained

    def _take(self, ready: Callable[[], bool], receive: Callable[[int], bytes], kept: bytearray) -> bool:
        if not ready():
            return False
        chunk = receive(CHUNK)
        room = self.command.most_bytes - len(kept)
        kept += chunk[: max(0, room)]
        self.cut = self.cut or len(chunk) > room
        return bool(chunk)

    def _feed(self) -> bool:
        if self.shut:
            return False
        rest = self.command.stdin[self.sent : self.sent + CHUNK]
        if rest and not self.channel.closed:
            if not self.channel.send_ready():
                return False
            self.sent += self.channel.send(rest)
            return True
        self.shut = True
        self.channel.shutdown_write()
        return True


def on_each(
    keys: Iterable[Key], question: Callable[[Key], Value], *, at_once: int = AT_ONCE
) -> Mapping[Key, Value | SshError]:
    """Ask many hosts, so many at once; each answers, or has its error."""
    wanted = list(dict.fromkeys(keys))

    def ask(key: Key) -> Value | SshError:
        try:
            return question(key)
        except SshError as error:
            return error

    with ThreadPoolExecutor(max(1, min(at_once, len(wanted) or 1))) as pool:
        return dict(zip(wanted, pool.map(ask, wanted), strict=True))
