"""What a recovery sees of guests: by their hypervisor, their console, their agent, their address."""

import pytest

from nodeops.errors import ApiError
from nodeops.gather.guests import LOST_SECONDS, STEADY_SECONDS, Guests, read_console
from nodeops.model.recovering import Probe, Sign
from nodeops.model.states import Domain
from tests.fake_recovery import BootedHost
from tests.fake_world import small_cloud


class Silent(BootedHost):
    """Nobody gets in over SSH."""

    def domains(self) -> tuple[Domain, ...]:
        self.looks += 1
        raise ApiError("c01: no way to it")


def guests(host: BootedHost) -> Guests:
    return Guests(host, host, host, host.nova.clock.now)


def test_the_hypervisor_is_asked_once_for_all_and_anew_when_it_matters() -> None:
    host = BootedHost(small_cloud())
    sight = guests(host)
    assert [sight.runs(each) for each in ("s01", "s02", "s03")] == [True, True, True]
    assert host.looks == 1
    host.gone.add("s01")
    assert sight.runs("s01") is True
    assert sight.runs("s01", fresh=True) is False
    assert sight.runs("unknown") is False
    host.nova.clock.sleep(4)
    sight.runs("s02")
    assert host.looks == 3


def test_a_host_that_is_silent_is_not_asked_all_the_time() -> None:
    host = Silent(small_cloud())
    sight = guests(host)
    assert sight.runs("s01") is True, "nova was asked instead"
    assert sight.runs("s02", fresh=True) is True
    assert host.looks == 1
    host.nova.clock.sleep(LOST_SECONDS + 1)
    sight.runs("s01")
    assert host.looks == 2


def test_an_agent_and_an_address_answer_or_are_silent() -> None:
    host = BootedHost(small_cloud(), agents={"s01"}, pings={"10.0.0.01"})
    sight = guests(host)
    for probe in (Probe.AGENT, Probe.PING):
        assert sight.life("s01", probe).sign is Sign.LIVES
        assert sight.life("s02", probe).sign is Sign.SILENT
    assert "10.0.0.02" in sight.life("s02", Probe.PING).words
    sight.host = None
    assert "SSH" in sight.life("s01", Probe.AGENT).words


@pytest.mark.parametrize(
    ("text", "sign", "words"),
    [
        ("Linux version 6.1\nweb login: ", Sign.LIVES, "up"),
        ("[  OK  ] Reached target multi-user.target - Multi-User System.", Sign.LIVES, "up"),
        ("Linux version 6.1\n[ 0.1] BIOS-e820", Sign.SILENT, "kernel"),
        ("SeaBIOS (version 1.16)\nBooting from Hard Disk...\n", Sign.SILENT, "boot loader"),
        ("Linux version 6.1\n[ 0.1] BIOS\n[  OK  ] Started sshd.service", Sign.STIRS, "boots"),
        ("\x1b[2J\x1b[01;01HSYSLINUX 6.04\r\n[    0.5] tsc: unstable", Sign.SILENT, "boot loader"),
        ("Linux version 6.1\nKernel panic - not syncing: VFS", Sign.DEAD, "panicked"),
        ("SeaBIOS\nBoot failed: not a bootable disk\nNo bootable device.", Sign.DEAD, "does not boot"),
        ("GRUB loading.\nerror: unknown filesystem.\ngrub rescue> ", Sign.DEAD, "boot loader"),
        ("/dev/vda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", Sign.DEAD, "fsck"),
        ("You are in emergency mode. After logging in", Sign.DEAD, "emergency"),
        ("Kernel panic - not syncing: old\nSeaBIOS\nLinux version 6.1\nlogin: ", Sign.LIVES, "up"),
        ("login: \nLinux version 6.1\nKernel panic - not syncing: new", Sign.DEAD, "panicked"),
    ],
)
def test_a_console_tells_of_the_last_boot_on_it(text: str, sign: Sign, words: str) -> None:
    life = read_console(text)
    assert life.sign is sign
    assert words in life.words


def test_a_console_that_goes_on_without_trouble_is_life_enough() -> None:
    host = BootedHost(small_cloud(), consoles={"s01": "COUNT 1", "s02": ""})
    sight = guests(host)
    assert sight.life("s01", Probe.CONSOLE).sign is Sign.STIRS
    assert sight.life("s02", Probe.CONSOLE).sign is Sign.SILENT
    host.nova.clock.sleep(STEADY_SECONDS + 1)
    assert sight.life("s01", Probe.CONSOLE).sign is Sign.LIVES
    host.consoles["s01"] = "COUNT 2\nKernel panic - not syncing: late"
    assert sight.life("s01", Probe.CONSOLE).sign is Sign.DEAD


def test_the_newest_action_is_of_those_that_switch() -> None:
    host = BootedHost(small_cloud())
    host.note("s01", "stop", by="owner", at=-60)
    host.note("s01", "createImage", by="owner", at=-50)
    found = guests(host).newest("s01")
    assert found is not None
    assert found.action == "stop"
    assert guests(host).newest("s02") is None
