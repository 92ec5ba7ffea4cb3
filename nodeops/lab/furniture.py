"""What a lab's cloud offers before the first server: flavors, an image, a network, volume types, zones."""

import io
from collections.abc import Mapping, Sequence
from typing import IO, Any

from nodeops.lab.layout import Layout

FLAVORS = (
    ("m1.tiny", 1, 512, 1),
    ("m1.small", 1, 1024, 5),
    ("m1.medium", 2, 2048, 10),
    ("m1.large", 4, 4096, 20),
    ("m1.xlarge", 8, 8192, 40),
    ("m1.huge", 12, 24576, 60),
)
"""Name, vCPUs, MiB, GiB."""
IMAGE, NETWORK, SUBNET = "cirros", "private", "10.77.0.0/16"
ZONES = ("az1", "az2")
AGGREGATE = "ssd"
IMAGE_BYTES = 1024 * 1024


def furnish(layout: Layout, cloud: Any) -> None:
    """Make what is missing; may be repeated."""
    mark = layout.done / "furniture"
    if mark.exists():
        return
    _flavors(cloud)
    # A raw image may hold anything: no guest ever boots from it.
    make_image(cloud, io.BytesIO(bytes(IMAGE_BYTES)), "raw")
    _network(cloud)
    _volume_types(cloud)
    mark.touch()


def arrange(cloud: Any, hosts: Sequence[str]) -> None:
    """Give every host without a zone one, and two hosts of each zone an aggregate; what is stays."""
    members = {zone: list(_aggregate(cloud, zone, zone=zone).hosts or ()) for zone in ZONES}
    for zone, added in share_out(members, hosts).items():
        for host in added:
            cloud.compute.add_host_to_aggregate(_aggregate(cloud, zone), host)
            members[zone].append(host)
    fast = _aggregate(cloud, AGGREGATE)
    if not fast.hosts:
        for host in [host for zone in ZONES for host in members[zone][:2]]:
            cloud.compute.add_host_to_aggregate(fast, host)
        cloud.compute.set_aggregate_metadata(fast, {"disk": "ssd"})


def share_out(members: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> dict[str, list[str]]:
    """Return which zone each host without one gets: the first half the first zone, later ones the smaller."""
    placed = {host for held in members.values() for host in held}
    homeless = [host for host in hosts if host not in placed]
    if not placed:
        half = (len(homeless) + 1) // 2
        return {ZONES[0]: homeless[:half], ZONES[1]: homeless[half:]}
    given: dict[str, list[str]] = {zone: [] for zone in ZONES}
    for host in homeless:
        smaller = min(ZONES, key=lambda zone: len(members[zone]) + len(given[zone]))
        given[smaller].append(host)
    return given


def _flavors(cloud: Any) -> None:
    known = {flavor.name for flavor in cloud.compute.flavors()}
    for name, vcpus, ram, disk in FLAVORS:
        if name not in known:
            cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk, is_public=True)


def make_image(cloud: Any, data: IO[bytes], disk_format: str, **properties: str) -> None:
    """Make the image unless it is there; one that was not uploaded whole is made anew."""
    found = cloud.image.find_image(IMAGE)
    if found and found.status == "active":
        return
    if found:
        cloud.image.delete_image(found)
    image = cloud.image.create_image(
        name=IMAGE,
        container_format="bare",
        disk_format=disk_format,
        visibility="public",
        min_disk=1,
        **properties,
    )
    headers = {"Content-Type": "application/octet-stream"}
    cloud.image.put(f"/images/{image.id}/file", data=data, headers=headers).raise_for_status()


def _network(cloud: Any) -> None:
    network = cloud.network.find_network(NETWORK) or cloud.network.create_network(name=NETWORK, shared=True)
    if not cloud.network.find_subnet(NETWORK):
        cloud.network.create_subnet(name=NETWORK, network_id=network.id, ip_version=4, cidr=SUBNET)


def _volume_types(cloud: Any) -> None:
    known = {kind.name for kind in cloud.block_storage.types()}
    for name, driver in (("portable", "PortableDriver"), ("hostbound", "HostBoundDriver")):
        if name not in known:
            cloud.block_storage.create_type(name=name, extra_specs={"volume_backend_name": driver})


def _aggregate(cloud: Any, name: str, zone: str | None = None) -> Any:
    return cloud.compute.find_aggregate(name, ignore_missing=True) or cloud.compute.create_aggregate(
        name=name, availability_zone=zone
    )
