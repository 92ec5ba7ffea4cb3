"""`Hypervisors` by libvirt's own `virsh` over SSH, of hosts that the inventory has."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nodeops.clients.shell import Command, Shell, login_of
from nodeops.errors import ApiError
from nodeops.inventory import Inventory, Place
from nodeops.model.facts import PowerState
from nodeops.model.states import Domain

CONNECT_SECONDS, ANSWER_SECONDS = 6.0, 15.0
VIRSH = ("virsh", "--connect", "qemu:///system", "--readonly")
NAMES = (*VIRSH, "list", "--all", "--uuid", "--name")
STATES = (*VIRSH, "domstats", "--state")

POWER: Mapping[int, PowerState] = {
    0: PowerState.NOSTATE,
    1: PowerState.RUNNING,
    2: PowerState.RUNNING,
    3: PowerState.PAUSED,
    4: PowerState.SHUTDOWN,
    5: PowerState.SHUTDOWN,
    6: PowerState.CRASHED,
    7: PowerState.SUSPENDED,
}
"""virDomainState to Nova's (`nova/virt/libvirt/guest.py`, LIBVIRT_POWER_STATE)."""
REASONS: Mapping[tuple[int, int], str] = {
    (3, 1): "by somebody",
    (3, 2): "migration",
    (3, 3): "save",
    (3, 4): "dump",
    (3, 5): "I/O error",
    (3, 6): "watchdog",
    (3, 8): "shutting down",
    (3, 9): "snapshot",
    (3, 10): "crashed",
    (3, 12): "post-copy failed",
    (5, 2): "destroyed",
    (5, 3): "crashed",
    (5, 6): "failed to start",
}
"""virDomainPausedReason and virDomainShutoffReason, where they explain something."""


@dataclass(frozen=True, slots=True)
class LibvirtDomains:
    """Implements `Hypervisors`."""

    inventory: Inventory
    shell: Callable[[Place], Shell] = field(
        default=lambda place: Shell(login_of(place), connect_seconds=CONNECT_SECONDS)
    )

    def domains(self, host: str) -> tuple[Domain, ...] | None:
        """Two commands in one connection. Raises `SshError`, and `ApiError` when virsh does not answer."""
        place = self.inventory.place(host)
        if place is None:
            return None
        with self.shell(place) as shell:
            names, states = (shell.run(Command(argv, timeout=ANSWER_SECONDS)) for argv in (NAMES, STATES))
        for answer in (names, states):
            if not answer.ok:
                raise ApiError(f"{host}: virsh: {answer.words}")
        return parse(names.stdout, states.stdout)


def parse(names: str, states: str) -> tuple[Domain, ...]:
    """What the two commands print; a domain that came or went between them is left out."""
    known = _states(states)
    found = []
    for row in names.splitlines():
        uuid, _, name = row.strip().partition(" ")
        if name.strip() in known:
            state, reason = known[name.strip()]
            power = POWER.get(state, PowerState.NOSTATE)
            found.append(Domain(uuid, name.strip(), power, REASONS.get((state, reason), "")))
    return tuple(found)


def _states(text: str) -> dict[str, tuple[int, int]]:
    found = {}
    for part in re.split(r"^Domain: ", text, flags=re.MULTILINE)[1:]:
        name = part.split("\n", 1)[0].strip().strip("'")
        values = dict(re.findall(r"^\s*state\.(state|reason)=(\d+)$", part, re.MULTILINE))
        if "state" in values:
            found[name] = int(values["state"]), int(values.get("reason", "0"))
    return found
