"""The lab's virt driver: what nova-compute is told to load as `nodeops_lab.LabDriver`.

Semantics follow nova/virt/libvirt/driver.py where an operator can see them: a guest that is off has no VIFs,
a suspended guest looks shut down, spawning waits for Neutron's `network-vif-plugged`.
"""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from nova import exception
from nova.compute import task_states, vm_states
from nova.console import type as console_type
from nova.image import glance
from nova.virt import fake, hardware

from nodeops.lab.hypervisor.base import CONF, POWER_STATES, LabDriverBase, metadata_of
from nodeops.lab.hypervisor.behaviour import SNAPSHOT_KEY, Operation, number_of_metadata
from nodeops.lab.hypervisor.cold import ColdMigrations
from nodeops.lab.hypervisor.guests import GuestState
from nodeops.lab.hypervisor.live import LiveMigrations
from nodeops.lab.hypervisor.settings import Storage

SNAPSHOT_BYTES = 64 * 1024


class Resources(LabDriverBase):
    """Identity and resources of the simulated host."""

    capabilities: ClassVar[dict[str, bool]] = {
        **fake.FakeDriver.capabilities,
        "has_imagecache": False,
        "supports_accelerators": False,
        "supports_bfv_rescue": True,
        "supports_remote_managed_ports": False,
    }

    def init_host(self, host: str) -> None:
        self._host = host
        self._set_nodes([host])
        self._booted = time.monotonic()

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        held: dict[str, Any] = super().get_available_resource(nodename)
        guests = self.guests.all()
        used = sum(guest.disk_gb for guest in guests)
        held["vcpus_used"] = sum(guest.vcpus for guest in guests)
        held["memory_mb_used"] = sum(guest.memory_mb for guest in guests)
        held["local_gb_used"] = used
        held["disk_available_least"] = max(self.local_gb - used, 0)
        return held

    def get_host_ip_addr(self) -> str:
        return str(CONF.my_ip)

    def get_host_uptime(self) -> str:
        minutes = int(time.monotonic() - self._booted) // 60
        return f"{time.strftime('%H:%M:%S')} up {minutes} min, 0 users, load average: 0.00, 0.00, 0.00"

    def get_volume_connector(self, instance: Any) -> dict[str, Any]:
        return {
            "platform": "x86_64",
            "os_type": "linux",
            "ip": CONF.my_block_storage_ip,
            "host": self.host,
            "multipath": False,
            "initiator": f"iqn.2026-01.lab.nodeops:{self.host}",
        }

    def list_instances(self) -> list[str]:
        return [guest.name for guest in self.guests.all()]

    def list_instance_uuids(self) -> list[str]:
        return [guest.uuid for guest in self.guests.all()]

    def get_num_instances(self) -> int:
        return len(self.guests.all())

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        return hardware.InstanceInfo(state=POWER_STATES[self.existing(instance).state])

    def instance_on_disk(self, instance: Any) -> bool:
        """Tell whether the server's disk can be reached from here: always on shared storage."""
        return self.shape.storage is Storage.SHARED or self.guests.get(instance.uuid) is not None

    def check_instance_shared_storage_local(self, context: Any, instance: Any) -> dict[str, str]:
        return {"filename": self.shape.storage}

    def check_instance_shared_storage_remote(self, context: Any, data: Any) -> bool:
        return bool(data["filename"] == self.shape.storage == Storage.SHARED)

    def check_instance_shared_storage_cleanup(self, context: Any, data: Any) -> None:
        """Nothing was created."""


class Power(LabDriverBase):
    """Turning guests on and off."""

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        self.perform(self.subject(Operation.POWER_OFF, instance), instance)
        self.guests.set_state(instance.uuid, GuestState.SHUTDOWN)
        self.unplug_server(instance)

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        self.perform(self.subject(Operation.POWER_ON, instance), instance)
        self.start(instance, network_info, block_device_info)

    def start(self, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Create the guest anew and let it run, as libvirt's hard reboot does."""
        self.guests.put(self.guest_of(instance, GuestState.RUNNING, block_device_info))
        self.plug(instance, network_info)

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        self.perform(self.subject(Operation.REBOOT, instance), instance)
        self.start(instance, network_info, block_device_info)

    def resume_state_on_host_boot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        share_info: Any,
        block_device_info: Any = None,
    ) -> None:
        self.start(instance, network_info, block_device_info)

    def pause(self, instance: Any) -> None:
        self.existing(instance)
        self.guests.set_state(instance.uuid, GuestState.PAUSED)

    def unpause(self, instance: Any) -> None:
        self.existing(instance)
        self.guests.set_state(instance.uuid, GuestState.RUNNING)

    def suspend(self, context: Any, instance: Any) -> None:
        self.existing(instance)
        self.perform(self.subject(Operation.SUSPEND, instance), instance)
        self.guests.set_state(instance.uuid, GuestState.SAVED)
        self.unplug_server(instance)

    def resume(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        share_info: Any = None,
    ) -> None:
        self.perform(self.subject(Operation.RESUME, instance), instance)
        self.start(instance, network_info, block_device_info)

    def rescue(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        image_meta: Any,
        rescue_password: Any,
        block_device_info: Any,
        share_info: Any,
    ) -> None:
        self.start(instance, network_info, block_device_info)

    def unrescue(self, context: Any, instance: Any) -> None:
        self.existing(instance)
        self.guests.set_state(instance.uuid, GuestState.RUNNING)


class Devices(LabDriverBase):
    """Volumes and interfaces of guests, and what a person looks at."""

    def attach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        disk_bus: Any = None,
        device_type: Any = None,
        encryption: Any = None,
    ) -> None:
        self.perform(self.subject(Operation.ATTACH_VOLUME, instance), instance)
        volume = self.connected(connection_info, mountpoint)
        self.guests.put(self.existing(instance).with_volume(volume))

    def detach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        encryption: Any = None,
    ) -> None:
        self.perform(self.subject(Operation.DETACH_VOLUME, instance), instance)
        guest = self.guests.get(instance.uuid)
        if guest is not None:
            others = tuple(volume for volume in guest.volumes if volume.mountpoint != mountpoint)
            volume_id = connection_info.get("serial") or connection_info.get("data", {}).get("volume_id")
            self.guests.put(replace(guest, volumes=others).without_volume(str(volume_id)))

    def swap_volume(
        self,
        context: Any,
        old_connection_info: Any,
        new_connection_info: Any,
        instance: Any,
        mountpoint: str,
        resize_to: int,
    ) -> None:
        self.detach_volume(context, old_connection_info, instance, mountpoint)
        self.attach_volume(context, new_connection_info, instance, mountpoint)

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        if self.existing(instance).state.has_memory:
            self.plug(instance, [vif])

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        self.unplug([vif])

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Plug what is missing: nova-compute asks this for every server when it starts."""
        guest = self.guests.get(instance.uuid)
        if guest is not None and guest.state.has_memory:
            there = self.bridge.plugged()
            self.plug(instance, [vif for vif in network_info if vif["id"] not in there])

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        self.unplug(network_info)

    def get_console_output(self, context: Any, instance: Any) -> str:
        return f"simulated console of {instance.display_name}\nlogin: "

    def get_vnc_console(self, context: Any, instance: Any) -> Any:
        return console_type.ConsoleVNC(host=str(CONF.my_ip), port=5900, internal_access_path=None)


class LabDriver(LiveMigrations, ColdMigrations, Power, Devices, Resources):
    """One simulated host."""

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """Run the guest once Neutron says its ports are wired (as libvirt's _create_guest_with_network)."""
        self.perform(self.arriving(self._spawning(instance), instance), instance)
        state = GuestState.RUNNING if power_on else GuestState.SHUTDOWN
        guest = self.guest_of(instance, state, block_device_info)
        events = [
            ("network-vif-plugged", vif["id"])
            for vif in network_info or []
            if power_on and CONF.vif_plugging_timeout and vif.get("active", True) is False
        ]
        try:
            with self.virtapi.wait_for_instance_event(
                instance,
                events,
                timeout=CONF.vif_plugging_timeout,
                error_callback=self._vif_failed,
            ):
                self.guests.put(guest)
                if power_on:
                    self.plug(instance, network_info)
        except exception.InstanceEventTimeout as error:
            if CONF.vif_plugging_is_fatal:
                self.destroy(context, instance, network_info, block_device_info)
                raise exception.VirtualInterfaceCreateException from error

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        if instance.task_state == task_states.DELETING:
            self.perform(self.subject(Operation.DELETE, instance), instance)
        self.guests.remove(instance.uuid)
        self.unplug(network_info)
        self.unplug_server(instance)

    def cleanup(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        if destroy_vifs:
            self.unplug(network_info)
            self.unplug_server(instance)

    def snapshot(
        self,
        context: Any,
        instance: Any,
        image_id: str,
        update_task_state: Callable[..., None],
    ) -> None:
        """Upload a small image to Glance, as slowly as the server's metadata or a rule says."""
        if self.guests.get(instance.uuid) is None:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        images = glance.API()
        image = images.get(context, image_id)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        update_task_state(
            task_state=task_states.IMAGE_UPLOADING,
            expected_state=task_states.IMAGE_PENDING_UPLOAD,
        )
        metadata = metadata_of(instance)
        seconds = number_of_metadata(metadata, SNAPSHOT_KEY, self.settings.snapshot_seconds)
        self.perform(self.subject(Operation.SNAPSHOT, instance), instance, seconds)
        description = {
            "status": "active",
            "name": image["name"],
            "disk_format": "raw",
            "container_format": "bare",
            "properties": {"image_location": "snapshot", "image_state": "available"},
        }
        images.update(context, image_id, description, io.BytesIO(bytes(SNAPSHOT_BYTES)), purge_props=False)

    @staticmethod
    def _spawning(instance: Any) -> Operation:
        if instance.vm_state in {vm_states.SHELVED, vm_states.SHELVED_OFFLOADED}:
            return Operation.UNSHELVE
        if str(instance.task_state).startswith("rebuild"):
            return Operation.EVACUATE
        return Operation.BOOT

    @staticmethod
    def _vif_failed(event_name: str, instance: Any) -> None:
        if CONF.vif_plugging_is_fatal:
            raise exception.VirtualInterfaceCreateException(f"{event_name} failed for {instance.uuid}")
