"""What all parts of the lab's virt driver share: the host's place, its guests and bridge, and the rules.

Derived from Nova's FakeDriver (nova/virt/fake.py); imported only inside the lab's Python environment.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state
from nova.virt import fake

from nodeops.lab.hypervisor.behaviour import RATE_KEY, Operation, Subject, number_of_metadata
from nodeops.lab.hypervisor.guests import Guest, GuestState, GuestStore, Volume
from nodeops.lab.hypervisor.obedience import Obedience, SimulatedFaultError
from nodeops.lab.hypervisor.places import STATE_DIR_VARIABLE, HostPlace
from nodeops.lab.hypervisor.settings import MIB, HostShape, Settings, read_settings
from nodeops.lab.hypervisor.vifs import Bridge, Vif
from nodeops.lab.hypervisor_faults import RuleBook

CONF = nova.conf.CONF
POWER_STATES = {
    GuestState.RUNNING: power_state.RUNNING,
    GuestState.PAUSED: power_state.PAUSED,
    GuestState.SHUTDOWN: power_state.SHUTDOWN,
    GuestState.SAVED: power_state.SHUTDOWN,
}


def metadata_of(instance: Any) -> dict[str, str]:
    """Return the server's metadata as it came with the request."""
    return dict(instance.metadata or {})


class LabDriverBase(fake.FakeDriverWithoutFakeNodes):
    """One simulated host; knows where everything is, does nothing yet."""

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        self.state_dir = Path(os.environ[STATE_DIR_VARIABLE])
        self.host: str = CONF.host
        self.place = HostPlace(self.state_dir, self.host)
        self.guests = GuestStore(self.place.guests)
        self.bridge = Bridge(self.place.vifs)
        self.obedience = Obedience(self.state_dir, RuleBook(self.state_dir))
        self.vcpus = self.shape.vcpus
        self.memory_mb = self.shape.memory_mb
        self.local_gb = self.shape.disk_gb
        super().__init__(virtapi, read_only)
        self._set_nodes([self.host])

    @property
    def settings(self) -> Settings:
        return read_settings(self.state_dir)

    @property
    def shape(self) -> HostShape:
        return self.settings.host(self.host)

    def subject(self, operation: Operation, instance: Any, target: str | None = None) -> Subject:
        """Describe an operation that runs on this host and perhaps goes to another."""
        return Subject(operation, instance.uuid, instance.display_name, self.host, target)

    def arriving(self, operation: Operation, instance: Any, source: str | None = None) -> Subject:
        """Describe an operation that brings a server to this host."""
        if source is None and instance.host != self.host:
            source = instance.host
        return Subject(operation, instance.uuid, instance.display_name, source, self.host)

    @contextmanager
    def nova_words(self) -> Iterator[None]:
        """Turn a simulated fault into Nova's own kind, so that its words reach the server's fault."""
        try:
            yield
        except SimulatedFaultError as error:
            raise exception.NovaException(str(error)) from error

    def perform(self, subject: Subject, instance: Any, seconds: float = 0.0) -> None:
        """Let the operation take its time and obey the rules; a fault is one of Nova's exceptions."""
        with self.nova_words():
            self.obedience.perform(subject, metadata_of(instance), seconds)

    def rate(self, instance: Any) -> float:
        """Return the bytes a second a migration of this server copies."""
        mib = number_of_metadata(metadata_of(instance), RATE_KEY, self.settings.migration_rate)
        return mib * MIB

    def guest_of(self, instance: Any, state: GuestState, block_device_info: Any = None) -> Guest:
        """Describe the guest this host is to run for the server.

        Raises:
            NovaException: a volume's connection is good on another host only.

        """
        flavor = instance.flavor
        guest = Guest(
            uuid=instance.uuid,
            name=instance.name,
            state=state,
            vcpus=flavor.vcpus,
            memory_mb=flavor.memory_mb,
            disk_gb=flavor.root_gb + flavor.ephemeral_gb,
        )
        for mapping in (block_device_info or {}).get("block_device_mapping", []):
            volume = self.connected(mapping["connection_info"], mapping["mount_device"])
            guest = guest.with_volume(volume)
        return guest

    def connected(self, connection_info: dict[str, Any], mountpoint: str) -> Volume:
        """Connect a volume to this host.

        Raises:
            NovaException: the connection is good on another host only, as an export to one initiator is.

        """
        data = connection_info.get("data", {})
        volume_id = str(data.get("volume_id") or connection_info.get("serial"))
        bound = data.get("host") or data.get("connector_host")
        if bound and bound != self.host:
            raise exception.NovaException(f"volume {volume_id} is exported to {bound}, not to {self.host}")
        return Volume(volume_id, mountpoint)

    def plug(self, instance: Any, network_info: Any) -> None:
        """Create the server's VIFs on this host's bridge anew."""
        for vif in network_info or []:
            self.bridge.plug(Vif(vif["id"], vif["address"], instance.uuid))

    def unplug(self, network_info: Any) -> None:
        for vif in network_info or []:
            self.bridge.unplug(vif["id"])

    def unplug_server(self, instance: Any, host: str | None = None) -> None:
        """Remove every VIF of the server from a host's bridge, as the end of its process does."""
        bridge = self.bridge if host is None else Bridge(HostPlace(self.state_dir, host).vifs)
        bridge.unplug_server(instance.uuid)

    def existing(self, instance: Any) -> Guest:
        """Return the server's guest on this host.

        Raises:
            InstanceNotFound: there is none.

        """
        guest = self.guests.get(instance.uuid)
        if guest is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return guest
