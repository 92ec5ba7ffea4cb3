"""`nodeops audit` and `--fix` from beginning to end on the simulated cloud."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nodeops.cli.audit_task import Audit
from nodeops.cli.conduct import apply_file, carry_out
from nodeops.cli.looking_audit import show_audit
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.engine import schema
from nodeops.errors import (
    ApiError,
    DeclinedError,
    FindingsError,
    NotVerifiedError,
    PartlyDoneError,
    UnknownHostError,
)
from nodeops.model.leftovers import EVERYWHERE
from tests.cli.fake_desk import FakeDesk, told, verdicts
from tests.fake_nova import FakeNova
from tests.fake_world import Crash, FakeWorld, FaultKind
from tests.unit.runbooks.test_audit import BROKEN, SHAPE, world

__all__ = ["world"]

GO = Manner(yes=True, output=Format.JSON)
FIXABLE = [
    "allocation-of-no-server", "binding-left-over", "port-not-bound", "attachment-of-no-server",
    "attachment-dangling",
]  # fmt: skip


def broken(nova: FakeNova, names: list[str]) -> None:
    for name in names:
        BROKEN[name][0](nova)


def shown(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> Any:
    with pytest.raises(FindingsError):
        call()
    return json.loads(capsys.readouterr().out)


def test_nothing_found_is_zero(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    show_audit(desk, EVERYWHERE, Format.TABLE)
    assert (
        "the cloud: 0 findings, 3 servers on 3 hosts looked at, by the API alone" in capsys.readouterr().out
    )
    assert world.writes == []


def test_findings_have_cause_and_repair_and_an_exit_code_of_their_own(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(world.nova, [*FIXABLE, "node-disagrees"])
    with pytest.raises(FindingsError, match="6 findings left") as raised:
        show_audit(desk, EVERYWHERE, Format.TABLE)
    assert raised.value.exit_code == 30
    assert "nodeops audit --fix --dry-run shows how 5 of them" in raised.value.hint
    out = capsys.readouterr().out
    for words in (*FIXABLE, "cause", "repair", "--fix does it", "volume-doubled"):
        assert words in out
    assert world.writes == []


def test_json_has_every_finding(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    broken(world.nova, FIXABLE)
    document = shown(lambda: show_audit(desk, "c01", Format.JSON), capsys)
    assert (document["scope"], document["exit_code"], document["databases"]) == ("c01", 30, False)
    one = next(each for each in document["findings"] if each["class"] == "attachment-dangling")
    assert (one["id"], one["host"], one["fix"]) == ("s01", "c01", True)
    assert one["cause"]
    assert one["repair"]


def test_markdown(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    broken(world.nova, FIXABLE)
    with pytest.raises(FindingsError):
        show_audit(desk, EVERYWHERE, Format.MARKDOWN)
    assert "| port-not-bound | c01 |" in capsys.readouterr().out


def test_a_host_that_does_not_exist(desk: FakeDesk) -> None:
    with pytest.raises(UnknownHostError, match="c1"):
        show_audit(desk, "c1", Format.TABLE)


def test_what_could_not_be_seen_is_not_called_clean(desk: FakeDesk, world: FakeWorld) -> None:
    def refuse(name: str, _: tuple[object, ...]) -> None:
        if name == "volumes":
            world.faults[len(world.calls)] = FaultKind.UNAVAILABLE

    world.before.append(refuse)
    with pytest.raises(ApiError, match="1 thing could not be looked at: volumes"):
        show_audit(desk, EVERYWHERE, Format.TABLE)


def test_fix_removes_what_it_said_and_looks_again(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(world.nova, FIXABLE)
    assert carry_out(desk, Audit(), GO) == 0
    document = told(capsys)
    assert verdicts(document) == {"s01": "DONE", "deleted": "DONE"}
    assert "deleted" not in world.nova.placement.held
    assert world.nova.neutron.inactive == set()
    assert world.nova.neutron.get("port-s01").vif_type == "ovs"
    assert all(each.id not in {"a1", "a2"} for each in world.nova.cinder.attachments())
    assert carry_out(desk, Audit(), GO) == 0


def test_an_allocation_on_both_hosts_keeps_the_right_part(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["allocation-elsewhere"])
    assert carry_out(desk, Audit("c02"), GO) == 0
    assert world.nova.placement.of("s01") == {"provider-c01": SHAPE}


def test_an_allocation_on_the_wrong_host_alone_is_moved(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["allocation-elsewhere"])
    world.nova.placement.held["s01"] = {"provider-c02": dict(SHAPE)}
    assert carry_out(desk, Audit(), GO) == 0
    assert world.nova.placement.of("s01") == {"provider-c01": SHAPE}


def test_a_stuck_task_is_ended(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["task-stuck"])
    assert carry_out(desk, Audit("c01"), GO) == 0
    assert world.nova.servers["s01"].task_state is None


def test_what_needs_a_person_is_left_and_said(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(world.nova, ["attachment-dangling", "node-disagrees"])
    with pytest.raises(NotVerifiedError, match="name-of-s03"):
        carry_out(desk, Audit(), GO)
    assert {finding["code"] for finding in told(capsys)["findings"]} == {"node-disagrees"}


def test_where_a_server_really_runs_is_settled_by_a_person_first(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["the old guide's SQL"])
    with pytest.raises(FindingsError, match="6 findings left") as raised:
        carry_out(desk, Audit(), GO)
    assert "None of them" in raised.value.hint
    assert world.writes == []


def test_a_dry_run_changes_nothing_and_no_means_no(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, FIXABLE)
    assert carry_out(desk, Audit(), Manner(dry_run=True)) == 0
    with pytest.raises(DeclinedError):
        carry_out(desk, Audit(), Manner(output=Format.JSON))
    assert world.writes == []


def test_an_attachment_that_nova_names_by_then_is_left(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["attachment-dangling"])

    def name_it(name: str, arguments: tuple[object, ...]) -> None:
        if name == "volumes_of" and arguments == ("s01",):
            server = world.nova.servers["s01"]
            world.nova.change("s01", volume_ids=(*server.volume_ids, "v8"))
            world.nova.cinder.named["s01", "v8"] = "a2"
            world.before.clear()

    world.before.append(name_it)
    carry_out(desk, Audit(), GO)
    assert any(each.id == "a2" for each in world.nova.cinder.attachments())
    assert world.named("delete_attachment") == []


def test_a_port_is_not_bound_where_the_agent_is_dead(desk: FakeDesk, world: FakeWorld) -> None:
    broken(world.nova, ["port-not-bound", "allocation-of-no-server"])
    world.nova.neutron.dead_agents.add("c01")
    with pytest.raises(PartlyDoneError):
        carry_out(desk, Audit(), GO)
    assert world.named("bind_port") == []


@pytest.mark.parametrize("kind", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER])
def test_killed_at_every_write_the_same_command_finishes_it(
    world: FakeWorld, tmp_path: Path, kind: FaultKind
) -> None:
    for number in range(5):
        trial = FakeWorld(FakeNova())
        for name, host in world.nova.hosts.items():
            trial.nova.hosts[name] = host
            trial.nova.capacity[name] = world.nova.capacity[name]
        trial.nova.servers.update(world.nova.servers)
        broken(trial.nova, FIXABLE)
        (folder := tmp_path / f"{kind}-{number}").mkdir()
        with FakeDesk(trial, folder) as desk:
            kill_at(trial, number, kind)
            with pytest.raises(Crash):
                carry_out(desk, Audit(), GO)
        trial.faults.clear()
        trial.before.clear()
        with FakeDesk(trial, folder) as desk:
            with desk.journal().engine.begin() as connection:
                connection.execute(update(schema.runs).values(owner_start="1"))
            assert carry_out(desk, Audit(), GO) == 0


def kill_at(world: FakeWorld, number: int, kind: FaultKind) -> None:
    writes = {"set_allocation", "delete_binding", "bind_port", "delete_attachment"}

    def strike(name: str, _: tuple[object, ...]) -> None:
        done = sum(call.name in writes for call in world.calls)
        if name in writes and done == number + 1:
            world.faults[len(world.calls)] = kind

    world.before.append(strike)


def test_a_plan_file_is_applied(desk: FakeDesk, world: FakeWorld, tmp_path: Path) -> None:
    broken(world.nova, FIXABLE)
    path = tmp_path / "plan.json"
    carry_out(desk, Audit(), Manner(dry_run=True, out=path))
    assert apply_file(desk, path, GO) == 0
