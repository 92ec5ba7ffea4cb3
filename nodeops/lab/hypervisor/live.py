"""Live migration of simulated guests: Nova's checks, the copy with its figures, and every way it can end."""

import time
from collections.abc import Callable
from typing import Any

from nova import exception, objects
from nova.network import neutron
from nova.objects import migrate_data as migrate_data_objects
from oslo_log import log as logging

from nodeops.lab.hypervisor.base import CONF, LabDriverBase, metadata_of
from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, first, hindrance
from nodeops.lab.hypervisor.condition import read_condition
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.migration import (
    Control,
    Copy,
    CopyEnd,
    Figures,
    Hindrance,
    Surroundings,
    Work,
)
from nodeops.lab.hypervisor.obedience import SimulatedFaultError
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.settings import MIB, Storage
from nodeops.lab.hypervisor_faults import strike

LOG = logging.getLogger(__name__)
REPORT_SECONDS = 1.0


class LiveMigrations(LabDriverBase):
    """The live-migration part of the driver; signatures are nova.virt.driver.ComputeDriver's."""

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        super().__init__(virtapi, read_only)
        self._copies: dict[str, Control] = {}

    def check_can_live_migrate_destination(
        self,
        context: Any,
        instance: Any,
        src_compute_info: Any,
        dst_compute_info: Any,
        block_migration: bool | None = False,
        disk_over_commit: bool | None = False,
    ) -> Any:
        """Answer at the target, as libvirt's driver does, with our storage pool in place of its test file."""
        subject = self.arriving(Operation.LIVE_MIGRATION, instance)
        self.obedience.refuse(Behaviour.BREAK_CHECK, subject, metadata_of(instance))
        try:
            self.obedience.refuse(Behaviour.REFUSE, subject, metadata_of(instance))
        except SimulatedFaultError as error:
            raise exception.MigrationPreCheckError(reason=str(error)) from error
        data = migrate_data_objects.LibvirtLiveMigrateData()
        data.filename = self._pool()
        data.image_type = CONF.libvirt.images_type
        data.graphics_listen_addr_vnc = "127.0.0.1"
        data.graphics_listen_addr_spice = "127.0.0.1"
        data.serial_listen_addr = None
        if block_migration is not None:
            data.block_migration = block_migration
        if disk_over_commit is not None:
            data.disk_over_commit = disk_over_commit
        data.disk_available_mb = dst_compute_info["free_disk_gb"] * 1024
        return data

    def check_can_live_migrate_source(
        self,
        context: Any,
        instance: Any,
        dest_check_data: Any,
        block_device_info: Any = None,
    ) -> Any:
        """Decide shared or block storage as check_can_live_migrate_source of nova/virt/libvirt/driver.py."""
        data = dest_check_data
        data.is_shared_instance_path = data.filename == self._pool()
        no_local_disk = data.is_volume_backed and not instance.flavor.ephemeral_gb
        data.is_shared_block_storage = data.is_shared_instance_path or no_local_disk
        if "block_migration" not in data:
            data.block_migration = not data.is_on_shared_storage()
        if data.block_migration and data.is_on_shared_storage():
            reason = "Block migration can not be used with shared storage."
            raise exception.InvalidLocalStorage(reason=reason, path=self.host)
        if not data.block_migration and not data.is_on_shared_storage():
            reason = "Shared storage live-migration requires either shared storage or boot-from-volume."
            raise exception.InvalidSharedStorage(reason=reason, path=self.host)
        data.instance_relative_path = instance.uuid
        return data

    def pre_live_migration(
        self,
        context: Any,
        instance: Any,
        block_device_info: Any,
        network_info: Any,
        disk_info: Any,
        migrate_data: Any,
    ) -> Any:
        """Prepare the target: connect the volumes, plug the VIFs."""
        subject = self.arriving(Operation.LIVE_MIGRATION, instance)
        with self.nova_words():
            self.obedience.refuse(Behaviour.FAIL_BEFORE, subject, metadata_of(instance))
        for mapping in (block_device_info or {}).get("block_device_mapping", []):
            self.connected(mapping["connection_info"], mapping["mount_device"])
        self.plug(instance, network_info)
        return migrate_data

    def live_migration(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Callable[..., None],
        recover_method: Callable[..., None],
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """Copy the guest to the target and tell Nova how it ended."""
        self.existing(instance)
        control = Control()
        self._copies[instance.uuid] = control
        try:
            end = self._copy(instance, dest, migrate_data, control)
        finally:
            self._copies.pop(instance.uuid, None)
        if end is CopyEnd.COMPLETED:
            self.guests.move(instance.uuid, GuestStore(HostPlace(self.state_dir, dest).guests))
            if self._splits(instance, dest):
                self._split(context, instance, dest, migrate_data)
                return
            post_method(context, instance, dest, block_migration, migrate_data)
            return
        self.unplug_server(instance, dest)
        status = "cancelled" if end is CopyEnd.ABORTED else "failed"
        recover_method(context, instance, dest, migrate_data, migration_status=status)

    def live_migration_abort(self, instance: Any) -> None:
        if control := self._copies.get(instance.uuid):
            control.abort()

    def live_migration_force_complete(self, instance: Any) -> None:
        if control := self._copies.get(instance.uuid):
            control.force()

    def post_live_migration(
        self,
        context: Any,
        instance: Any,
        block_device_info: Any,
        migrate_data: Any = None,
    ) -> None:
        """At the source: the guest is gone with the copy already."""
        self.guests.remove(instance.uuid)

    def post_live_migration_at_source(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
    ) -> None:
        self.unplug_server(instance)

    def post_live_migration_at_destination(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_migration: bool = False,
        block_device_info: Any = None,
    ) -> None:
        """At the target: the guest is here; its ports are plugged again so that the agent looks once more."""
        state = self.existing(instance).state
        self.guests.put(self.guest_of(instance, state, block_device_info))
        if state.has_memory:
            self.plug(instance, network_info)
        subject = self.arriving(Operation.LIVE_MIGRATION, instance)
        with self.nova_words():
            self.obedience.refuse(Behaviour.FAIL_AFTER, subject, metadata_of(instance))

    def rollback_live_migration_at_destination(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any,
        destroy_disks: bool = True,
        migrate_data: Any = None,
    ) -> None:
        self.guests.remove(instance.uuid)
        self.unplug_server(instance)

    def _pool(self) -> str:
        return "shared" if self.shape.storage is Storage.SHARED else f"local:{self.host}"

    def _copy(self, instance: Any, dest: str, migrate_data: Any, control: Control) -> CopyEnd:
        flavor = instance.flavor
        gib = 1024 * MIB
        disk = (flavor.root_gb + flavor.ephemeral_gb) * gib if migrate_data.block_migration else 0
        if migrate_data.is_volume_backed:
            disk = flavor.ephemeral_gb * gib if migrate_data.block_migration else 0
        work = Work(memory=flavor.memory_mb * MIB, disk=disk, rate=self.rate(instance))
        around = Surroundings(
            clock=time.monotonic,
            hindrance=self._hindrance(instance, dest),
            target_alive=lambda: read_condition(HostPlace(self.state_dir, dest)).power,
            report=Reporter(instance, migrate_data.migration),
        )
        return Copy(work, control, around).run()

    def _hindrance(self, instance: Any, dest: str) -> Callable[[], Hindrance]:
        """Return what asks the rules at each tick; a counted failure is drawn once, at the start."""
        subject = self.subject(Operation.LIVE_MIGRATION, instance, dest)
        metadata = metadata_of(instance)
        failure = first(self.obedience.rules(metadata), Behaviour.FAIL_COPY, subject)
        spared = failure is not None and not strike(self.state_dir, failure)

        def ask() -> Hindrance:
            rules = self.obedience.rules(metadata)
            if spared:
                rules = [rule for rule in rules if rule != failure]
            return hindrance(rules, subject)

        return ask

    def _splits(self, instance: Any, dest: str) -> bool:
        subject = self.subject(Operation.LIVE_MIGRATION, instance, dest)
        return self.obedience.struck(Behaviour.SPLIT, subject, metadata_of(instance)) is not None

    def _split(self, context: Any, instance: Any, dest: str, migrate_data: Any) -> None:
        """Leave what cubecos#1440 describes.

        The guest and its active bindings are at the target and the record says completed; the row stays at
        the source with its task `migrating`, and both allocations stay.
        """
        LOG.warning("simulated split of %s between %s and %s", instance.uuid, self.host, dest)
        move = objects.Migration(source_compute=self.host, dest_compute=dest)
        neutron.API().migrate_instance_start(context, instance, move)
        self.unplug_server(instance)
        migrate_data.migration.status = "completed"
        migrate_data.migration.save()


class Reporter:
    """Stores the figures where Nova's API shows them, at most once a second."""

    def __init__(self, instance: Any, migration: Any) -> None:
        self._instance = instance
        self._migration = migration
        self._last: float | None = None

    def __call__(self, now: Figures) -> None:
        moment = time.monotonic()
        if self._last is not None and moment - self._last < REPORT_SECONDS and now.memory_remaining:
            return
        self._last = moment
        for name in Figures.__slots__:
            setattr(self._migration, name, getattr(now, name))
        self._migration.save()
        self._instance.progress = now.progress
        self._instance.save()
