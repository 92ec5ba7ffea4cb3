"""Maintenance windows from beginning to end on the world and the hosts in memory."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nodeops.cli.conduct import carry_out, resume_run
from nodeops.cli.history import find_run
from nodeops.cli.maintain_task import Maintain, go_on
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.tasks import Undrain
from nodeops.engine import schema
from nodeops.errors import (
    ConfigurationError,
    NeedsMoreRiskError,
    RefusedError,
    SshError,
    SshReason,
    UsageError,
    WindowOpenError,
)
from nodeops.model.machine import Machine, ServiceState
from nodeops.model.maintaining import Manners, Reset, Task, Times
from nodeops.plan import Risk
from nodeops.runbooks.maintain import MaintainOptions
from nodeops.runbooks.options import MoveOptions
from tests.cli.fake_desk import FakeDesk, told
from tests.fake_machine import FakeHost, FakeMachine
from tests.fake_world import Crash, FakeWorld, FaultKind, small_cloud

GO = Manner(yes=True, output=Format.JSON)
DRY = Manner(dry_run=True, output=Format.JSON)
UPGRADE = Task(("apt-get", "-y", "dist-upgrade"), reset=Reset.REBOOT)
MOVE = MoveOptions(canary=False)


class HostDesk(FakeDesk):
    """A desk with hosts in memory."""

    def __init__(self, world: FakeWorld, machine: FakeMachine, folder: Path) -> None:
        super().__init__(world, folder)
        self.fake_machine = machine

    def machine(self) -> Machine:
        return self.fake_machine


@dataclass
class Site:
    """One cloud, one operator who says the same command again until it has come to its end."""

    folder: Path
    world: FakeWorld = field(default_factory=small_cloud)
    machine: FakeMachine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = FakeMachine(self.world.nova)

    def desk(self) -> HostDesk:
        return HostDesk(self.world, self.machine, self.folder)

    def maintain(self, task: Task = UPGRADE, manner: Manner = GO, **manners: Any) -> int:
        options = MaintainOptions(task, MOVE, Manners(**manners))
        with self.desk() as desk:
            return carry_out(desk, Maintain("c01", options), manner)

    def resume(self) -> int:
        self.bury()
        with self.desk() as desk:
            return resume_run(desk, "last", GO)

    def bury(self) -> None:
        """Every part of a run is a process of its own, and the last one is dead."""
        with self.desk() as desk, desk.journal().engine.begin() as connection:
            connection.execute(update(schema.runs).values(owner_start="1"))

    def hosts(self) -> dict[str, str | None]:
        return {server.id: server.host for server in self.world.nova.servers.values()}

    @property
    def c01(self) -> FakeHost:
        return self.machine.host("c01")

    def disabled(self) -> bool:
        return not self.world.nova.hosts["c01"].enabled

    def sent(self, name: str) -> int:
        return sum(call.name == name for call in self.machine.calls)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def actions(document: Any) -> list[str]:
    return [step["action"] for step in document["host_steps"]]


def test_a_dry_run_shows_the_whole_window_and_touches_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.maintain(manner=DRY, give_back=True) == 0
    document = told(capsys)
    assert actions(document) == [
        "disable-service",
        "stop-compute",
        "keep-stopped",
        "work",
        "reboot-host",
        "start-compute",
        "wait-ready",
        "enable-service",
    ]
    assert {server["action"] for server in document["servers"]} == {"live-migrate"}
    assert all("back home" in server["reason"] for server in document["servers"])
    assert not site.world.writes
    assert not any(call.write for call in site.machine.calls)


def test_a_window_with_work_and_a_reboot(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.maintain(give_back=True) == 0
    document = told(capsys)
    assert {server["verdict"] for server in document["servers"]} == {"MOVED"}
    assert set(site.hosts().values()) == {"c01"}
    assert site.machine.ran == [UPGRADE.argv]
    assert site.c01.boots == 2
    assert site.c01.state is ServiceState.RUNNING
    assert not site.c01.masked
    assert not site.disabled()


def test_without_give_back_the_servers_stay_away_and_can_be_brought_back(site: Site) -> None:
    assert site.maintain() == 0
    assert "c01" not in site.hosts().values()
    with site.desk() as desk:
        assert carry_out(desk, Undrain("c01", MOVE, give_back=True), GO) == 0
    assert set(site.hosts().values()) == {"c01"}


def test_nova_compute_is_stopped_and_masked_before_the_work(site: Site) -> None:
    seen: list[tuple[ServiceState, bool, bool]] = []

    def look(name: str) -> None:
        if name == "begin_work":
            seen.append((site.c01.state, site.c01.masked, "c01" in site.hosts().values()))

    site.machine = Watching(site.world.nova, look=look)
    assert site.maintain() == 0
    assert seen == [(ServiceState.STOPPED, True, False)]


@dataclass
class Watching(FakeMachine):
    """Tells of each call before it is answered."""

    look: Callable[[str], None] = lambda _name: None

    def _call(self, name: str, host: str, question: Any, *, write: bool = False) -> Any:
        self.look(name)
        return super()._call(name, host, question, write=write)


def test_work_that_fails_leaves_the_host_disabled_and_stopped(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.machine.work_codes = [100]
    with pytest.raises(WindowOpenError, match=r"work: ended with 100: last words") as error:
        site.maintain(give_back=True)
    assert "--finish" in error.value.hint
    assert site.disabled()
    assert site.c01.masked
    assert site.c01.boots == 1
    assert "c01" not in site.hosts().values()
    document = told(capsys)
    assert document["exit_code"] == 10
    assert {server["verdict"] for server in document["servers"]} == {"MOVED"}
    words = " ".join(finding["words"] for finding in document["findings"])
    assert "c01 stays disabled" in words
    assert "nova-compute is stopped, masked" in words


def test_a_resume_runs_work_again_that_is_known_to_have_failed(site: Site) -> None:
    site.machine.work_codes = [100]
    with pytest.raises(WindowOpenError):
        site.maintain()
    assert site.resume() == 0
    assert site.machine.ran == [UPGRADE.argv, UPGRADE.argv]
    assert not site.disabled()


def test_finish_goes_on_without_the_work(site: Site) -> None:
    site.machine.work_codes = [100]
    with pytest.raises(WindowOpenError):
        site.maintain(give_back=True)
    assert site.maintain(Task(), finish=True, give_back=True) == 0
    assert site.machine.ran == [UPGRADE.argv]
    assert site.c01.boots == 1
    assert not site.c01.masked
    assert not site.disabled()
    assert set(site.hosts().values()) == {"c01"}


def test_an_open_window_is_not_ended_by_an_undrain(site: Site) -> None:
    site.machine.work_codes = [100]
    with pytest.raises(WindowOpenError):
        site.maintain()
    site.bury()
    with site.desk() as desk:
        run = find_run(desk.journal(), "last")
        for manner in (GO, DRY):
            with pytest.raises(RefusedError, match=f"window is open: run {run.id}") as error:
                carry_out(desk, Undrain("c01", MOVE), manner)
            assert f"nodeops resume {run.id}" in error.value.hint
        assert find_run(desk.journal(), "last").unfinished
        assert site.disabled()
        assert carry_out(desk, Undrain("c01", MOVE, force=True), GO) == 0
    assert not site.disabled()


def test_work_that_was_killed_by_a_boot_is_not_run_again(site: Site) -> None:
    site.machine.work_seconds = 500.0
    site.world.nova.at(100.0, lambda: site.machine.goes_down("c01"))
    with pytest.raises(WindowOpenError, match="the host went down under it"):
        site.maintain()
    with pytest.raises(WindowOpenError):
        site.resume()
    assert len(site.machine.ran) == 1
    assert site.disabled()
    site.machine.work_seconds = 1.0
    assert site.maintain(again=True) == 0
    assert len(site.machine.ran) == 2


def test_a_host_that_fails_the_gate_is_not_enabled(site: Site) -> None:
    def cut_off(host: FakeHost) -> None:
        host.connections = 0

    site.machine.breaks = cut_off
    with pytest.raises(WindowOpenError, match="message bus: no connection to 192"):
        site.maintain(give_back=True)
    assert site.disabled()
    assert "c01" not in site.hosts().values()
    site.c01.connections = 4
    assert site.resume() == 0
    assert not site.disabled()
    assert site.c01.boots == 2
    assert len(site.machine.ran) == 1


def _other_cpu(host: FakeHost) -> None:
    host.libvirt = replace(host.libvirt, cpu_model="kvm64")


def _unmounted(host: FakeHost) -> None:
    host.instances = replace(host.instances, mounted=False, source="/dev/sda1", kind="ext4")


def _full(host: FakeHost) -> None:
    host.instances = replace(host.instances, free_mb=10)


def _unit_failed(host: FakeHost) -> None:
    host.failed_units = ("nfs.mount",)


def _does_not_start(host: FakeHost) -> None:
    host.starts = False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other_cpu, "CPU model: kvm64; wanted: EPYC as before"),
        (_unmounted, "is not mounted; wanted: nfs4 of nfs:/instances as before"),
        (_full, "0.0 of 97.7 GiB free"),
        (_unit_failed, "failed units: nfs.mount"),
        (_does_not_start, "nova-compute is failed right after its start"),
    ],
)
def test_each_of_these_keeps_a_host_out_of_service(
    site: Site, change: Callable[[FakeHost], None], words: str
) -> None:
    site.machine.breaks = change
    with pytest.raises(WindowOpenError) as error:
        site.maintain(times=Times(ready=60.0))
    assert words in error.value.message
    assert site.disabled()


def test_what_was_accepted_does_not_keep_it_out(site: Site) -> None:
    site.machine.breaks = _unit_failed
    assert site.maintain(accept=frozenset({"failed-units"})) == 0
    assert not site.disabled()


def test_units_that_had_failed_before_do_not_count(site: Site) -> None:
    site.c01.failed_units = ("fwupd.service",)
    assert site.maintain() == 0


def test_a_refused_server_keeps_the_window_shut(site: Site) -> None:
    site.world.nova.add_server("off", "c01", vm_state="building")
    with pytest.raises((NeedsMoreRiskError, RefusedError)):
        site.maintain()
    assert not any(call.write for call in site.machine.calls)
    assert not site.disabled()


def test_a_drain_that_fails_leaves_the_host_itself_alone(site: Site) -> None:
    for host in ("c02", "c03"):
        site.world.nova.refusals.add((host, "s02"))
    with pytest.raises(Exception, match="not moved"):
        site.maintain()
    assert not any(call.write for call in site.machine.calls)
    assert site.disabled()
    assert site.machine.ran == []


def test_a_host_that_cannot_be_looked_at_is_not_begun_with(site: Site) -> None:
    site.machine.errors["c01"] = SshError("c01: its key changed", reason=SshReason.HOST_KEY_CHANGED)
    with pytest.raises(SshError, match="its key changed"):
        site.maintain()
    assert not site.world.writes


def test_a_stranger_that_answers_after_the_boot_ends_the_window(site: Site) -> None:
    def breaks(_host: FakeHost) -> None:
        site.machine.errors["c01"] = SshError("c01: its key changed", reason=SshReason.HOST_KEY_CHANGED)

    site.machine.breaks = breaks
    with pytest.raises(WindowOpenError, match="its key changed"):
        site.maintain()
    assert site.disabled()
    site.machine.errors.clear()
    site.machine.breaks = lambda _host: None
    assert site.resume() == 0
    assert site.c01.boots == 3


def test_a_power_cycle_needs_a_command_for_it(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="no fence command"):
        site.maintain(Task(reset=Reset.POWER_CYCLE))


def test_a_command_that_is_a_host_is_a_mistake(site: Site) -> None:
    with pytest.raises(UsageError, match="takes one host, and c02 is another"):
        site.maintain(Task(("c02",)))


def test_somebody_elses_disabling_is_respected(site: Site) -> None:
    nova = site.world.nova
    nova.hosts["c01"] = replace(nova.hosts["c01"], enabled=False, disabled_reason="INC-1 of ben")
    assert site.maintain() == 0
    assert site.disabled()
    with pytest.raises(RefusedError, match="nothing can be given back"):
        site.maintain(give_back=True)


def test_hooks_are_run_around_it_and_a_failing_one_ends_it(site: Site) -> None:
    log = site.folder / "log"
    script = site.folder / "hook"
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    script.chmod(0o700)
    options = MaintainOptions(UPGRADE, MOVE)
    task = Maintain("c01", options, (f"{script} before {{host}}",), (f"{script} after {{host}}",))
    with site.desk() as desk:
        assert carry_out(desk, task, GO) == 0
    assert log.read_text() == "before c01\nafter c01\n"
    broken = replace(task, before=("/bin/false",))
    with site.desk() as desk, pytest.raises(WindowOpenError, match="hook: false ended with 1"):
        carry_out(desk, broken, GO)
    assert site.disabled()
    assert len(site.machine.ran) == 1


def test_a_pause_waits_for_the_word_of_a_person(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def say() -> None:
        with site.desk() as desk:
            go_on(desk, "c01")

    with pytest.raises(UsageError, match="no run pauses"):
        say()
    site.world.nova.at(900.0, say)
    begun = site.world.nova.clock.now()
    assert site.maintain(Task(pause=True)) == 0
    assert site.world.nova.clock.now() - begun > 900.0
    assert not site.disabled()


def test_servers_that_stay_make_the_reboot_a_risk(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.world.nova.add_server("pet", "c01", vm_state="active", locked=False)
    for host in ("c02", "c03"):
        site.world.nova.capacity[host]["MEMORY_MB"] = 3072
    site.world.nova.change("pet", flavor=replace(site.world.nova.servers["pet"].flavor, ram_mb=100_000))
    options = MaintainOptions(UPGRADE, replace(MOVE, leave_refused=True))
    with site.desk() as desk:
        carry_out(desk, Maintain("c01", options), DRY)
    document = told(capsys)
    risks = {step["action"]: step["risk"] for step in document["host_steps"]}
    assert risks["reboot-host"] == Risk.REBOOT.name.lower()
    assert any("run and end with it" in finding["words"] for finding in document["findings"])


@pytest.mark.parametrize("kind", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER])
@pytest.mark.parametrize("pause", [0.1, 400.0])
def test_killed_at_every_call_to_the_host(tmp_path: Path, kind: FaultKind, pause: float) -> None:
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        site = Site(folder)
        site.machine.faults[number] = kind
        crashes = _until_it_ends(site, pause)
        words = f"{kind} at call {number}"
        assert site.machine.ran == [UPGRADE.argv], words
        writes = [call.name for call in site.machine.calls if call.write]
        assert "stop" not in writes[writes.index("reboot") :], words
        assert site.c01.boots in ({2} if not crashes else {2, 3}), words
        assert not site.disabled(), words
        assert not site.c01.masked, words
        assert set(site.hosts().values()) == {"c01"}, words
        shutil.rmtree(folder)
        if not crashes:
            break
    assert number > 30


def _until_it_ends(site: Site, pause: float) -> int:
    crashes = 0
    while True:
        try:
            site.bury()
            assert site.maintain(give_back=True) == 0
        except Crash:
            crashes += 1
            site.machine.faults.clear()
            site.world.nova.clock.sleep(pause)
        else:
            return crashes


def test_killed_at_every_call_to_the_cloud(tmp_path: Path) -> None:
    for number in itertools.count(1, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        site = Site(folder)
        site.world.faults[number] = FaultKind.CRASH_AFTER
        crashes = 0
        while True:
            try:
                site.bury()
                assert site.maintain(give_back=True) == 0
            except Crash:
                crashes += 1
                site.world = FakeWorld(site.world.nova)
                site.world.nova.clock.sleep(5.0)
            else:
                break
        assert site.machine.ran == [UPGRADE.argv], number
        assert site.c01.boots == 2, number
        assert set(site.hosts().values()) == {"c01"}, number
        shutil.rmtree(folder)
        if not crashes:
            break
    assert number > 60


def test_a_server_that_went_elsewhere_than_planned_comes_home_from_there(site: Site) -> None:
    nova = site.world.nova
    nova.add_server("susp", "c01", vm_state="suspended")
    with site.desk() as desk:
        options = MaintainOptions(UPGRADE, replace(MOVE, risk=Risk.REBOOT), Manners(give_back=True))
        task = Maintain("c01", options)
        plan = task.plan(task.gather(desk, None))
        for server in plan.servers:
            nova.refusals.add((str(server.target), server.id))
        assert carry_out(desk, task, GO) == 0
    assert set(site.hosts().values()) == {"c01"}
    assert nova.servers["susp"].status == "SUSPENDED"
    moved = [call.arguments for call in site.world.named("live_migrate")]
    assert len(moved) > 2 * len(plan.servers), "none was refused"
