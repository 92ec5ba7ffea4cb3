"""`nodeops snapshot`: images that are too many, and those of volumes."""

from dataclasses import replace

import pytest

from nodeops.cli.snapshot_orders import Orders
from nodeops.errors import ApiError, FailedError, NotVerifiedError
from nodeops.model.snapshots import Image
from tests.cli.fake_desk import told
from tests.cli.snapshot_scene import AROUND, Scene
from tests.fake_snapshots import said


def test_keep_deletes_only_what_nodeops_made(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        assert scene.make("s01", template=f"{{server}}-{number}") == 0
        scene.nova.clock.sleep(60)
    images = scene.images.image_list
    mine = images["image-2"]
    by_hand = {**mine.properties, "nodeops_snapshot_of": "s99"}
    images["by-hand"] = Image("by-hand", "mine", "active", created="2020", properties=by_hand)
    images["renamed"] = replace(mine, id="renamed", name="golden", created="2020")
    images["kept"] = replace(images["image-1"], id="kept", protected=True)
    capsys.readouterr()
    assert scene.make("s01", orders=Orders(keep=2)) == 0
    assert set(images) == {"image-3", "by-hand", "renamed", "kept", "image-7"}
    assert told(capsys)["servers"][0]["deleted"] == ["name-of-s01-1", "name-of-s01-0"]


def test_an_old_image_that_cannot_be_deleted_is_told(scene: Scene) -> None:
    def refuse() -> None:
        raise ApiError("glance answered 409: in use", status=409)

    scene.make("s01", template="{server}-1")
    scene.images.faults["delete"] = refuse
    with pytest.raises(NotVerifiedError, match=r"images that are too many are left.*in use"):
        scene.make("s01", orders=Orders(keep=1))


def test_of_volumes_snapshots_are_waited_for_and_pruned(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1", "v2"))
    begun = scene.nova.clock.now()
    assert scene.make("s01", orders=AROUND, template="{server}-1") == 0
    assert 4 <= scene.commands.started[1][1] - begun < 5
    (server,) = told(capsys)["servers"]
    assert server["volume_snapshots"] == ["snapshot-of-v1", "snapshot-of-v2"]
    assert server["volume_backed"]
    assert [host for host, _ in scene.logs.asked] == ["control"], "the API freezes before volume snapshots"
    scene.nova.change("s01", volume_ids=("v3",))
    scene.nova.clock.sleep(60)
    assert scene.make("s01", orders=replace(AROUND, keep=1)) == 0
    assert list(scene.images.states) == ["snapshot-of-v3"]


def test_a_freeze_before_volume_snapshots_that_failed(scene: Scene) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1",))
    scene.logs.lines["control"] = (said("control", "Skipping quiescing instance: no agent."),)
    with pytest.raises(NotVerifiedError, match="no agent"):
        scene.make("s01", orders=AROUND)


def test_a_volume_snapshot_that_failed_is_told(scene: Scene) -> None:
    scene.nova.change("s01", image_id=None, volume_ids=("v1",))
    scene.at(2, lambda: scene.images.states.update({"snapshot-of-v1": "error"}))
    with pytest.raises(FailedError, match="of no use: volume snapshot snapshot-of-v1 is error"):
        scene.make("s01", orders=AROUND)
