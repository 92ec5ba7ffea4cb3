"""Cold migration and resize of simulated guests; signatures are nova.virt.driver.ComputeDriver's."""

from typing import Any

from nova import exception

from nodeops.lab.hypervisor.base import LabDriverBase, metadata_of
from nodeops.lab.hypervisor.behaviour import Behaviour, Operation
from nodeops.lab.hypervisor.guests import GuestState
from nodeops.lab.hypervisor.obedience import BEFOREHAND, SimulatedFaultError
from nodeops.lab.hypervisor.settings import MIB, Storage


class ColdMigrations(LabDriverBase):
    """The cold-migration part of the driver."""

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: str,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """At the source: turn the guest off and copy its disk; `dest` is the target's address."""
        target = self.settings.host_of_address(dest)
        subject = self.subject(Operation.COLD_MIGRATION, instance, target)
        try:
            for behaviour in BEFOREHAND:
                self.obedience.refuse(behaviour, subject, metadata_of(instance))
        except SimulatedFaultError as error:
            inner = exception.MigrationError(reason=str(error))
            raise exception.InstanceFaultRollback(inner) from error
        self.guests.set_state(instance.uuid, GuestState.SHUTDOWN)
        self.unplug_server(instance)
        with self.nova_words():
            self.obedience.wait_out(subject, metadata_of(instance), self._copy_seconds(instance, target))
            self.obedience.refuse(Behaviour.FAIL_COPY, subject, metadata_of(instance))
        return "[]"

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """At the target: define the guest and start it if it ran."""
        subject = self.arriving(Operation.COLD_MIGRATION, instance, migration.source_compute)
        with self.nova_words():
            self.obedience.refuse(Behaviour.FAIL_AFTER, subject, metadata_of(instance))
        self._place(instance, network_info, block_device_info, power_on=power_on)

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """At the source again: the guest as it was."""
        self._place(instance, network_info, block_device_info, power_on=power_on)

    def confirm_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        network_info: Any,
    ) -> None:
        """At the source: forget the guest that is elsewhere now."""
        if migration.source_compute != migration.dest_compute:
            self.guests.remove(instance.uuid)
            self.unplug_server(instance)

    def _place(self, instance: Any, network_info: Any, block_device_info: Any, *, power_on: bool) -> None:
        state = GuestState.RUNNING if power_on else GuestState.SHUTDOWN
        self.guests.put(self.guest_of(instance, state, block_device_info))
        if power_on:
            self.plug(instance, network_info)

    def _copy_seconds(self, instance: Any, target: str) -> float:
        """Return how long the disk takes: nothing between two hosts of the shared storage."""
        shapes = {shape.name: shape for shape in self.settings.hosts}
        other = shapes.get(target)
        if self.shape.storage is Storage.SHARED and other and other.storage is Storage.SHARED:
            return 0.0
        size: int = instance.flavor.root_gb * 1024 * MIB
        return size / self.rate(instance)
