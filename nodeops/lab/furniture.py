"""What a lab's cloud offers before the first server: flavors, an image, a network, volume types, zones."""

import io
from collections.abc import Sequence
from typing import Any

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
    _image(cloud)
    _network(cloud)
    _volume_types(cloud)
    mark.touch()


def arrange(cloud: Any, hosts: Sequence[str]) -> None:
    """Put every host into its zone (first half az1, second half az2), and two of each into an aggregate."""
    half = (len(hosts) + 1) // 2
    groups = {ZONES[0]: hosts[:half], ZONES[1]: hosts[half:]}
    fast = [*groups[ZONES[0]][:2], *groups[ZONES[1]][:2]]
    for zone, members in groups.items():
        if members:
            _aggregate(cloud, zone, members, zone=zone)
    _aggregate(cloud, AGGREGATE, fast, metadata={"disk": "ssd"})


def _flavors(cloud: Any) -> None:
    known = {flavor.name for flavor in cloud.compute.flavors()}
    for name, vcpus, ram, disk in FLAVORS:
        if name not in known:
            cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk, is_public=True)


def _image(cloud: Any) -> None:
    found = cloud.image.find_image(IMAGE)
    if found and found.status == "active":
        return
    if found:
        cloud.image.delete_image(found)
    image = cloud.image.create_image(
        name=IMAGE, container_format="bare", disk_format="raw", visibility="public", min_disk=1
    )
    # A raw image may hold anything: no guest ever boots from it.
    cloud.image.put(
        f"/images/{image.id}/file",
        data=io.BytesIO(bytes(IMAGE_BYTES)),
        headers={"Content-Type": "application/octet-stream"},
    ).raise_for_status()


def _network(cloud: Any) -> None:
    network = cloud.network.find_network(NETWORK) or cloud.network.create_network(name=NETWORK, shared=True)
    if not cloud.network.find_subnet(NETWORK):
        cloud.network.create_subnet(name=NETWORK, network_id=network.id, ip_version=4, cidr=SUBNET)


def _volume_types(cloud: Any) -> None:
    known = {kind.name for kind in cloud.block_storage.types()}
    for name, driver in (("portable", "PortableDriver"), ("hostbound", "HostBoundDriver")):
        if name not in known:
            cloud.block_storage.create_type(name=name, extra_specs={"volume_backend_name": driver})


def _aggregate(
    cloud: Any,
    name: str,
    hosts: Sequence[str],
    *,
    zone: str | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    made = cloud.compute.find_aggregate(name, ignore_missing=True) or cloud.compute.create_aggregate(
        name=name, availability_zone=zone
    )
    present = set(made.hosts or ())
    for host in hosts:
        if host not in present:
            cloud.compute.add_host_to_aggregate(made, host)
    if metadata:
        cloud.compute.set_aggregate_metadata(made, metadata)
