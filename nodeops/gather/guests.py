"""`GuestSight` on Nova and on the host, whose hypervisor is asked for all guests at once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from nodeops.errors import ApiError
from nodeops.model.facts import PowerState
from nodeops.model.recovering import (
    NO_CONSOLE,
    Asked,
    GuestHost,
    Life,
    Past,
    Probe,
    Sign,
    Surroundings,
    switching,
)
from nodeops.model.states import Domain

FRESH_SECONDS = 3.0
LOST_SECONDS = 30.0
"""After which a host that did not answer is asked again."""
STEADY_SECONDS = 20.0
"""A guest whose console goes on for so long without trouble is through the part that panics."""
UP = frozenset({PowerState.RUNNING, PowerState.PAUSED})
_BEGINS = re.compile(r"^.*(?:SeaBIOS|BdsDxe|GRUB loading|ISOLINUX|SYSLINUX|Linux version ).*$", re.MULTILINE)
"""A boot begins on the console; what stands before the last of them is of an earlier one."""
_LOADER = re.compile(
    r"^(?:SeaBIOS|iPXE|Booting|Machine UUID|Press |(?:SYS|ISO|EXT)LINUX|GRUB|Welcome to GRUB|Loading |BdsDxe|"
    r"UEFI|boot:|early console|Probing EDD|Decompressing)"
)
_KERNEL = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\]|^Linux version ")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")
_THROUGH = re.compile(
    r"\b[Ll]ogin: ?$|Reached target .*(?:Multi-User|Graphical)|Cloud-init .* finished",
    re.MULTILINE,
)
_TROUBLE = (
    (re.compile(r"Kernel panic - not syncing.*"), "its kernel panicked"),
    (re.compile(r"No bootable device.*|Boot failed: not a bootable disk.*"), "its disk does not boot"),
    (re.compile(r"grub rescue>|error: unknown filesystem\."), "its boot loader finds no system"),
    (re.compile(r".*UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.*"), "its file system needs fsck by hand"),
    (
        re.compile(r".*(?:Give root password for maintenance|You are in emergency mode|\(initramfs\)).*"),
        "it stopped in its emergency shell",
    ),
)


@dataclass
class Guests:
    """Implements `GuestSight`; `host` is None where nobody gets in over SSH."""

    past: Past
    host: GuestHost | None
    surroundings: Surroundings
    now: Callable[[], float]
    _domains: tuple[Domain, ...] | None = field(default=None, init=False)
    _asked_at: float | None = field(default=None, init=False)
    _silent_at: float | None = field(default=None, init=False)
    _stirs_since: dict[str, float] = field(default_factory=dict, init=False)

    def runs(self, server_id: str, *, fresh: bool = False) -> bool | None:
        domains = self.domains(fresh=fresh)
        if domains is None:
            return self._by_nova(server_id)
        return any(each.server_id == server_id and each.power_state in UP for each in domains)

    def _by_nova(self, server_id: str) -> bool | None:
        """Its silence costs a minute (`rpc_response_timeout`): the others are not asked then."""
        if self._silent_at is not None and self.now() - self._silent_at < LOST_SECONDS:
            return None
        found = self.past.runs(server_id)
        self._silent_at = self.now() if found is None else None
        return found

    def domains(self, *, fresh: bool = False) -> tuple[Domain, ...] | None:
        """As libvirt has them; None when it cannot be asked."""
        if self.host is None:
            return None
        now, lost = self.now(), self._domains is None
        age = float("inf") if self._asked_at is None else now - self._asked_at
        if age > (LOST_SECONDS if lost else FRESH_SECONDS) or (fresh and not lost):
            self._asked_at = now
            try:
                self._domains = self.host.domains()
            except ApiError:
                self._domains = None
        return self._domains

    def newest(self, server_id: str) -> Asked | None:
        return next(iter(switching(self.past.asked(server_id))), None)

    def life(self, server_id: str, probe: Probe) -> Life:
        if probe is Probe.PING:
            return self._ping(server_id)
        return self._agent(server_id) if probe is Probe.AGENT else self._console(server_id)

    def _ping(self, server_id: str) -> Life:
        addresses = self.past.addresses(server_id)
        for address in addresses:
            if self.surroundings.ping(address).answered:
                return Life(Sign.LIVES, f"{address} answers")
        words = f"no answer from {', '.join(addresses)}" if addresses else "has no address"
        return Life(Sign.SILENT, words)

    def _agent(self, server_id: str) -> Life:
        if self.host is None:
            return Life(
                Sign.SILENT, "its guest agent is asked over SSH, and its host is not in the inventory"
            )
        try:
            heard = self.host.agent(server_id)
        except ApiError as error:
            return Life(Sign.SILENT, f"its guest agent could not be asked: {error.message}")
        return Life(Sign.LIVES if heard.answered else Sign.SILENT, heard.words)

    def _console(self, server_id: str) -> Life:
        text = self.past.console(server_id)
        if not (text or "").strip():
            return Life(Sign.SILENT, NO_CONSOLE)
        life = read_console(text or "")
        if life.sign is not Sign.STIRS:
            return life
        since = self._stirs_since.setdefault(server_id, self.now())
        if self.now() - since < STEADY_SECONDS:
            return life
        return Life(Sign.LIVES, f"its console shows {STEADY_SECONDS:.0f} s of life and no trouble")


def read_console(text: str) -> Life:
    """What the end of a console says of the last boot on it."""
    begins = [found.start() for found in _BEGINS.finditer(text)]
    boot = text[begins[-1] :] if begins else text
    for pattern, words in _TROUBLE:
        if found := pattern.search(boot):
            return Life(Sign.DEAD, f"{words}: {found[0].strip()}")
    if _THROUGH.search(boot):
        return Life(Sign.LIVES, "its console shows that it is up")
    lines = [line.strip() for line in _ESCAPES.sub("", boot).splitlines()]
    beyond = [line for line in lines if line and not _LOADER.match(line) and not _KERNEL.match(line)]
    if not beyond:
        # A kernel that panics may take its time to come there.
        return Life(Sign.SILENT, "its boot loader or kernel shows on its console, and nothing of its system")
    return Life(Sign.STIRS, "its system boots, by its console")
