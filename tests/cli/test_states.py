"""`nodeops states` and `--fix` from beginning to end on the simulated Nova."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nodeops.cli.conduct import carry_out
from nodeops.cli.desk import Desk
from nodeops.cli.looking_states import show_states
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.states_task import MendStates, Sources
from nodeops.errors import FindingsError, NotVerifiedError, PartlyDoneError, UnknownHostError
from nodeops.gather.guests import Guests
from nodeops.model.facts import PowerState
from nodeops.runbooks.mend_states import StatesOptions
from tests.cli.fake_desk import FakeDesk, told, verdicts
from tests.fake_records import FakeHypervisors, FakeRecords
from tests.fake_recovery import BootedHost
from tests.fake_world import FakeWorld, small_cloud

GO = Manner(yes=True, output=Format.JSON)
OLD = "2026-11-18T10:00:00Z"


@pytest.fixture
def world() -> FakeWorld:
    world = small_cloud()
    world.nova.change("s01", power_state=PowerState.SHUTDOWN)
    world.nova.change("s02", vm_state="error")
    world.nova.change("s03", task_state="image_uploading", updated=OLD)
    return world


@pytest.fixture
def records(world: FakeWorld) -> FakeRecords:
    return FakeRecords(world.nova)


def sources(records: FakeRecords, host: BootedHost | None = None) -> Sources:
    """Without a host nobody gets in over SSH."""
    return Sources(
        records=lambda _: records,
        hypervisors=lambda _: FakeHypervisors({"c01": host.domains()} if host else {}),
        guests=lambda desk, _: guests_on(host, desk),
    )


def guests_on(host: BootedHost | None, desk: Desk) -> Guests:
    world = desk.world()
    assert isinstance(world, FakeWorld)
    there = host or BootedHost(world)
    return Guests(there, host, there, there.nova.clock.now)


def task(records: FakeRecords, **options: Any) -> MendStates:
    return MendStates("c01", StatesOptions(**options), sources(records))


def test_findings_are_shown_with_cause_and_mend_and_the_exit_code_says_so(
    desk: FakeDesk,
    records: FakeRecords,
    world: FakeWorld,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(FindingsError, match="3 findings left") as raised:
        show_states(desk, "c01", StatesOptions(), Format.TABLE, sources(records))
    shown = capsys.readouterr().out
    for words in (
        "off-but-active",
        "error-but-running",
        "task-stuck",
        "shut down inside",
        "reset-state active",
    ):
        assert words in shown
    assert "--fix" in raised.value.hint
    assert world.writes == []


def test_the_document_holds_all_of_it(
    desk: FakeDesk, records: FakeRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FindingsError):
        show_states(desk, None, StatesOptions(), Format.JSON, sources(records))
    document = told(capsys)
    assert document["exit_code"] == 30
    found = {each["name"]: each for each in document["findings"]}
    assert found["name-of-s01"]["fix"] == ["stop"]
    assert found["name-of-s03"]["since"] == OLD
    with pytest.raises(FindingsError):
        show_states(desk, "c01", StatesOptions(), Format.MARKDOWN, sources(records))
    assert "| name-of-s02 |" in capsys.readouterr().out


def test_a_clean_host_ends_well(
    desk: FakeDesk, records: FakeRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    show_states(desk, "c02", StatesOptions(), Format.TABLE, sources(records))
    assert "c02: 0 findings in 0 servers" in capsys.readouterr().out
    with pytest.raises(UnknownHostError):
        show_states(desk, "c9", StatesOptions(), Format.TABLE, sources(records))


def test_a_dry_run_writes_nothing(
    desk: FakeDesk, records: FakeRecords, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, task(records), replace(GO, dry_run=True)) == 0
    assert verdicts(told(capsys)) == {"s01": "DONE", "s02": "DONE", "s03": "DONE"}
    assert world.writes == []


def test_everything_is_mended_and_looked_at_again(
    desk: FakeDesk, records: FakeRecords, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, task(records), GO) == 0
    document = told(capsys)
    assert verdicts(document) == {"s01": "DONE", "s02": "DONE", "s03": "DONE"}
    states = {key: (s.vm_state, s.task_state) for key, s in world.nova.servers.items()}
    assert states == {"s01": ("stopped", None), "s02": ("active", None), "s03": ("active", None)}
    (run,) = desk.journal().runs()
    assert run.runbook == "states"
    assert carry_out(desk, task(records), GO) == 0


def test_a_guest_that_only_nova_still_knows_is_made_anew(
    desk: FakeDesk, world: FakeWorld, records: FakeRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("s02", "s03"):
        world.nova.delete(key)
    world.nova.change("s01", power_state=PowerState.RUNNING)
    host = BootedHost(world, gone={"s01"}, undefined={"s01"})
    world.before.append(lambda name, _: host.undefined.clear() if name == "reboot_hard" else None)
    with pytest.raises(FindingsError):
        show_states(desk, "c01", StatesOptions(), Format.JSON, sources(records, host))
    assert [each["class"] for each in told(capsys)["findings"]] == ["no-guest"]
    assert carry_out(desk, MendStates("c01", StatesOptions(), sources(records, host)), GO) == 0
    assert verdicts(told(capsys)) == {"s01": "DONE"}
    assert [call.name for call in world.writes] == ["reboot_hard"]


def test_the_guest_can_follow_nova(desk: FakeDesk, records: FakeRecords, world: FakeWorld) -> None:
    assert carry_out(desk, task(records, nova_is_right=True), GO) == 0
    assert world.nova.servers["s01"].power_state == PowerState.RUNNING
    assert [call.name for call in world.writes if call.arguments[0] == "s01"] == ["stop", "start"]


def test_a_server_that_somebody_works_on_meanwhile_is_left_alone(
    desk: FakeDesk, records: FakeRecords, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def work_on_it(name: str, _arguments: tuple[object, ...]) -> None:
        if name == "servers_on":
            world.nova.change("s03", updated=world.nova.stamp())

    world.before.append(work_on_it)
    with pytest.raises(PartlyDoneError):
        carry_out(desk, task(records), GO)
    document = json.loads(capsys.readouterr().out)
    assert "s03" not in {call.arguments[0] for call in world.writes}
    assert verdicts(document) == {"s01": "DONE", "s02": "DONE", "s03": "LEFT"}


def test_what_needs_a_person_is_left_and_said(
    desk: FakeDesk, records: FakeRecords, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.change("s02", power_state=PowerState.SHUTDOWN)
    with pytest.raises(NotVerifiedError):
        carry_out(desk, task(records), GO)
    assert told(capsys)["exit_code"] == 13
