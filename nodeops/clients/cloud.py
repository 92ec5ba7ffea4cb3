"""The cloud behind `View` and `World`: Nova, Placement, Neutron, Cinder and Glance through one connection.

cloud = connect({"cloud": "production"})
cloud.servers_on("c01")
"""

import time
from collections.abc import Callable, Mapping, Sequence

from nodeops.clients import wire
from nodeops.clients.compute import Compute
from nodeops.clients.compute_changes import ComputeChanges
from nodeops.clients.connection import Connection, Traffic, open_connection
from nodeops.clients.image import Image
from nodeops.clients.network import Network
from nodeops.clients.placement import Placement
from nodeops.clients.volume import Volume
from nodeops.facts import (
    Aggregate,
    Attachment,
    Explanation,
    Host,
    Identity,
    Migration,
    Port,
    Progress,
    Resource,
    Server,
    ServerGroup,
)


def connect(
    options: Mapping[str, str | bool] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    ask: Callable[[str], str] | None = None,
) -> "Cloud":
    """The cloud that openstackclient would use with these `--os-*` options; nothing is sent yet.

    Raises `ConfigurationError` or `AuthenticationError`; see `connection.open_connection`.
    """
    return Cloud(open_connection(options or {}, environment=environment, ask=ask))


class Cloud(ComputeChanges):
    """Implements `World`."""

    def __init__(self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.connection = connection
        nova = wire.Service(connection, wire.COMPUTE, sleep)
        super().__init__(nova)
        self.compute = Compute(nova, self.now)
        self.placement = Placement(wire.Service(connection, wire.PLACEMENT, sleep))
        self.network = Network(wire.Service(connection, wire.NETWORK, sleep))
        self.volume = Volume(wire.Service(connection, wire.VOLUME, sleep))
        self.image = Image(wire.Service(connection, wire.IMAGE, sleep))

    @property
    def traffic(self) -> Traffic:
        """Every HTTP request so far, those for the token included."""
        return self.connection.traffic

    def now(self) -> float:
        """The cloud's time, as far as it has shown it."""
        return time.time() + (self.traffic.skew or 0.0)

    def close(self) -> None:
        self.connection.close()

    def identity(self) -> Identity:
        connection = self.connection
        access = connection.access()
        return Identity(
            cloud=connection.name,
            auth_url=connection.auth_url,
            region=connection.region_name,
            user=str(getattr(access, "username", None) or ""),
            project=str(getattr(access, "project_name", None) or ""),
            compute_microversion=self.compute.highest,
        )

    def hosts(self) -> tuple[Host, ...]:
        """`Host.resources` is what nova-compute counts, without ratios: two calls for the whole cloud."""
        return self.compute.hosts()

    def host(self, name: str) -> Host | None:
        return self.compute.host(name)

    def servers_on(self, host: str) -> tuple[Server, ...]:
        return self.compute.servers_on(host)

    def server(self, server_id: str) -> Server | None:
        return self.compute.server(server_id)

    def migrations_from(self, host: str, *, server_id: str | None = None) -> tuple[Migration, ...]:
        return self.compute.migrations_from(host, server_id=server_id)

    def migrations_of(self, server_id: str) -> tuple[Migration, ...]:
        return self.compute.migrations_of(server_id)

    def progress(self, server_id: str) -> Progress | None:
        return self.compute.progress(server_id)

    def explain(self, server_id: str, request_id: str) -> Explanation | None:
        return self.compute.explain(server_id, request_id)

    def groups(self) -> tuple[ServerGroup, ...]:
        return self.compute.groups()

    def aggregates(self) -> tuple[Aggregate, ...]:
        return self.compute.aggregates()

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]:
        return self.network.ports_of(server_ids)

    def ports_bound_to(self, host: str) -> tuple[Port, ...]:
        return self.network.ports_bound_to(host)

    def attachments_of(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]:
        return self.volume.attachments_of(server_ids)

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        return self.placement.allocations_on(provider_id)

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        return self.placement.allocation(server_id)

    def candidates(
        self, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = ()
    ) -> Mapping[str, Mapping[str, Resource]]:
        return self.placement.candidates(resources, required=required, forbidden=forbidden)

    def traits(self, required: Sequence[str]) -> frozenset[str]:
        return self.placement.traits(required)

    def image_properties(self, image_id: str) -> Mapping[str, str]:
        return self.image.image_properties(image_id)
