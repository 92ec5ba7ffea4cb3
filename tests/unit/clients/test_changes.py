"""What is sent for changes beyond a drain, and what is made of the answers."""

from collections.abc import Callable

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.errors import ApiError, ConfigurationError
from nodeops.model.facts import Allocation, AttachedVolume, PortBinding
from tests.unit.clients.answers import Reply, Script

DONE = Reply(202, headers={"x-openstack-request-id": "req-1"})
CONNECTOR = {"host": "c02", "initiator": "iqn.2026-11.example:c02"}

SENT: dict[str, tuple[Callable[[Cloud], object], str, str, object]] = {
    "evacuate": (
        lambda cloud: cloud.evacuate("s1", "c02"),
        "POST", "/compute/v2.1/servers/s1/action", {"evacuate": {"host": "c02"}},
    ),
    "evacuate anywhere": (
        lambda cloud: cloud.evacuate("s1", None),
        "POST", "/compute/v2.1/servers/s1/action", {"evacuate": {}},
    ),
    "force down": (
        lambda cloud: cloud.force_down("x1", forced=True),
        "PUT", "/compute/v2.1/os-services/x1", {"forced_down": True},
    ),
    "reboot": (
        lambda cloud: cloud.reboot_hard("s1"),
        "POST", "/compute/v2.1/servers/s1/action", {"reboot": {"type": "HARD"}},
    ),
    "attach": (
        lambda cloud: cloud.attach_volume("s1", "v1", "/dev/vdb", tag="data"),
        "POST", "/compute/v2.1/servers/s1/os-volume_attachments",
        {"volumeAttachment": {
            "volumeId": "v1", "device": "/dev/vdb", "tag": "data", "delete_on_termination": False,
        }},
    ),
    "detach": (
        lambda cloud: cloud.detach_volume("s1", "v1"),
        "DELETE", "/compute/v2.1/servers/s1/os-volume_attachments/v1", None,
    ),
    "allocation": (
        lambda cloud: cloud.set_allocation(Allocation("s1", {"p2": {"VCPU": 1}}, "project", "user", 7)),
        "PUT", "/placement/allocations/s1",
        {
            "allocations": {"p2": {"resources": {"VCPU": 1}}}, "project_id": "project", "user_id": "user",
            "consumer_generation": 7,
        },
    ),
    "binding": (
        lambda cloud: cloud.delete_binding("p1", "c01"),
        "DELETE", "/network/v2.0/ports/p1/bindings/c01", None,
    ),
    "completion": (
        lambda cloud: cloud.complete_attachment("a1"),
        "POST", "/volume/v3/p1/attachments/a1/action", {"os-complete": {}},
    ),
    "deletion": (
        lambda cloud: cloud.delete_attachment("a1"),
        "DELETE", "/volume/v3/p1/attachments/a1", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SENT)
def test_what_is_sent(cloud: Cloud, script: Script, case: str) -> None:
    call, method, path, body = SENT[case]
    script.reply(DONE)
    assert call(cloud) == "req-1"
    (asked,) = script.asked
    assert (asked.method, asked.path, asked.body) == (method, path, body)


def test_a_stopped_server_is_evacuated_at_a_microversion_that_keeps_its_state(
    cloud: Cloud, script: Script
) -> None:
    script.reply(Reply(200, headers={"x-openstack-request-id": "req-1"}))
    cloud.evacuate("s1", None)
    assert script.asked[0].headers["OpenStack-API-Version"] == "compute 2.93"


def test_the_answer_tells_where_a_port_is_bound(cloud: Cloud, script: Script) -> None:
    port = {"binding:host_id": "c02", "binding:vif_type": "binding_failed", "status": "DOWN"}
    script.reply(Reply(200, {"port": port}))
    bound = cloud.bind_port("p1", "c02", "compute:az1")
    assert bound == PortBinding("p1", "c02", "binding_failed", "DOWN")
    assert bound.failed
    assert script.asked[0].body == {"port": {"binding:host_id": "c02", "device_owner": "compute:az1"}}


def test_a_new_attachment_and_its_connection(cloud: Cloud, script: Script) -> None:
    info = {"driver_volume_type": "rbd", "name": "volumes/v1"}
    script.reply(Reply(200, {"attachment": {"id": "a1", "connection_info": info}}))
    assert cloud.create_attachment("v1", "s1", CONNECTOR, "/dev/vdb") == ("a1", info)
    sent = script.asked[0].body["attachment"]
    assert sent == {
        "volume_uuid": "v1",
        "instance_uuid": "s1",
        "connector": {"mountpoint": "/dev/vdb", **CONNECTOR},
    }
    script.reply(Reply(200, {"attachment": {"id": "a2", "connection_info": {}}}))
    assert cloud.create_attachment("v1", "s1", None, "/dev/vdb") == ("a2", {})
    assert "connector" not in script.asked[1].body["attachment"]
    script.reply(Reply(200, {"attachment": {"id": "a2", "connection_info": info}}))
    assert cloud.connect_attachment("a2", CONNECTOR) == info


@pytest.mark.parametrize("body", ["", "<html>", {"other": 1}])
def test_an_answer_that_does_not_tell_what_was_made_is_ambiguous(
    cloud: Cloud, script: Script, body: object
) -> None:
    script.reply(Reply(200, body))
    with pytest.raises(ApiError, match="the answer has no attachment") as caught:
        cloud.create_attachment("v1", "s1", None, "/dev/vdb")
    assert caught.value.ambiguous


def test_an_attachment_that_is_gone_is_what_was_wanted(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(404, {"itemNotFound": {"message": "not found"}}), Reply(409, {}))
    assert cloud.delete_attachment("a1") == ""
    with pytest.raises(ApiError) as caught:
        cloud.delete_attachment("a1")
    assert caught.value.status == 409


def test_what_nova_names(cloud: Cloud, script: Script) -> None:
    told = {"volumeId": "v1", "serverId": "s1", "device": "/dev/vdb", "attachment_id": "a1", "tag": None}
    script.reply(Reply(200, {"volumeAttachments": [told]}), Reply(404, {}))
    assert cloud.volumes_of("s1") == (AttachedVolume("v1", "s1", "/dev/vdb", "a1"),)
    assert cloud.volumes_of("s2") == ()


def test_only_providers_under_this_root_are_its_tree(cloud: Cloud, script: Script) -> None:
    providers = [
        {"uuid": "root", "root_provider_uuid": "root"},
        {"uuid": "numa", "root_provider_uuid": "root"},
        {"uuid": "other", "root_provider_uuid": "other"},
    ]
    script.reply(Reply(200, {"resource_providers": providers}))
    assert cloud.tree("root") == {"root", "numa"}


def test_agents_of_exactly_this_host(cloud: Cloud, script: Script) -> None:
    agents = [
        {"id": "1", "agent_type": "Open vSwitch agent", "binary": "neutron-openvswitch-agent", "host": "c01",
         "alive": True},
        {"id": "2", "agent_type": "DHCP agent", "binary": "neutron-dhcp-agent", "host": "C01", "alive": True},
    ]  # fmt: skip
    script.reply(Reply(200, {"agents": agents}))
    (agent,) = cloud.agents_on("c01")
    assert agent.binds_ports
    assert agent.alive


def test_unfinished_migrations_are_asked_for_by_status(cloud: Cloud, script: Script) -> None:
    script.replies.extend([Reply(200, {"migrations": []})] * 20)
    assert cloud.unfinished_migrations() == ()
    asked = [each.query["status"][0] for each in script.asked]
    assert {"accepted", "running", "finished", "done"} <= set(asked)
    assert len(asked) == len(set(asked))


def test_without_databases_every_question_is_refused_in_words(cloud: Cloud) -> None:
    with pytest.raises(ConfigurationError, match="no address is configured") as caught:
        cloud.records.server_records(["s1"], "c01")
    assert "NODEOPS_NOVA_DATABASE" in caught.value.hint
