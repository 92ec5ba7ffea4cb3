"""`nodeops trace` through the logs of real failures; on hosts that others use too it touches only its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nodeops.lab.furniture import NETWORK
from tests.lab.bed import Bed, Result
from tests.real.guests import HOST, OTHER, on_host

PREFIX = "t-trace"
ENDED = frozenset({"error", "failed", "cancelled", "completed"})
SHUT = "INPUT -p tcp --dport 16509 -j REJECT --reject-with tcp-reset"
"""Of libvirt's port for migrations."""
LOG = "/var/log/nova/nova-compute.log"
LONGEST = 300.0
NEW = "2.90"


class Own:
    """The lab with this test's servers alone; what it made is gone afterwards."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed

    def flavor(self, name: str, *, ram: int = 128, specs: dict[str, str] | None = None) -> str:
        body = {"flavor": {"name": f"{PREFIX}-{name}", "ram": ram, "vcpus": 1, "disk": 1}}
        made = str(
            self.bed.cloud.compute.post("/flavors", json=body, microversion=NEW).json()["flavor"]["id"]
        )
        if specs:
            path = f"/flavors/{made}/os-extra_specs"
            self.bed.cloud.compute.post(path, json={"extra_specs": specs}).raise_for_status()
        return made

    def boot(self, name: str, flavor: str, **more: Any) -> str:
        """Ask for a server and wait until it is there, or will not be; its id."""
        server = self.bed.create(f"{PREFIX}-{name}", flavorRef=flavor, **more)
        until(lambda: self.server(server)["status"] in {"ACTIVE", "ERROR"})
        return server

    def server(self, server: str) -> dict[str, Any]:
        return dict(self.bed.cloud.compute.get(f"/servers/{server}", microversion=NEW).json()["server"])

    def live_migrate(self, server: str, target: str) -> str:
        """Try it to the end; the request's id."""
        body = {"os-migrateLive": {"host": target, "block_migration": "auto"}}
        answer = self.bed.cloud.compute.post(f"/servers/{server}/action", json=body, microversion=NEW)
        answer.raise_for_status()
        until(lambda: self._moves(server) and all(each in ENDED for each in self._moves(server)))
        until(lambda: self.server(server)["OS-EXT-STS:task_state"] is None)
        return str(answer.headers["x-openstack-request-id"])

    def _moves(self, server: str) -> list[str]:
        query = f"/os-migrations?instance_uuid={server}"
        return [
            each["status"]
            for each in self.bed.cloud.compute.get(query, microversion="2.80").json()["migrations"]
        ]

    def trace(self, subject: str, *more: str) -> Result:
        return self.bed.run("trace", subject, *more, **self.bed.reached)

    def remove(self) -> None:
        compute = self.bed.cloud.compute
        for server in compute.get(f"/servers?all_tenants=1&name={PREFIX}").json()["servers"]:
            compute.delete(f"/servers/{server['id']}")
        until(lambda: not compute.get(f"/servers?all_tenants=1&name={PREFIX}").json()["servers"])
        for flavor in compute.get("/flavors?is_public=none").json()["flavors"]:
            if flavor["name"].startswith(PREFIX):
                compute.delete(f"/flavors/{flavor['id']}")
        for port in self.bed.cloud.network.get(f"/ports?name={PREFIX}-port").json()["ports"]:
            self.bed.cloud.network.delete(f"/ports/{port['id']}")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, "it did not come to its end"
        time.sleep(1)


@pytest.fixture(scope="module")
def own(lasting_bed: Bed) -> Iterator[Own]:
    own = Own(lasting_bed)
    own.remove()
    yield own
    own.remove()


@contextmanager
def shut(bed: Bed, host: str) -> Iterator[None]:
    """Nobody can migrate to a host: its libvirt refuses connections from other hosts."""
    on_host(bed, host, f"iptables -I {SHUT}")
    try:
        yield
    finally:
        on_host(bed, host, f"iptables -D {SHUT}")


@pytest.fixture(scope="module")
def refused(own: Own) -> tuple[str, str]:
    """A server whose live migration was refused by the target, and the request's id."""
    server = own.boot("guest", own.flavor("small"), host=HOST)
    assert own.server(server)["status"] == "ACTIVE"
    with shut(own.bed, OTHER):
        request = own.live_migrate(server, OTHER)
    assert own.server(server)["OS-EXT-SRV-ATTR:host"] == HOST
    return server, request


def test_a_live_migration_that_the_target_refuses_is_explained(own: Own, refused: tuple[str, str]) -> None:
    server, request = refused
    told = own.trace(server, "-o", "json")
    assert told.code == 0, told.err
    document = told.json
    assert [each["id"] for each in document["requests"]] == [request]
    assert document["outcome"] == "failed"
    said = document["diagnosis"]
    assert (said["class"], said["host"], said["service"]) == ("libvirt-unreachable", HOST, "nova-compute")
    assert "Connection refused" in said["line"]
    assert said["next"] == f"nodeops host {OTHER} status"
    services = {(each["host"], each["service"]) for each in document["entries"]}
    assert {(HOST, "nova-compute"), (OTHER, "nova-compute")} <= services
    assert any(host == "control" for host, _ in services)
    moments = [each["at"] for each in document["entries"]]
    assert moments == sorted(moments)
    assert document["followed"]


def test_the_request_alone_leads_to_the_same(own: Own, refused: tuple[str, str]) -> None:
    server, request = refused
    document = own.trace(request, "-o", "json").json
    assert document["diagnosis"]["class"] == "libvirt-unreachable"
    assert [each["server"] for each in document["requests"]] == [server]


def test_without_an_inventory_it_says_what_the_api_knows(own: Own, refused: tuple[str, str]) -> None:
    server, _ = refused
    empty = own.bed.state / "empty.ini"
    empty.write_text("")
    told = own.bed.run("--inventory", str(empty), "trace", server, "-o", "json")
    assert told.code == 0, told.err
    assert told.json["outcome"] == "failed"
    assert told.json["hosts"] == []


def test_logs_that_were_rotated_are_read_and_logs_that_are_gone_are_told(
    own: Own, refused: tuple[str, str]
) -> None:
    server, _ = refused
    on_host(own.bed, HOST, f"cp -p {LOG} {LOG}.1 && gzip -f {LOG}.1 && truncate -s 0 {LOG}")
    try:
        assert own.trace(server, "-o", "json").json["diagnosis"]["class"] == "libvirt-unreachable"
        # what came after it was copied may be near enough to the request to pass for a whole log
        on_host(own.bed, HOST, f"mv {LOG}.1.gz /root/trace-kept.gz; truncate -s 0 {LOG}")
        document = own.trace(server, "-o", "json").json
        assert document["outcome"] == "failed"
        gone = f"{HOST}: the log of nova-compute begins after the request; what was before is gone"
        assert gone in document["not_seen"]
    finally:
        put_back = f"test ! -e /root/trace-kept.gz || mv /root/trace-kept.gz {LOG}.1.gz"
        on_host(own.bed, HOST, f"{put_back}; gzip -dc {LOG}.1.gz > {LOG}.1 && cat {LOG} >> {LOG}.1")
        on_host(own.bed, HOST, f"cat {LOG}.1 > {LOG} && rm -f {LOG}.1 {LOG}.1.gz")


def test_a_server_no_host_has_room_for(own: Own) -> None:
    server = own.boot("huge", own.flavor("huge", ram=9_000_000))
    assert own.server(server)["status"] == "ERROR"
    said = own.trace(server, "-o", "json").json["diagnosis"]
    assert (said["class"], said["service"]) == ("no-allocation-candidates", "nova-scheduler")


def test_a_server_that_a_filter_finds_no_host_for(own: Own) -> None:
    flavor = own.flavor("xen", specs={"capabilities:hypervisor_type": "xen"})
    server = own.boot("xen", flavor)
    assert own.server(server)["status"] == "ERROR"
    said = own.trace(server, "-o", "json").json["diagnosis"]
    assert said["class"] == "no-valid-host-filter"
    assert "ComputeCapabilitiesFilter" in said["meaning"]


def test_a_port_that_cannot_be_bound(own: Own) -> None:
    """No mechanism driver of the lab serves ports of bare metal."""
    network = own.bed.cloud.network.find_network(NETWORK).id
    body = {"name": f"{PREFIX}-port", "network_id": network, "binding:vnic_type": "baremetal"}
    port = own.bed.cloud.network.post("/ports", json={"port": body}).json()["port"]["id"]
    server = own.boot("unbound", own.flavor("any"), host=HOST, networks=[{"port": port}])
    assert own.server(server)["status"] == "ERROR"
    document = own.trace(server, "-o", "json").json
    said = document["diagnosis"]
    assert (said["class"], said["host"]) == ("binding-failed", "control")
    assert port in said["line"]
    assert HOST in said["next"]
