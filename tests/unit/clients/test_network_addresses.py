"""Ports and addresses on the wire."""

from typing import Any

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.clients.network_addresses import NetworkAddresses
from nodeops.errors import ApiError, UsageError
from tests.unit.clients.answers import Reply, Script

PORT: dict[str, Any] = {
    "id": "p1",
    "name": "web",
    "network_id": "n1",
    "project_id": "project",
    "device_id": "s1",
    "device_owner": "compute:nova",
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [{"subnet_id": "v4", "ip_address": "10.0.0.5"}],
    "security_groups": ["g1"],
    "allowed_address_pairs": [{"ip_address": "10.0.0.99", "mac_address": "fa:16:3e:00:00:01"}],
    "port_security_enabled": True,
    "tags": ["a"],
    "binding:host_id": "c01",
    "binding:vnic_type": "normal",
    "status": "ACTIVE",
}


def test_ports_are_found_by_their_address(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"ports": [PORT]}))
    (found,) = NetworkAddresses(cloud).ports_with("10.0.0.5")
    assert (found.addresses, found.free, found.host) == (("10.0.0.5",), False, "c01")
    assert script.asked[-1].query["fixed_ips"] == ["ip_address=10.0.0.5"]


def test_a_network_is_found_by_id_then_by_name_and_its_automatic_subnets_are_known(
    cloud: Cloud, script: Script
) -> None:
    subnets = [{"id": "v4", "ipv6_address_mode": None}, {"id": "v6", "ipv6_address_mode": "slaac"}]
    script.reply(
        Reply(body={"networks": []}),
        Reply(body={"networks": [{"id": "n1", "name": "private"}]}),
        Reply(body={"subnets": subnets}),
    )
    assert NetworkAddresses(cloud).network("private").automatic_subnets == {"v6"}
    script.reply(Reply(body={"networks": []}), Reply(body={"networks": []}))
    with pytest.raises(UsageError, match="no network has this name"):
        NetworkAddresses(cloud).network("none")


def test_a_cloud_without_routers_has_no_floating_addresses(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(404), Reply(404))
    assert NetworkAddresses(cloud).floating_of(["p1"]) == ()
    assert NetworkAddresses(cloud).floating("192.0.2.1") is None


def test_writes_say_what_was_made_and_a_port_that_is_gone_is_deleted(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(201, {"port": PORT}), Reply(404), Reply(409))
    world = NetworkAddresses(cloud)
    assert world.create_port({"network_id": "n1"}).id == "p1"
    assert script.asked[-1].body == {"port": {"network_id": "n1"}}
    world.delete_port("p1")
    with pytest.raises(ApiError):
        world.delete_port("p1")


def test_an_attachment_names_the_port(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(200, {"interfaceAttachment": {}}), Reply(202))
    world = NetworkAddresses(cloud)
    world.attach("s1", "p1")
    assert script.asked[-1].body == {"interfaceAttachment": {"port_id": "p1"}}
    world.detach("s1", "p1")
    assert script.asked[-1].path.endswith("/servers/s1/os-interface/p1")
