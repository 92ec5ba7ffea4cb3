"""`nodeops reattach` from beginning to end on the simulated cloud."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from nodeops.cli.conduct import carry_out
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.reattach_task import Reattach
from nodeops.engine import schema
from nodeops.errors import RefusedError, UnknownServerError
from nodeops.gather.reattach import gather_reattach
from nodeops.plan import Risk
from nodeops.runbooks.reattach import Standing, cases, plan_reattach
from tests.cli.fake_desk import FakeDesk, told, verdicts
from tests.fake_databases import FakeRecords
from tests.fake_nova import FakeNova
from tests.fake_world import Crash, FakeWorld, FaultKind
from tests.unit.runbooks.test_audit import (
    attachment_elsewhere,
    dangling_attachment,
    half_attached,
    lost_attachment,
    world,
)

__all__ = ["world"]

GO = Manner(yes=True, output=Format.JSON)
DATA = {"elsewhere": attachment_elsewhere, "lost": lost_attachment, "half": half_attached}


def standings(world: FakeWorld, server: str | None = "s01") -> dict[str, str]:
    facts = gather_reattach(world, "c01", server)
    return {case.volume.volume_id: str(case.standing) for case in cases(facts)}


def root_elsewhere(nova: FakeNova) -> None:
    nova.cinder.freeze(nova.servers["s01"])
    nova.cinder.made["attachment-v1-s01"] = replace(nova.cinder.made["attachment-v1-s01"], host="c09")


def test_nothing_to_do(desk: FakeDesk, world: FakeWorld) -> None:
    assert standings(world, None) == {"v1": "attached", "v2": "attached"}
    assert carry_out(desk, Reattach("c01"), GO) == 0
    assert world.writes == []


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("vm_state", ["active", "stopped"])
def test_a_stale_data_volume_comes_off_and_on_again_at_its_device(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str], case: str, vm_state: str
) -> None:
    if vm_state == "stopped":
        world.nova.change("s01", vm_state="stopped", power_state=4)
    DATA[case](world.nova)
    assert standings(world) == {"v1": "attached", "v2": case}
    assert carry_out(desk, Reattach("c01", "s01"), GO) == 0
    assert verdicts(told(capsys)) == {"s01": "DONE"}
    assert standings(world) == {"v1": "attached", "v2": "attached"}
    (attached,) = world.named("attach_volume")
    assert attached.arguments[:3] == ("s01", "v2", "/dev/vdb")
    assert world.nova.cinder.volumes_of("s01")[1].device == "/dev/vdb"
    mine = [each for each in world.nova.cinder.attachments() if each.volume_id == "v2"]
    assert [each.host for each in mine] == ["c01"]


def test_a_dangling_attachment_is_deleted(desk: FakeDesk, world: FakeWorld) -> None:
    dangling_attachment(world.nova)
    assert standings(world)["v8"] == Standing.DANGLING
    assert carry_out(desk, Reattach("c01"), GO) == 0
    assert [call.name for call in world.writes] == ["delete_attachment"]


def test_a_root_volume_is_never_detached(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    root_elsewhere(world.nova)
    with pytest.raises(RefusedError):
        carry_out(desk, Reattach("c01"), GO)
    (server,) = [each for each in told(capsys)["servers"] if each["id"] == "s01"]
    (refusal,) = server["refusals"]
    assert refusal["class"] == "root-volume"
    assert "nova-manage volume_attachment refresh s01 v1 c01.json" in refusal["reason"]
    assert world.writes == []


def test_with_the_databases_a_root_volume_gets_a_new_attachment_in_place(
    desk: FakeDesk, world: FakeWorld
) -> None:
    world.databases = FakeRecords(world.nova)
    root_elsewhere(world.nova)
    plan = plan_reattach(gather_reattach(world, "c01", "s01"))
    assert [(step.action, step.risk) for step in plan.steps] == [("renew-attachments", Risk.FORCE)]
    assert carry_out(desk, Reattach("c01"), GO) == 0
    assert standings(world) == {"v1": "attached", "v2": "attached"}
    assert world.named("detach_volume") == []


@pytest.mark.parametrize("vm_state", ["paused", "error"])
def test_what_cannot_be_detached_is_refused(desk: FakeDesk, world: FakeWorld, vm_state: str) -> None:
    attachment_elsewhere(world.nova)
    world.nova.change("s01", vm_state=vm_state)
    # A change of state is no move: the attachment stays where it was.
    assert standings(world)["v2"] == "elsewhere"
    with pytest.raises(RefusedError, match="name-of-s01"):
        carry_out(desk, Reattach("c01"), GO)
    assert world.writes == []


def test_a_server_in_a_task_is_left_alone(desk: FakeDesk, world: FakeWorld) -> None:
    attachment_elsewhere(world.nova)
    world.nova.change("s01", task_state="image_uploading")
    with pytest.raises(RefusedError):
        carry_out(desk, Reattach("c01"), GO)
    assert world.writes == []


def test_by_name_by_id_and_by_host(desk: FakeDesk, world: FakeWorld) -> None:
    assert Reattach.find(desk, "c02").host == "c02"
    assert Reattach.find(desk, "s01") == Reattach("c01", "s01")
    assert Reattach.find(desk, "name-of-s02") == Reattach("c01", "s02")
    with pytest.raises(UnknownServerError, match="nobody"):
        Reattach.find(desk, "nobody")
    world.nova.change("s02", name="name-of-s01")
    with pytest.raises(UnknownServerError, match="2 have this name"):
        Reattach.find(desk, "name-of-s01")
    world.nova.change("s02", vm_state="shelved_offloaded", host=None)
    with pytest.raises(RefusedError, match="on no host"):
        Reattach.find(desk, "s02")


def test_a_dry_run_writes_nothing(desk: FakeDesk, world: FakeWorld) -> None:
    attachment_elsewhere(world.nova)
    assert carry_out(desk, Reattach("c01"), Manner(dry_run=True)) == 0
    assert world.writes == []


@pytest.mark.parametrize("kind", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER, FaultKind.DROP_AFTER])
@pytest.mark.parametrize("write", ["detach_volume", "attach_volume", "delete_attachment"])
@pytest.mark.parametrize("case", DATA)
def test_cut_off_at_any_write_the_same_command_brings_the_volume_back(
    world: FakeWorld, tmp_path: Path, case: str, write: str, kind: FaultKind
) -> None:
    DATA[case](world.nova)

    def strike(name: str, _: tuple[object, ...]) -> None:
        if name == write:
            world.faults[len(world.calls)] = kind
            world.before.clear()

    world.before.append(strike)
    for _ in range(2):
        with FakeDesk(world, tmp_path) as desk:
            with desk.journal().engine.begin() as connection:
                connection.execute(update(schema.runs).values(owner_start="1"))
            try:
                code = carry_out(desk, Reattach("c01", "s01"), GO)
            except Crash:
                continue
            assert code == 0
    assert standings(world) == {"v1": "attached", "v2": "attached"}
    assert world.nova.cinder.volumes_of("s01")[1].device == "/dev/vdb"
    mine = [each for each in world.nova.cinder.attachments() if each.volume_id == "v2"]
    assert len(mine) == 1
