"""What virsh and the logs of a host say, as nodeops reads it."""

from dataclasses import dataclass, field

import pytest

from nodeops.clients.guest_hosts import SshGuestHosts, channel, offered
from nodeops.clients.shell import Answer, Command, Login, Shell
from nodeops.errors import ApiError
from nodeops.inventory import Inventory, Place
from nodeops.model.snapshots import AgentReading

DOMAIN = """<domain><devices>
<channel type='pty'><target type='virtio' name='com.redhat.spice.0'/></channel>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{state}'/></channel>
</devices></domain>"""
COMMANDS = '{"enabled":true,"name":"guest-fsfreeze-freeze"},{"enabled":false,"name":"guest-exec"}'
INFO = f'{{"return":{{"version":"10.0.0","supported_commands":[{COMMANDS}]}}}}'
FROZEN = '{"return":"frozen"}'
THAWED = '{"return":"thawed"}'
PLACE = Place("c01", "c01", "127.0.0.1")
HANGS = "error: Guest agent is not responding: Guest agent not available for now"


@dataclass
class ScriptedShell(Shell):
    """Answers by the first word that is found in the command."""

    answers: dict[str, tuple[int, str, str]]
    asked: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Login("c01", "127.0.0.1"))

    def run(self, command: Command) -> Answer:
        self.asked.append(command)
        line = " ".join(command.argv)
        status, out, err = next((told for word, told in self.answers.items() if word in line), (1, "", "no"))
        return Answer("c01", command, status, out, err)


def asking(answers: dict[str, tuple[int, str, str]]) -> tuple[SshGuestHosts, ScriptedShell]:
    shell = ScriptedShell(answers)
    return SshGuestHosts(Inventory(places={"c01": PLACE}), lambda _place: shell), shell


def agent(info: tuple[int, str, str], status: str = THAWED, state: str = "connected") -> AgentReading | None:
    hosts, _ = asking(
        {
            "dumpxml": (0, DOMAIN.format(state=state), ""),
            "guest-info": info,
            "guest-fsfreeze-status": (0, status, ""),
        }
    )
    return hosts.agent("c01", "s1")


def test_an_agent_that_freezes() -> None:
    assert agent((0, INFO, "")) == AgentReading(device=True, connected=True, answers=True, freezes=True)


def test_an_agent_that_is_frozen_or_cannot_freeze() -> None:
    frozen = agent((0, INFO, ""), status=FROZEN)
    assert frozen is not None
    assert frozen.frozen
    without = agent((0, '{"return":{"supported_commands":[]}}', ""))
    assert without is not None
    assert not without.freezes


def test_an_agent_that_hangs_says_so_in_libvirt_s_words() -> None:
    found = agent((1, "", HANGS))
    assert found is not None
    assert not found.answers
    assert found.words == "Guest agent is not responding: Guest agent not available for now"


def test_a_guest_that_has_not_opened_its_device_is_asked_nothing() -> None:
    assert agent((0, INFO, ""), state="disconnected") == AgentReading(device=True)


def test_a_host_outside_the_inventory_is_not_asked() -> None:
    hosts, shell = asking({})
    assert hosts.agent("c99", "s1") is None
    assert shell.asked == []


def test_libvirt_that_does_not_know_the_guest() -> None:
    hosts, _ = asking({"dumpxml": (1, "", "error: failed to get domain 's1'")})
    with pytest.raises(ApiError, match="failed to get domain"):
        hosts.agent("c01", "s1")


def test_what_is_no_description_of_a_guest() -> None:
    with pytest.raises(ApiError):
        channel("not xml")
    assert channel("<domain/>") == (False, False)
    assert offered("nonsense") == frozenset()
