"""Nova, Glance and Cinder as images of servers need them."""

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute_json import server
from nodeops.clients.snapshot_images import SnapshotImages
from nodeops.errors import ApiError
from tests.unit.clients.answers import Reply, Script

VERSIONS = Reply(200, {"version": {"version": "2.100", "id": "v2.1"}})
SERVER = {"id": "s1", "name": "web01", "status": "ACTIVE", "OS-EXT-STS:vm_state": "active"}
IPS = Reply(200, {"addresses": {"private": [{"addr": "10.0.0.5", "version": 4}]}})
IMAGE = {
    "id": "i1",
    "name": "web01-1",
    "status": "active",
    "size": 18743296,
    "created_at": "2026-11-21T13:14:03Z",
    "protected": False,
    "instance_uuid": "s1",
    "nodeops_snapshot_of": "s1",
    "nodeops_snapshot_name": "web01-1",
    "file": "/v2/images/i1/file",
}
MAPPING = '[{"snapshot_id": "n1", "boot_index": 0}, {"snapshot_id": null, "device_type": "cdrom"}]'


@pytest.fixture
def images(cloud: Cloud) -> SnapshotImages:
    return SnapshotImages(cloud)


def test_an_image_is_asked_for_with_its_properties(images: SnapshotImages, script: Script) -> None:
    script.reply(Reply(202, {"image_id": "i1"}, {"x-openstack-request-id": "req-1"}))
    assert images.create_image("s1", "web01-1", {"nodeops_snapshot_of": "s1"}) == ("i1", "req-1")
    (asked,) = script.asked
    assert asked.path.endswith("/servers/s1/action")
    assert asked.body == {"createImage": {"name": "web01-1", "metadata": {"nodeops_snapshot_of": "s1"}}}


def test_an_answer_without_an_image_is_ambiguous(images: SnapshotImages, script: Script) -> None:
    script.reply(Reply(202, {}))
    with pytest.raises(ApiError) as raised:
        images.create_image("s1", "web01-1", {})
    assert raised.value.ambiguous


def test_a_500_is_ambiguous_and_a_409_is_not(images: SnapshotImages, script: Script) -> None:
    for status, ambiguous in ((500, True), (409, False)):
        script.reply(Reply(status, {"error": {"message": "no"}}))
        with pytest.raises(ApiError) as raised:
            images.create_image("s1", "web01-1", {})
        assert raised.value.ambiguous is ambiguous


def test_images_of_a_server(images: SnapshotImages, script: Script) -> None:
    of_volume = {**IMAGE, "id": "i2", "size": 0, "block_device_mapping": MAPPING}
    script.reply(Reply(200, {"images": [of_volume, IMAGE]}))
    first, second = images.images_of("s1")
    assert script.asked[0].query["nodeops_snapshot_of"] == ["s1"]
    assert first.volume_snapshots == ("n1",)
    assert (second.size, second.ours, second.volume_snapshots) == (18743296, True, ())


def test_an_image_that_is_not_there(images: SnapshotImages, script: Script) -> None:
    script.reply(Reply(404, {"message": "No image found"}), Reply(200, IMAGE))
    assert images.image("i1") is None
    found = images.image("i1")
    assert found is not None
    assert found.properties["instance_uuid"] == "s1"
    assert "file" not in found.properties


def test_volume_snapshots_that_are_gone_are_left_out(images: SnapshotImages, script: Script) -> None:
    body = {"snapshot": {"id": "n1", "status": "creating", "size": 5}}
    script.reply(Reply(200, body), Reply(404, {"itemNotFound": {"message": "gone"}}))
    assert [(each.id, each.status) for each in images.volume_snapshots(["n1", "n2"])] == [("n1", "creating")]


def test_properties_are_nova_s_own_where_it_tells_them(images: SnapshotImages, script: Script) -> None:
    told = server({**SERVER, "image": {"id": "i0", "properties": {"hw_qemu_guest_agent": "yes"}}})
    script.reply(IPS)
    subject = images.subject(told)
    assert (dict(subject.properties), subject.addresses) == ({"hw_qemu_guest_agent": "yes"}, ("10.0.0.5",))


def test_properties_of_an_older_nova_are_glance_s(images: SnapshotImages, script: Script) -> None:
    script.reply(IPS, Reply(200, {"id": "i0", "hw_qemu_guest_agent": "yes"}))
    subject = images.subject(server({**SERVER, "image": {"id": "i0"}}))
    assert subject.properties["hw_qemu_guest_agent"] == "yes"


def test_properties_of_a_root_volume_are_cinder_s(images: SnapshotImages, script: Script) -> None:
    attached = {
        "volumeAttachments": [
            {"volumeId": "v2", "serverId": "s1", "device": "/dev/vdb", "attachment_id": "a2"},
            {"volumeId": "v1", "serverId": "s1", "device": "/dev/vda", "attachment_id": "a1"},
        ]
    }
    kept = {"volume": {"id": "v1", "volume_image_metadata": {"hw_qemu_guest_agent": "yes"}}}
    script.reply(IPS, Reply(200, attached), Reply(200, kept))
    body = {**SERVER, "image": "", "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda"}
    subject = images.subject(server(body))
    assert subject.properties == {"hw_qemu_guest_agent": "yes"}
    assert script.asked[-1].path.endswith("/volumes/v1")


def test_deletions(images: SnapshotImages, script: Script) -> None:
    script.reply(Reply(202), Reply(204))
    images.delete_volume_snapshot("n1")
    images.delete_image("i1")
    assert [(asked.method, asked.path.rpartition("/")[2]) for asked in script.asked] == [
        ("DELETE", "n1"),
        ("DELETE", "i1"),
    ]
