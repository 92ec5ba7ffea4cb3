"""Nova's, Placement's, Neutron's and Cinder's JSON, as recorded from a cloud of release 2026.2."""

from typing import Any

import pytest

from nodeops.clients import compute_json
from nodeops.clients.cloud import Cloud
from nodeops.clients.network import port
from nodeops.clients.placement import roots
from nodeops.clients.volume import attachment
from nodeops.errors import ApiError, ForbiddenError
from nodeops.model.facts import Resource
from tests.unit.clients.answers import Reply, Script

SERVER: dict[str, Any] = {
    "id": "s1",
    "name": "web",
    "status": "ACTIVE",
    "tenant_id": "p1",
    "user_id": "u1",
    "metadata": {"role": "web"},
    "image": {"id": "i1", "links": [], "properties": {"hw_disk_bus": "virtio", "trait:CUSTOM_X": "required"}},
    "flavor": {
        "vcpus": 2,
        "ram": 4096,
        "disk": 20,
        "ephemeral": 5,
        "swap": 1500,
        "original_name": "m1",
        "extra_specs": {"hw:cpu_policy": "dedicated"},
    },
    "created": "2026-11-21T06:10:16Z",
    "updated": "2026-11-21T06:11:16Z",
    "OS-EXT-AZ:availability_zone": "az1",
    "pinned_availability_zone": None,
    "OS-EXT-STS:task_state": None,
    "OS-EXT-STS:vm_state": "active",
    "OS-EXT-STS:power_state": 1,
    "OS-EXT-SRV-ATTR:host": "c01",
    "OS-EXT-SRV-ATTR:hypervisor_hostname": "c01.example",
    "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": False}],
    "locked": True,
    "locked_reason": "payroll",
    "scheduler_hints": {"group": ["g1"]},
    "tags": ["blue"],
}
VERSION = Reply(body={"version": {"version": "2.104"}})


def test_a_server() -> None:
    server = compute_json.server(SERVER)
    assert (server.host, server.node, server.zone, server.pinned_zone) == (
        "c01",
        "c01.example",
        "az1",
        None,
    )
    assert (server.locked, server.locked_reason) == (True, "payroll")
    assert server.volume_ids == ("v1",)
    assert server.image_properties["trait:CUSTOM_X"] == "required"
    assert server.flavor.extra_specs == {"hw:cpu_policy": "dedicated"}
    assert server.local_disk_gb == 20 + 5 + 2
    assert server.hints == {"group": ["g1"]}


def test_a_server_that_boots_from_a_volume_and_is_on_no_host() -> None:
    body = SERVER | {"image": "", "OS-EXT-SRV-ATTR:host": None, "status": "SHELVED_OFFLOADED"}
    server = compute_json.server(body)
    assert server.boots_from_volume
    assert server.host is None


@pytest.mark.parametrize(("task_state", "host"), [(None, None), ("spawning", "c01")])
def test_an_offloaded_server_is_on_no_host_whatever_its_record_still_says(
    task_state: str | None, host: str | None
) -> None:
    """Unless it is being brought back."""
    states = {"OS-EXT-STS:vm_state": "shelved_offloaded", "OS-EXT-STS:task_state": task_state}
    assert compute_json.server(SERVER | states).host == host


def test_an_older_microversion_leaves_fields_out() -> None:
    newer = {"pinned_availability_zone", "scheduler_hints", "locked_reason", "tags"}
    body = {key: value for key, value in SERVER.items() if key not in newer} | {"image": {"id": "i1"}}
    server = compute_json.server(body)
    assert (server.pinned_zone, server.hints, server.image_properties) == (None, {}, {})


def test_a_server_in_error_has_novas_words() -> None:
    fault = {"message": "No valid host was found. ", "code": 500, "created": "2026-11-21T06:11:16Z"}
    server = compute_json.server(SERVER | {"status": "ERROR", "fault": fault})
    assert server.fault is not None
    assert server.fault.code == 500


def test_hosts_with_their_compute_nodes(cloud: Cloud, script: Script) -> None:
    def service(name: str, **more: Any) -> dict[str, Any]:
        return {
            "id": f"service-{name}",
            "binary": "nova-compute",
            "host": name,
            "zone": "az1",
            "status": "enabled",
            "state": "up",
            "forced_down": False,
            "disabled_reason": None,
        } | more

    def node(host: str, name: str) -> dict[str, Any]:
        return {
            "id": f"node-{name}",
            "hypervisor_hostname": name,
            "hypervisor_type": "QEMU",
            "service": {"host": host},
            "running_vms": 3,
            "vcpus": 8,
            "vcpus_used": 9,
            "memory_mb": 16000,
            "memory_mb_used": 9000,
            "local_gb": 100,
            "local_gb_used": 1,
        }

    disabled = {"status": "disabled", "disabled_reason": "disk", "state": "down", "forced_down": True}
    script.reply(
        Reply(
            body={
                "services": [
                    service("c02", **disabled),
                    service("c01"),
                    service("metal"),
                    {"binary": "nova-compute", "host": "c03", "status": "UNKNOWN"},
                ]
            }
        ),
        Reply(body={"hypervisors": [node("c01", "c01.example"), node("metal", "m1"), node("metal", "m2")]}),
    )
    one, two, unreachable, metal = cloud.hosts()
    assert (one.name, one.node, one.provider_id, one.servers) == ("c01", "c01.example", "node-c01.example", 3)
    assert one.resources["VCPU"] == Resource(8, 9)
    assert one.serves
    assert (two.enabled, two.up, two.forced_down, two.disabled_reason) == (False, False, True, "disk")
    assert two.node is None
    assert (unreachable.service_id, unreachable.up) == ("", False)
    assert metal.provider_id is None
    assert [asked.headers["OpenStack-API-Version"] for asked in script.asked] == [
        "compute 2.69",
        "compute 2.87",
    ]


def test_a_host_is_matched_exactly(cloud: Cloud, script: Script) -> None:
    service = {"id": "x", "binary": "nova-compute", "host": "C01", "status": "enabled", "state": "up"}
    script.reply(*[Reply(body={"services": [service]})] * 2)
    assert cloud.host("c01") is None
    found = cloud.host("C01")
    assert found is not None
    assert found.service_id == "x"


def test_servers_of_other_hosts_are_never_taken(cloud: Cloud, script: Script) -> None:
    """Nova drops a filter it does not allow, without a word."""
    other = SERVER | {"id": "s2", "OS-EXT-SRV-ATTR:host": "c01a"}
    script.reply(VERSION, Reply(body={"servers": [SERVER, other]}))
    assert [server.id for server in cloud.servers_on("c01")] == ["s1"]


def test_an_account_that_may_not_see_hosts_is_told(cloud: Cloud, script: Script) -> None:
    hidden = {key: value for key, value in SERVER.items() if not key.startswith("OS-EXT-SRV-ATTR")}
    script.reply(VERSION, Reply(body={"servers": [hidden]}))
    with pytest.raises(ForbiddenError, match="servers on host c01: nova does not show this account"):
        cloud.servers_on("c01")


def test_a_cell_out_of_reach_is_told(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"server": {"id": "s1", "status": "UNKNOWN", "tenant_id": "p1"}}))
    with pytest.raises(ApiError, match="nova cannot reach the cell of server s1"):
        cloud.server("s1")


def test_a_server_that_is_gone_is_none(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(404, {"itemNotFound": {"message": "Instance s1 could not be found."}}))
    assert cloud.server("s1") is None


def test_migrations_of_a_day_and_those_that_wait(cloud: Cloud, script: Script) -> None:
    old = {"id": 3, "instance_uuid": "s1", "status": "finished", "source_compute": "c01"}
    new = {
        "id": 9,
        "instance_uuid": "s2",
        "status": "running",
        "source_compute": "c01",
        "dest_compute": "c02",
    }
    script.reply(Reply(body={"migrations": [new]}), Reply(body={"migrations": [old]}))
    found = cloud.migrations_from("c01")
    assert [(each.id, each.ended, each.target) for each in found] == [(9, False, "c02"), (3, False, None)]
    assert all("host" not in asked.query for asked in script.asked)
    assert script.asked[1].query["status"] == ["finished"]


def test_progress_before_the_copy_began(cloud: Cloud, script: Script) -> None:
    body = {"id": 4, "status": "preparing", "memory_total_bytes": None, "memory_remaining_bytes": None}
    script.reply(Reply(body={"migrations": [body]}), Reply(body={"migrations": []}), Reply(404))
    found = cloud.progress("s1")
    assert found is not None
    assert (found.migration_id, found.total) == (4, 0)
    assert cloud.progress("s1") is None
    assert cloud.progress("gone") is None


def test_server_groups_are_paged_by_offset(cloud: Cloud, script: Script) -> None:
    def group(number: int) -> dict[str, Any]:
        rules = {"max_server_per_host": 3}
        return {"id": f"g{number}", "name": "n", "policy": "anti-affinity", "rules": rules, "members": ["s1"]}

    script.reply(
        Reply(body={"server_groups": [group(n) for n in range(1000)]}),
        Reply(body={"server_groups": [group(1000)]}),
    )
    found = cloud.groups()
    assert len(found) == 1001
    assert found[0].max_server_per_host == 3
    assert script.asked[1].query["offset"] == ["1000"]


SUMMARIES = {
    "node": {
        "resources": {
            "VCPU": {"capacity": 64, "used": 8},
            "MEMORY_MB": {"capacity": 32256, "used": 6144},
        },
        "root_provider_uuid": "node",
        "parent_provider_uuid": None,
    },
    "numa0": {"resources": {"PCPU": {"capacity": 4, "used": 1}}, "root_provider_uuid": "node"},
    "numa1": {"resources": {"PCPU": {"capacity": 4, "used": 3}}, "root_provider_uuid": "node"},
    "nfs": {"resources": {"DISK_GB": {"capacity": 900, "used": 100}}, "root_provider_uuid": "nfs"},
}


def test_candidates_add_up_a_tree_and_take_in_shared_disk() -> None:
    request = {
        "allocations": {
            "node": {"resources": {"VCPU": 1, "MEMORY_MB": 512}},
            "nfs": {"resources": {"DISK_GB": 20}},
        }
    }
    found = roots({"provider_summaries": SUMMARIES, "allocation_requests": [request]})
    assert found == {
        "node": {
            "VCPU": Resource(64, 8),
            "MEMORY_MB": Resource(32256, 6144),
            "PCPU": Resource(8, 4),
            "DISK_GB": Resource(900, 100),
        }
    }


def test_what_placement_is_asked(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"provider_summaries": {}, "allocation_requests": []}))
    shape = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 0}
    assert cloud.candidates(shape, required=["CUSTOM_A"], forbidden=["CUSTOM_B"]) == {}
    assert script.asked[0].query == {
        "resources": ["MEMORY_MB:512,VCPU:1"],
        "required": ["CUSTOM_A,!CUSTOM_B"],
    }


def test_allocations_of_a_provider_and_of_a_server(cloud: Cloud, script: Script) -> None:
    script.reply(
        Reply(body={"allocations": {"s1": {"resources": {"VCPU": 2}}}, "resource_provider_generation": 7}),
        Reply(body={"allocations": {"node": {"resources": {"VCPU": 2}, "generation": 7}}}),
    )
    assert cloud.allocations_on("node") == {"s1": {"VCPU": 2}}
    assert cloud.allocation("s1") == {"node": {"VCPU": 2}}


def test_ports_are_asked_for_in_calls_that_fit_a_request_line(cloud: Cloud, script: Script) -> None:
    script.reply(*[Reply(body={"ports": []})] * 3)
    cloud.ports_of([f"{number:036}" for number in range(250)])
    assert [len(asked.query["device_id"]) for asked in script.asked] == [100, 100, 50]


def test_a_port() -> None:
    body = {
        "id": "p1",
        "device_id": "s1",
        "status": "ACTIVE",
        "network_id": "n1",
        "binding:host_id": "c01",
        "binding:vif_type": "ovs",
        "binding:vnic_type": "direct",
        "resource_request": {"request_groups": []},
    }
    found = port(body)
    assert (found.host, found.vnic_type, found.has_resource_request) == ("c01", "direct", True)


def test_ports_without_their_binding_are_forbidden(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"ports": [{"id": "p1", "device_id": "s1"}]}))
    with pytest.raises(ForbiddenError, match="neutron does not show this account where a port is bound"):
        cloud.ports_of(["s1"])


def test_attachments_in_one_call_unless_the_cloud_has_many(cloud: Cloud, script: Script) -> None:
    body = {"id": "a1", "instance": "s1", "volume_id": "v1", "status": "attached"}
    other = body | {"id": "a9", "instance": "s9"}
    ids = ["s1", "s2", "s3"]
    script.reply(Reply(body={"attachments": [body, other]}))
    assert [each.id for each in cloud.attachments_of(ids)] == ["a1"]
    assert len(script.asked) == 1
    many = {"attachments": [other], "attachments_links": [{"rel": "next", "href": "http://x/?marker=a9"}]}
    script.reply(
        Reply(body=many), Reply(body={"attachments": [body]}), *[Reply(body={"attachments": []})] * 2
    )
    assert [each.id for each in cloud.attachments_of(ids)] == ["a1"]
    assert [asked.query.get("instance_id") for asked in script.asked[2:]] == [["s1"], ["s2"], ["s3"]]
    assert cloud.attachments_of([]) == ()


def test_an_attachment_takes_only_the_host_of_its_connector() -> None:
    body = {"id": "a1", "instance": "s1", "volume_id": "v1", "connector": {"host": "c01"}}
    assert attachment(body).host == "c01"


def test_properties_of_an_image(cloud: Cloud, script: Script) -> None:
    script.reply(
        Reply(body={"id": "i1", "name": "x", "min_disk": 0, "hw_cpu_policy": "dedicated", "os_hidden": False})
    )
    assert cloud.image_properties("i1") == {"hw_cpu_policy": "dedicated"}
