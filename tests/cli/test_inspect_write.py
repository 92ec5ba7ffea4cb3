"""Nova's lock around a disk that is open for writing, on the world in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nodeops.cli.inspect_clean import clean_up
from nodeops.cli.inspect_run import Inspection, Task
from nodeops.cli.main import Signalled
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.errors import (
    FailedError,
    HostTroubleError,
    NodeopsError,
    OutcomeUnknownError,
    SshError,
    SshReason,
)
from nodeops.model.facts import PowerState, Server
from nodeops.runbooks.inspect import InspectOptions, locked_by_run
from tests.cli.fake_desk import FakeDesk, forget_owner, told
from tests.fake_looks import OFF, FakeLooker
from tests.fake_world import FakeWorld, small_cloud

GO = Manner(yes=True, output=Format.JSON)
WRITE = InspectOptions(write=True, consent="Ann, ticket 4711")
SERVER = "s01"
GONE = SshError("c01: no route", reason=SshReason.UNREACHABLE)


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@dataclass
class Site:
    """One stopped server on c01."""

    folder: Path
    world: FakeWorld = field(default_factory=small_cloud)
    looker: FakeLooker = field(default_factory=lambda: FakeLooker(OFF))

    def __post_init__(self) -> None:
        self.world.nova.change(SERVER, vm_state="stopped", power_state=PowerState.SHUTDOWN)

    @property
    def server(self) -> Server:
        return self.world.nova.servers[SERVER]

    @property
    def sent(self) -> list[str]:
        return [name for name, subject in self.world.nova.arrived if subject == SERVER]

    def desk(self) -> FakeDesk:
        return FakeDesk(self.world, self.folder)

    def write(self) -> None:
        with self.desk() as desk:
            inspection = Inspection(desk, GO, lambda _shell: self.looker, lambda _desk, _word: self.server)
            inspection.run(SERVER, WRITE, Task(listed="/"))

    def clean(self) -> None:
        with self.desk() as desk:
            clean_up(desk, "c01", GO, lambda _shell: self.looker)

    def bury(self) -> None:
        """Every run's process is dead."""
        with self.desk() as desk:
            forget_owner(desk)

    def leave_locked(self) -> None:
        """As a run does that is killed with the disk open."""
        self.looker.during["end"] = raising(GONE)
        with pytest.raises(OutcomeUnknownError):
            self.write()
        del self.looker.during["end"]
        self.bury()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_it_is_locked_while_the_disk_is_open_and_only_then(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons: list[str] = []
    site.looker.during["begin"] = lambda: reasons.append(site.server.locked_reason)
    site.looker.during["entries"] = lambda: reasons.append(site.server.locked_reason)
    site.write()
    run = told(capsys)["run"]
    assert len(reasons) == 2
    assert all(each.startswith(f"nodeops {run} by ") and each.endswith(": inspect") for each in reasons)
    assert not site.server.locked
    assert site.sent == ["lock", "unlock"]


def test_a_lock_of_somebody_else_is_no_one_s_to_take(site: Site) -> None:
    site.world.nova.change(SERVER, locked=True, locked_reason="audit until Monday")
    with pytest.raises(NodeopsError, match="is locked already: audit until Monday"):
        site.write()
    assert site.sent == []
    assert not site.looker.open


def test_whoever_locks_it_after_the_question_keeps_the_lock(site: Site) -> None:
    site.looker.during["begin"] = lambda: site.world.nova.change(SERVER, locked_reason="theirs now")
    site.write()
    assert site.server.locked_reason == "theirs now"


def test_a_server_that_was_started_meanwhile_is_not_opened(site: Site) -> None:
    stopped = site.server
    with site.desk() as desk:
        inspection = Inspection(desk, GO, lambda _shell: site.looker, lambda _desk, _word: stopped)
        site.world.nova.change(SERVER, vm_state="active")
        with pytest.raises(FailedError, match="is active now; nothing was opened"):
            inspection.run(SERVER, WRITE, Task(listed="/"))
    assert not site.looker.open
    assert not site.server.locked


def test_what_could_not_be_opened_is_unlocked(site: Site) -> None:
    site.looker.during["begin"] = raising(HostTroubleError("c01: qemu-nbd: it is in use"))
    with pytest.raises(FailedError, match="it is in use"):
        site.write()
    assert site.sent == ["lock", "unlock"]


@pytest.mark.parametrize("call", ["begin", "entries s01 p1:/"])
def test_ctrl_c_closes_the_disk_and_takes_the_lock_off(site: Site, call: str) -> None:
    site.looker.cut = call
    with pytest.raises(Signalled):
        site.write()
    assert not site.looker.open
    assert not site.server.locked


def test_it_stays_locked_while_the_disk_may_be_open_and_clean_takes_it_off(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.leave_locked()
    assert locked_by_run(site.server)
    assert "stays locked in Nova" in capsys.readouterr().err
    site.clean()
    assert "unlock it" in capsys.readouterr().err
    assert not site.looker.open
    assert not site.server.locked


def test_a_lock_that_was_left_without_a_look_is_cleaned_too(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.leave_locked()
    site.looker.open.clear()
    site.clean()
    assert "locked in Nova by nodeops' run" in capsys.readouterr().err
    assert not site.server.locked


def test_the_next_run_takes_the_lock_over(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.leave_locked()
    site.looker.open.clear()
    site.write()
    assert "this one takes the lock over" in capsys.readouterr().err
    assert not site.server.locked


def test_clean_leaves_the_locks_of_others_and_of_open_disks(site: Site) -> None:
    site.leave_locked()
    site.world.nova.change("s02", locked=True, locked_reason="audit until Monday")
    site.looker.during["end"] = raising(GONE)
    with pytest.raises(SshError):
        site.clean()
    assert site.server.locked
    del site.looker.during["end"]
    site.bury()
    site.clean()
    assert not site.server.locked
    assert site.world.nova.servers["s02"].locked_reason == "audit until Monday"
