"""Plain servers over all hosts of a lab, so that a drain has something to do at once."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodeops.errors import FailedError
from nodeops.lab import catalogue, furniture
from nodeops.lab.layout import Layout

PREFIX = "crew-"
FLAVORS = ("m1.tiny", "m1.tiny", "m1.small", "m1.medium")
SECONDS = 240.0
TRIES = 3
"""On an overloaded machine a port may be wired later than Nova waits for it, and the build fails."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server is made of."""

    flavors: dict[str, str]
    """By name, their ids."""
    image_id: str
    network_id: str


def crew(layout: Layout, servers: int) -> None:
    """Make plain servers, spread evenly, until there are this many; wait for them to be built.

    Servers that were never built are made again; what became of the others since is left alone.

    Raises:
        FailedError: some of them could not be built.

    """
    with catalogue.refusals_told(layout):
        unbuilt = _crew(catalogue.connect(layout, direct=True), servers)
    if unbuilt:
        raise FailedError(
            f"servers of the lab could not be built: {_reasons(unbuilt)}",
            hint=f"The logs of the hosts are {layout.logs}/nova-compute-HOST.log.",
        )


def _crew(cloud: Any, servers: int) -> list[Any]:
    """Return what could not be built at the last try."""
    unbuilt: list[Any] = []
    offer = Offer(
        {flavor.name: flavor.id for flavor in cloud.compute.flavors()},
        cloud.image.find_image(furniture.IMAGE).id,
        cloud.network.find_network(furniture.NETWORK).id,
    )
    for _ in range(TRIES):
        _make_missing(cloud, offer, servers)
        unbuilt = _await_built(cloud)
        for server in unbuilt:
            cloud.compute.delete_server(server.id)
        for server in unbuilt:
            cloud.compute.wait_for_delete(server, interval=1, wait=60)
        if not unbuilt:
            break
    return unbuilt


def _make_missing(cloud: Any, offer: Offer, servers: int) -> None:
    have = _crew_of(cloud)
    load = Counter({service.host: 0 for service in cloud.compute.services(binary="nova-compute")})
    load.update(server.compute_host for server in have if server.compute_host)
    taken = {server.name for server in have}
    names = [name for number in range(1, servers + 1) if (name := f"{PREFIX}{number:03}") not in taken]
    for index, name in enumerate(names[: max(0, servers - len(have))]):
        host = min(sorted(load), key=load.__getitem__)
        load[host] += 1
        body = {
            "name": name,
            "flavorRef": offer.flavors[FLAVORS[index % len(FLAVORS)]],
            "imageRef": offer.image_id,
            "networks": [{"uuid": offer.network_id}],
            "host": host,
        }
        cloud.compute.post("/servers", json={"server": body}, microversion="2.90").raise_for_status()


def _await_built(cloud: Any) -> list[Any]:
    """Wait until nothing is in BUILD, and return what was not built."""
    deadline = time.monotonic() + SECONDS
    found = _crew_of(cloud)
    while any(server.status == "BUILD" for server in found) and time.monotonic() < deadline:
        time.sleep(1)
        found = _crew_of(cloud)
    return [server for server in found if server.launched_at is None]


def _crew_of(cloud: Any) -> list[Any]:
    servers = cloud.compute.servers(all_projects=True)
    return [server for server in servers if server.name.startswith(PREFIX)]


def _reasons(servers: Sequence[Any]) -> str:
    faults = Counter((server.fault or {}).get("message", "no reason given") for server in servers)
    return "; ".join(f"{count} times {words}" for words, count in faults.items())
