"""The cloud behind `View` and `World`: Nova, Placement, Neutron, Cinder and Glance through one connection.

cloud = connect({"cloud": "production"})
cloud.servers_on("c01")
"""

import time
from collections.abc import Callable, Mapping

from nodeops.clients import wire
from nodeops.clients.attachment_changes import AttachmentChanges
from nodeops.clients.compute import Compute
from nodeops.clients.compute_changes import ComputeChanges
from nodeops.clients.connection import Connection, Traffic, open_connection
from nodeops.clients.image import Image
from nodeops.clients.network import Network
from nodeops.clients.no_records import NoRecords
from nodeops.clients.placement import Placement
from nodeops.clients.volume import Volume
from nodeops.model.facts import Identity
from nodeops.model.records import Records


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
    """Implements `World`: every call is that of one of its parts, named here once.

    `records` are the databases; without them whatever is asked of them raises `ConfigurationError`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        sleep: Callable[[float], None] = time.sleep,
        records: Records | None = None,
    ) -> None:
        self.connection = connection
        self._records = NoRecords() if records is None else records
        nova = wire.Service(connection, wire.COMPUTE, sleep)
        super().__init__(nova)
        self.compute = Compute(nova, self.now)
        self.placement = Placement(wire.Service(connection, wire.PLACEMENT, sleep))
        self.network = Network(wire.Service(connection, wire.NETWORK, sleep))
        self.block_storage = Volume(wire.Service(connection, wire.VOLUME, sleep))
        self.image = Image(wire.Service(connection, wire.IMAGE, sleep))
        self._of_compute(self.compute)
        self._of_placement(self.placement)
        self._of_network(self.network)
        self._of_volume(self.block_storage, AttachmentChanges(self.block_storage.service))
        self.image_properties = self.image.image_properties

    @property
    def records(self) -> Records:
        return self._records

    def use_records(self, records: Records) -> None:
        """From now on these are the databases."""
        self._records = records

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

    def _of_compute(self, part: Compute) -> None:
        self.hosts = part.hosts
        self.host = part.host
        self.servers_on = part.servers_on
        self.servers = part.servers
        self.server = part.server
        self.migrations_from = part.migrations_from
        self.migrations_of = part.migrations_of
        self.evacuations_from = part.evacuations_from
        self.unfinished_migrations = part.unfinished_migrations
        self.progress = part.progress
        self.explain = part.explain
        self.groups = part.groups
        self.aggregates = part.aggregates
        self.volumes_of = part.volumes_of

    def _of_placement(self, part: Placement) -> None:
        self.allocations_on = part.allocations_on
        self.allocation = part.allocation
        self.holding = part.holding
        self.tree = part.tree
        self.resources_of = part.resources_of
        self.candidates = part.candidates
        self.traits = part.traits
        self.set_allocation = part.set_allocation

    def _of_network(self, part: Network) -> None:
        self.ports = part.ports
        self.ports_of = part.ports_of
        self.ports_bound_to = part.ports_bound_to
        self.agents_on = part.agents_on
        self.bind_port = part.bind_port
        self.delete_binding = part.delete_binding

    def _of_volume(self, part: Volume, changes: AttachmentChanges) -> None:
        self.attachments = part.attachments
        self.attachments_of = part.attachments_of
        self.volumes = part.volumes
        self.volume = part.volume
        self.create_attachment = changes.create_attachment
        self.connect_attachment = changes.connect_attachment
        self.complete_attachment = changes.complete_attachment
        self.delete_attachment = changes.delete_attachment
