"""`Senses` and `PowerSwitch` on this machine's programs and on SSH."""

import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from nodeops.clients.domains import LibvirtDomains
from nodeops.clients.power import FenceCommand, filled, run
from nodeops.clients.shell import Command, Shell, login_of
from nodeops.errors import ApiError, ConfigurationError, SshError
from nodeops.errors import SshReason as Reason
from nodeops.inventory import Inventory, Place
from nodeops.model.facts import PowerState
from nodeops.model.senses import Guests, Heard, HookWord, PowerAction, PowerReading, Word

PING_SECONDS = 2
NO_REPLY = 1
"""Exit code of ping; others mean that it could not ask, for want of rights say."""
HOOK_SECONDS = 12.0
SSH_SECONDS = 6.0
HOOK_DEAD = 1
ANSWERED = frozenset(
    {Reason.REFUSED, Reason.HOST_KEY_UNKNOWN, Reason.AUTHENTICATION, Reason.SUDO, Reason.HANGING}
)
"""SSH did not work, yet something answered."""
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
"""A guest in any other state may hold its disks."""


@dataclass(frozen=True, slots=True)
class HostSenses:
    """By what the inventory has of each host; a host that is not in it has its name as address."""

    inventory: Inventory
    shell: Callable[[Place], Shell] = field(
        default=lambda place: Shell(login_of(place), connect_seconds=SSH_SECONDS)
    )

    def power(self, host: str) -> PowerReading | None:
        command = self._fence(host)
        return command.reading() if command is not None else None

    def switch(self, host: str, action: PowerAction) -> str:
        command = self._fence(host)
        if command is None:
            raise ConfigurationError(
                f"{host}: no fence command is configured",
                hint="Write nodeops_fence_command in the inventory; docs/configuration.md shows examples.",
            )
        return command.switch(action)

    def ping(self, host: str) -> Heard:
        place = self._place(host)
        if (unknown := _unknown(place.address)) is not None:
            return unknown
        if shutil.which("ping") is None:
            return _connected(place)
        ended = run(["ping", "-n", "-c", "2", "-W", str(PING_SECONDS), "--", place.address], PING_SECONDS * 3)
        if ended.code == 0:
            return Heard(answered=True, words="answers")
        return Heard(answered=False, words="no answer") if ended.code == NO_REPLY else _connected(place)

    def ssh(self, host: str) -> Heard:
        place = self._place(host)
        if (unknown := _unknown(place.address)) is not None:
            return unknown
        try:
            with self.shell(place) as shell:
                shell.run(Command(("true",), timeout=SSH_SECONDS))
        except SshError as error:
            stranger = error.reason is Reason.HOST_KEY_CHANGED and not error.jump
            return Heard(error.reason in ANSWERED and not error.jump, _short(error), stranger)
        return Heard(answered=True, words=f"answers, and lets {shell.user} in")

    def guests(self, host: str) -> Guests | None:
        place = self.inventory.place(host)
        if place is None:
            return None
        try:
            domains = LibvirtDomains(self.inventory, self.shell).domains(host) or ()
        except ApiError as error:
            return Guests(None, f"not asked: {_short(error)}")
        up = tuple(each.server_id for each in domains if each.power_state not in OFF)
        words = f"{len(up)} of {len(domains)} guests run"
        return Guests(up, words, tuple(each.server_id for each in domains))

    def hook(self, host: str) -> HookWord | None:
        """Exit code 0 alive; 1 and the word `dead` dead, since a script that breaks ends with 1 too."""
        place = self._place(host)
        if place.inquest_command is None:
            return None
        ended = run(filled(place.inquest_command, host=host, address=place.address), HOOK_SECONDS)
        if ended.code == 0:
            return HookWord(Word.ALIVE, ended.words)
        if ended.code is None:
            return HookWord(Word.CANNOT_TELL, f"{ended.program} did not end within {HOOK_SECONDS:.0f} s")
        if ended.code == HOOK_DEAD and "dead" in ended.out.lower().split():
            return HookWord(Word.DEAD, ended.words)
        return HookWord(Word.CANNOT_TELL, f"{ended.program} ended with {ended.code}: {ended.words}")

    def _place(self, host: str) -> Place:
        return self.inventory.place(host) or Place(name=host, nova_host=host, address=host)

    def _fence(self, host: str) -> FenceCommand | None:
        place = self.inventory.place(host)
        if place is None or not (place.fence_command or place.power_status_command):
            return None
        return FenceCommand(host, place.address, place.fence_command or "", place.power_status_command or "")


def _unknown(address: str) -> Heard | None:
    try:
        socket.getaddrinfo(address, None)
    except (OSError, UnicodeError):
        return Heard(answered=False, words=f"{address} is no address and no known name")
    return None


def _connected(place: Place) -> Heard:
    """Where ping cannot be used: a refused connection is an answer too."""
    try:
        socket.create_connection((place.address, place.port or 22), timeout=PING_SECONDS).close()
    except ConnectionRefusedError:
        return Heard(answered=True, words="refuses ssh")
    except OSError:
        return Heard(answered=False, words="no answer on the ssh port")
    return Heard(answered=True, words="answers on the ssh port")


def _short(error: ApiError) -> str:
    """Without the host's name in front, which stands beside it."""
    return error.message.partition(": ")[2] or error.message
