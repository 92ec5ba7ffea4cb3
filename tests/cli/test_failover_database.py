"""`failover --method database` and `undo` from beginning to end on the world in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.cli.conduct import carry_out, resume_run
from nodeops.cli.failover_database import FailoverDatabase, connector_of
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.tasks import Drain
from nodeops.cli.undo_task import Undo, rewriting_run
from nodeops.errors import (
    ConfigurationError,
    DeclinedError,
    NeedsMoreRiskError,
    PartlyDoneError,
    RefusedError,
    UnknownHostError,
    UsageError,
)
from nodeops.inventory import Inventory
from nodeops.inventory.places import Place
from nodeops.model.facts import HostSettings, Storage
from nodeops.model.senses import Power
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.rewrite_scene import RewriteOptions
from tests.cli.fake_desk import FakeDesk, forget_owner, told
from tests.fake_databases import SCHEMA, FakeRecords
from tests.fake_world import Crash, FakeWorld, FaultKind, small_cloud

DRY = Manner(dry_run=True, output=Format.JSON)
GO = Manner(yes=True, output=Format.JSON)
MOVE = MoveOptions(allow=frozenset({"use-evacuate"}), to=("c02",), parallel=4, canary=False)
TASK = FailoverDatabase("c01", RewriteOptions(MOVE))
LEAVING = MoveOptions(canary=False, max_failures=None, leave_refused=True)


class DeskWithInventory(FakeDesk):
    """Whose inventory says that all storage is shared."""

    def inventory(self) -> Inventory:
        names = ("c01", "c02", "c03")
        return Inventory(places={name: Place(name, name, name, storage=Storage.SHARED) for name in names})


@pytest.fixture
def world() -> FakeWorld:
    """c01 is dead and off, with two servers that ran and one that did not."""
    world = small_cloud(servers=2)
    world.databases = FakeRecords(world.nova)
    world.nova.add_server("off", "c01", vm_state="stopped")
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=False)
    return world


@pytest.fixture
def desk(world: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDesk]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with DeskWithInventory(world, tmp_path) as desk:
        desk.hosts.powers = [Power.OFF]
        yield desk


def digest_of(desk: FakeDesk, task: FailoverDatabase | Undo, capsys: pytest.CaptureFixture[str]) -> str:
    assert carry_out(desk, task, DRY) == 0
    return str(told(capsys)["digest"])


def go(desk: FakeDesk, task: FailoverDatabase | Undo, capsys: pytest.CaptureFixture[str]) -> Any:
    """Look at the plan, and run that very plan."""
    word = f"c01@{digest_of(desk, task, capsys)}"
    assert carry_out(desk, replace(task, confirmed=word), GO) == 0
    return told(capsys)


def run_until(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str], call: str) -> None:
    """The process dies just before the first call of that name."""
    word = f"c01@{digest_of(desk, TASK, capsys)}"

    def die(name: str, _arguments: tuple[object, ...]) -> None:
        if name == call:
            world.faults[len(world.calls)] = FaultKind.CRASH_BEFORE

    world.before.append(die)
    with pytest.raises(Crash):
        carry_out(desk, replace(TASK, confirmed=word), GO)
    world.before.remove(die)
    world.faults.clear()
    world.nova.clock.sleep(20)
    forget_owner(desk)


def hosts_of(world: FakeWorld) -> dict[str, str | None]:
    return {server.id: server.host for server in world.nova.servers.values()}


def test_a_dry_run_shows_rows_and_sql_and_writes_nothing(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, TASK, DRY) == 0
    document = told(capsys)
    rows = [row for row in document["rows"] if row["server_id"] == "s01"]
    assert {"table": "instances", "column": "host", "before": "c01", "after": "c02"}.items() <= rows[
        1
    ].items()
    assert {row["table"] for row in rows} >= {
        "placement allocations",
        "instances",
        "migrations",
        "ml2_port_bindings",
        "neutron port",
    }
    assert any("ServerRewrite of s01" in line for line in document["statements"])
    assert world.writes == []
    assert list((Path(desk.journal().engine.url.database or "")).parent.glob("nodeops/undo/*")) == []


@pytest.mark.parametrize("output", [Format.TABLE, Format.MARKDOWN])
def test_rows_and_sql_in_every_format(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str], output: Format
) -> None:
    assert carry_out(desk, TASK, replace(DRY, output=output)) == 0
    shown = capsys.readouterr().out
    for part in ("ml2_port_bindings", "compute_id", "ServerRewrite of s01"):
        assert part in shown


def test_yes_is_never_enough(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(DeclinedError, match="--yes is not enough") as raised:
        carry_out(desk, TASK, GO)
    assert "--confirm c01@" in raised.value.hint
    with pytest.raises(DeclinedError, match="is not of this plan"):
        carry_out(desk, replace(TASK, confirmed="c01@0123456789abcdef"), GO)
    assert world.writes == []


def test_what_was_confirmed_is_done_and_the_undo_file_is_told(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    document = go(desk, TASK, capsys)
    assert {server["verdict"] for server in document["servers"]} == {"MOVED"}
    assert set(hosts_of(world).values()) == {"c02"}
    assert world.nova.servers["off"].vm_state == "stopped"
    words = next(each["words"] for each in document["findings"] if each["code"] == "undo-file")
    path = Path(words.rpartition(" ")[2])
    assert path.name == f"{document['run']}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    dead = world.nova.hosts["c01"]
    assert (dead.enabled, dead.forced_down) == (False, True)


def test_another_schema_is_asked_for_by_name(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    class Newer(FakeRecords):
        def host_records(self, *arguments: Any) -> Any:
            schema = replace(SCHEMA, nova="ffffffffffff", releases=())
            return replace(super().host_records(*arguments), schema=schema)

    world.databases = Newer(world.nova)
    word = f"c01@{digest_of(desk, TASK, capsys)}"
    with pytest.raises(DeclinedError, match=f"which is {word}\\+ffffffffffff"):
        carry_out(desk, replace(TASK, confirmed=word), GO)
    assert world.writes == []
    assert carry_out(desk, replace(TASK, confirmed=f"{word}+ffffffffffff"), GO) == 0


def test_targets_that_are_none(desk: FakeDesk, world: FakeWorld) -> None:
    for to in ((), ("c02", "c03")):
        with pytest.raises(UsageError, match="takes one target"):
            carry_out(desk, replace(TASK, options=RewriteOptions(replace(MOVE, to=to))), DRY)
    with pytest.raises(UsageError, match="the dead host itself"):
        carry_out(desk, replace(TASK, options=RewriteOptions(replace(MOVE, to=("c01",)))), DRY)
    with pytest.raises(UnknownHostError):
        carry_out(desk, replace(TASK, options=RewriteOptions(replace(MOVE, to=("c09",)))), DRY)
    world.nova.hosts["c02"] = replace(world.nova.hosts["c02"], enabled=False)
    with pytest.raises(RefusedError):
        carry_out(desk, TASK, DRY)
    assert world.writes == []


def test_what_nova_evacuates_is_refused(desk: FakeDesk) -> None:
    with pytest.raises(NeedsMoreRiskError) as raised:
        carry_out(desk, replace(TASK, options=RewriteOptions(replace(MOVE, allow=frozenset()))), DRY)
    assert "--allow use-evacuate" in raised.value.hint


def test_without_databases_nothing_is_done(desk: FakeDesk, world: FakeWorld) -> None:
    world.databases = None
    with pytest.raises(ConfigurationError, match="databases"):
        carry_out(desk, TASK, DRY)


def test_missing_rights_are_told_before_the_first_write(desk: FakeDesk, world: FakeWorld) -> None:
    class Poor(FakeRecords):
        def rights(self, host: str) -> tuple[str, ...]:
            super().rights(host)
            return ("update on instances in nova",)

    world.databases = Poor(world.nova)
    with pytest.raises(RefusedError, match="update on instances"):
        carry_out(desk, replace(TASK, confirmed="c01@x"), GO)
    assert world.writes == []


def test_a_host_that_is_not_proved_dead(desk: FakeDesk, world: FakeWorld) -> None:
    desk.hosts.powers = [Power.ON]
    with pytest.raises(RefusedError):
        carry_out(desk, TASK, GO)
    assert world.writes == []


def test_killed_and_resumed_with_its_own_word(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    run_until(desk, world, capsys, "rewrite_bindings")
    with pytest.raises(DeclinedError):
        resume_run(desk, "last", GO)
    capsys.readouterr()
    resume_run(desk, "last", DRY)
    word = f"c01@{told(capsys)['digest']}"
    assert resume_run(desk, "last", replace(GO, confirm=word)) == 0
    assert set(hosts_of(world).values()) == {"c02"}
    assert len([each for each in world.nova.arrived if each[0] == "rewrite_server"]) == 3


def test_killed_and_taken_back(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run_until(desk, world, capsys, "reboot_hard")
    run = rewriting_run(desk, "last")
    undo = Undo("c01", run.id)
    with pytest.raises(DeclinedError, match="--yes is not enough"):
        carry_out(desk, undo, GO)
    capsys.readouterr()
    document = go(desk, undo, capsys)
    assert {server["verdict"] for server in document["servers"]} == {"DONE"}
    assert set(hosts_of(world).values()) == {"c01"}
    assert {each.status for each in world.nova.migrations} == {"failed"}
    again = carry_out(desk, undo, GO)
    assert again == 0
    assert "nothing to do" in capsys.readouterr().err


def test_what_has_run_is_not_taken_back(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    go(desk, TASK, capsys)
    run = rewriting_run(desk, "last")
    with pytest.raises(RefusedError):
        carry_out(desk, Undo("c01", run.id), GO)
    classes = {server["name"]: server["class"] for server in told(capsys)["servers"]}
    assert classes == {"name-of-s01": "has-run", "name-of-s02": "has-run", "name-of-off": None}
    leaving = Undo("c01", run.id, options=LEAVING)
    word = f"c01@{digest_of(desk, leaving, capsys)}"
    with pytest.raises(PartlyDoneError):
        carry_out(desk, replace(leaving, confirmed=word), GO)
    assert hosts_of(world) == {"s01": "c02", "s02": "c02", "off": "c01"}


def test_a_host_that_has_come_back_ends_it(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    go(desk, TASK, capsys)
    run = rewriting_run(desk, "last")
    for number in range(1, 4):
        world.nova.set_migration(number, status="completed")
    with pytest.raises(RefusedError):
        carry_out(desk, Undo("c01", run.id, options=LEAVING), GO)
    refusals = [each["refusals"][0]["class"] for each in told(capsys)["servers"]]
    assert set(refusals) == {"old-host-back"}
    assert set(hosts_of(world).values()) == {"c02"}


def test_a_lost_undo_file(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run_until(desk, world, capsys, "reboot_hard")
    for path in tmp_path.rglob("undo/*.json"):
        path.unlink()
    with pytest.raises(RefusedError):
        carry_out(desk, Undo("c01", rewriting_run(desk, "last").id, options=LEAVING), GO)
    assert {each["class"] for each in told(capsys)["servers"]} == {"not-saved"}


def test_only_a_failover_by_the_database_can_be_undone(desk: FakeDesk, world: FakeWorld) -> None:
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], up=True)
    carry_out(desk, Drain("c01"), GO)
    with pytest.raises(UsageError, match="is a drain"):
        rewriting_run(desk, "last")


def test_connectors(tmp_path: Path) -> None:
    path = tmp_path / "connector.json"
    path.write_text('{"host": "c02", "initiator": "iqn"}')
    assert connector_of(str(path), "c02")["initiator"] == "iqn"
    for text in ('{"host": "c03"}', "[]", "no json"):
        path.write_text(text)
        with pytest.raises(UsageError, match="--connector"):
            connector_of(str(path), "c02")
    with pytest.raises(UsageError):
        connector_of(str(tmp_path / "missing"), "c02")


def test_settings_come_from_the_inventory(desk: FakeDesk) -> None:
    assert desk.inventory().settings("c01") == HostSettings(Storage.SHARED)
