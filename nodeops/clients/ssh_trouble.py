"""Why SSH did not work, with the way out: what fabric and paramiko raise, in words."""

import socket
from dataclasses import dataclass

import paramiko

from nodeops.errors import SshError, SshReason

ECHO = "ssh {target} shows more."


class UnknownHostKeyError(Exception):
    """Nobody has seen this host's key before."""

    def __init__(self, name: str, kind: str, fingerprint: str) -> None:
        super().__init__(f"{name} has an unknown {kind} key {fingerprint}")
        self.kind, self.fingerprint = kind, fingerprint


@dataclass(frozen=True, slots=True)
class Where:
    """What was to be reached, for messages."""

    host: str
    """Nova's name."""
    address: str
    port: int
    user: str
    seconds: float
    """How long was waited."""
    jump: bool = False

    @property
    def shown(self) -> str:
        return f"jump host {self.address}" if self.jump else self.host

    @property
    def target(self) -> str:
        port = "" if self.port == paramiko.config.SSH_PORT else f"-p {self.port} "
        return f"{port}{self.user}@{self.address}"


def explain(error: BaseException, where: Where) -> SshError:
    """The error of ours that stands for what happened while connecting."""
    reason, words, hint = _explanation(error, where)
    return SshError(f"{where.shown}: {words}", hint=hint, reason=reason, jump=where.jump)


def _explanation(error: BaseException, where: Where) -> tuple[SshReason, str, str]:
    by_hand = ECHO.format(target=where.target)
    if isinstance(error, UnknownHostKeyError):
        words = f"its {error.kind} host key is not known ({error.fingerprint})"
        scan = f"ssh-keyscan -p {where.port} {where.address} >> ~/.ssh/known_hosts"
        return SshReason.HOST_KEY_UNKNOWN, words, f"Compare the fingerprint at its console, then: {scan}"
    if isinstance(error, paramiko.BadHostKeyException):
        key = f"{error.key.get_name()} {error.key.fingerprint}"
        words = f"its host key is not the one that is known, now {key}"
        hint = "Another machine has its address, or it was installed anew. If it was: ssh-keygen -R "
        return SshReason.HOST_KEY_CHANGED, words, hint + _entry(where)
    if isinstance(error, paramiko.AuthenticationException):
        hint = f"Put the public key there, or name user and key: nodeops_ssh_user, nodeops_ssh_key. {by_hand}"
        return SshReason.AUTHENTICATION, f"does not let {where.user} in", hint
    return _of_network(error, where, by_hand)


def _of_network(error: BaseException, where: Where, by_hand: str) -> tuple[SshReason, str, str]:
    at = f"{where.address} port {where.port}"
    if isinstance(error, socket.gaierror):
        hint = "Write its address as ansible_host in the inventory."
        return SshReason.NO_ADDRESS, f"{where.address} is no address and no known name", hint
    if _is_refusal(error):
        return SshReason.REFUSED, f"{at} refuses connections", "Start sshd there, or set ansible_port."
    if _is_silence(error):
        words = f"{at} takes connections, and no SSH server answers within {where.seconds:.0f} s"
        return SshReason.HANGING, words, f"The host is stuck or overloaded, or sshd is. {by_hand}"
    if isinstance(error, paramiko.ChannelException | OSError):
        when = ", says the jump host" if isinstance(error, paramiko.ChannelException) else ""
        hint = "Look at the host, its address and the network."
        return SshReason.UNREACHABLE, f"{at} does not answer{when}", hint
    return SshReason.UNUSABLE, str(error).lower().rstrip("."), by_hand


def _is_refusal(error: BaseException) -> bool:
    each = (
        error.errors.values()
        if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError)
        else [error]
    )
    return any(isinstance(one, ConnectionRefusedError) for one in each)


def _is_silence(error: BaseException) -> bool:
    """A connection was made, and then nothing came, or it was closed before a word."""
    words = ("banner", "no existing session", "negotiation failed", "timeout", "timed out")
    if isinstance(error, EOFError | ConnectionResetError):
        return True
    return isinstance(error, paramiko.SSHException) and any(each in str(error).lower() for each in words)


def _entry(where: Where) -> str:
    plain = where.port == paramiko.config.SSH_PORT
    return where.address if plain else f'"[{where.address}]:{where.port}"'
