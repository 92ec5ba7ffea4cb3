"""`GuestHosts` over SSH, by libvirt's own `virsh`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from nodeops.clients.shell import Answer, Command, Shell, login_of
from nodeops.errors import ApiError
from nodeops.inventory import Inventory, Place
from nodeops.model.snapshots import AGENT_DEVICE, AgentReading

CONNECT_SECONDS, ANSWER_SECONDS = 6.0, 20.0
AGENT_SECONDS = 5
"""As long as libvirt itself waits for an agent before a command (`qemu_agent.c`)."""
VIRSH = ("virsh", "--connect", "qemu:///system")
FREEZE = "guest-fsfreeze-freeze"


@dataclass(frozen=True, slots=True)
class SshGuestHosts:
    """Implements `GuestHosts`."""

    inventory: Inventory
    shell: Callable[[Place], Shell] = field(
        default=lambda place: Shell(login_of(place), connect_seconds=CONNECT_SECONDS)
    )

    def agent(self, host: str, server_id: str) -> AgentReading | None:
        """Up to three commands in one connection; an agent that hangs costs as long as libvirt waits."""
        place = self.inventory.place(host)
        if place is None:
            return None
        with self.shell(place) as shell:
            described = shell.run(
                Command((*VIRSH, "--readonly", "dumpxml", server_id), sudo=True, timeout=ANSWER_SECONDS)
            )
            if not described.ok:
                raise ApiError(f"{host}: virsh: {described.words}")
            device, connected = channel(described.stdout)
            if not (device and connected):
                return AgentReading(device, connected)
            info = shell.run(_asked(server_id, "guest-info"))
            if not info.ok:
                return AgentReading(device, connected, words=_unprefixed(info.words))
            status = shell.run(_asked(server_id, "guest-fsfreeze-status"))
        return AgentReading(
            device,
            connected,
            answers=True,
            freezes=FREEZE in offered(info.stdout),
            frozen=_returned(status) == "frozen",
        )


def channel(domain: str) -> tuple[bool, bool]:
    """Whether a domain has the agent's channel, and whether it is open in the guest; raises `ApiError`."""
    try:
        devices = ET.fromstring(domain)  # noqa: S314 - libvirt's own description of a guest
    except ET.ParseError as error:
        raise ApiError(f"virsh dumpxml: {error}") from None
    for target in devices.findall("./devices/channel/target"):
        if target.get("name") == AGENT_DEVICE:
            return True, target.get("state") == "connected"
    return False, False


def offered(text: str) -> frozenset[str]:
    """Commands that the agent has enabled, out of `guest-info`."""
    commands = _body(text).get("supported_commands") or ()
    return frozenset(each["name"] for each in commands if each.get("enabled"))


def _asked(server_id: str, command: str) -> Command:
    words = json.dumps({"execute": command})
    argv = (*VIRSH, "qemu-agent-command", server_id, "--timeout", str(AGENT_SECONDS), words)
    return Command(argv, sudo=True, timeout=ANSWER_SECONDS)


def _returned(answer: Answer) -> str:
    return str(_body(answer.stdout, whole=True).get("return", "")) if answer.ok else ""


def _body(text: str, *, whole: bool = False) -> Mapping[str, Any]:
    """What the agent answered; nothing when that is no JSON."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    found = body if whole else body.get("return")
    return found if isinstance(found, Mapping) else {}


def _unprefixed(words: str) -> str:
    return words.removeprefix("error: ").rstrip(". ")
