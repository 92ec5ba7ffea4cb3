"""Plain servers over all hosts of a lab, so that a drain has something to do at once."""

import time
from collections import Counter

from nodeops.errors import FailedError
from nodeops.lab import catalogue, furniture
from nodeops.lab.layout import Layout

PREFIX = "crew-"
FLAVORS = ("m1.tiny", "m1.tiny", "m1.small", "m1.medium")
SECONDS = 240.0


def crew(layout: Layout, servers: int) -> None:
    """Make plain servers, spread evenly, until there are this many; wait for them to be ACTIVE.

    Raises:
        FailedError: some of them did not become ACTIVE.

    """
    cloud = catalogue.connect(layout, direct=True)
    flavors = {flavor.name: flavor.id for flavor in cloud.compute.flavors()}
    image, network = (
        cloud.image.find_image(furniture.IMAGE),
        cloud.network.find_network(furniture.NETWORK),
    )
    have = [server for server in cloud.compute.servers(all_projects=True) if server.name.startswith(PREFIX)]
    load = Counter({service.host: 0 for service in cloud.compute.services(binary="nova-compute")})
    load.update(server.compute_host for server in have if server.compute_host)
    taken = {server.name for server in have}
    names = [name for number in range(1, servers + 1) if (name := f"{PREFIX}{number:03}") not in taken]
    for index, name in enumerate(names[: servers - len(have)]):
        host = min(sorted(load), key=load.__getitem__)
        load[host] += 1
        cloud.compute.post(
            "/servers",
            json={
                "server": {
                    "name": name,
                    "flavorRef": flavors[FLAVORS[index % len(FLAVORS)]],
                    "imageRef": image.id,
                    "networks": [{"uuid": network.id}],
                    "host": host,
                }
            },
            microversion="2.90",
        ).raise_for_status()
    _await_active(cloud)


def _await_active(cloud: object) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        servers = list(cloud.compute.servers(all_projects=True))  # type: ignore[attr-defined] # openstacksdk
        states = Counter(server.status for server in servers if server.name.startswith(PREFIX))
        if states.keys() <= {"ACTIVE"}:
            return
        if states["ERROR"] or time.monotonic() > deadline:
            raise FailedError(
                f"not all servers became ACTIVE: {dict(states)}",
                hint="`openstack server show` has each one's fault.",
            )
        time.sleep(1)
