"""`GuestHost` of one host over SSH, and `Surroundings` on this machine."""

import shutil
from dataclasses import dataclass

from nodeops.clients.domains import LibvirtDomains
from nodeops.clients.guest_hosts import SshGuestHosts
from nodeops.clients.power import run
from nodeops.inventory import Inventory
from nodeops.model.senses import Heard
from nodeops.model.states import Domain

PING_SECONDS = 1


@dataclass(frozen=True, slots=True)
class SshGuestHost:
    """Implements `GuestHost`; the inventory must have the host."""

    inventory: Inventory
    host: str

    def domains(self) -> tuple[Domain, ...]:
        return LibvirtDomains(self.inventory).domains(self.host) or ()

    def agent(self, server_id: str) -> Heard:
        reading = SshGuestHosts(self.inventory).agent(self.host, server_id)
        if reading is None or not reading.device:
            return Heard(answered=False, words="it has no channel for a guest agent")
        if not reading.connected:
            return Heard(answered=False, words="no guest agent has opened its channel")
        if not reading.answers:
            return Heard(answered=False, words=f"its guest agent does not answer: {reading.words}")
        return Heard(answered=True, words="its guest agent answers")


@dataclass(frozen=True, slots=True)
class FromHere:
    """Implements `Surroundings`."""

    def ping(self, address: str) -> Heard:
        if shutil.which("ping") is None:
            return Heard(answered=False, words="there is no ping on this machine")
        argv = ["ping", "-n", "-c", "1", "-W", str(PING_SECONDS), "--", address]
        ended = run(argv, PING_SECONDS * 3)
        return Heard(answered=ended.code == 0, words="answers" if ended.code == 0 else "no answer")
