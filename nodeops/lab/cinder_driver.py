"""Cinder drivers of the lab: volumes without bytes whose attachments are real.

Imported by cinder-volume only. `PortableDriver` gives a connection that is good on every host, as Ceph RBD
does; `HostBoundDriver` one that is good on one host only, as an iSCSI export to one initiator is.
"""

from typing import Any

from cinder import interface
from cinder.volume import driver

CAPACITY_GIB = 10_000


class LabDriver(driver.CloneableImageVD, driver.BaseVD):
    """Keeps nothing but what Cinder's own database keeps."""

    VERSION = "1.0"

    def check_for_setup_error(self) -> None:
        return

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - cinder's
        return {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "nodeops",
            "driver_version": self.VERSION,
            "storage_protocol": "nodeops-lab",
            "total_capacity_gb": CAPACITY_GIB,
            "free_capacity_gb": CAPACITY_GIB,
            "reserved_percentage": 0,
            "multiattach": True,
        }

    def _nothing(self, *_arguments: Any, **_named: Any) -> None:
        return

    create_volume = delete_volume = create_snapshot = delete_snapshot = _nothing
    create_volume_from_snapshot = create_cloned_volume = extend_volume = _nothing
    create_export = ensure_export = remove_export = create_export_snapshot = _nothing
    remove_export_snapshot = terminate_connection_snapshot = initialize_connection_snapshot = _nothing
    copy_image_to_volume = copy_volume_to_image = _nothing

    def clone_image(self, *_arguments: Any) -> tuple[dict[str, Any], bool]:
        """Say that the volume holds the image already."""
        return {}, True

    def terminate_connection(self, *_arguments: Any, **_named: Any) -> None:
        return


@interface.volumedriver
class PortableDriver(LabDriver):
    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:  # noqa: ARG002 - cinder's
        return {
            "driver_volume_type": "rbd",
            "data": {"volume_id": volume.id, "name": f"volumes/{volume.name}"},
        }


@interface.volumedriver
class HostBoundDriver(LabDriver):
    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        return {
            "driver_volume_type": "iscsi",
            "data": {
                "volume_id": volume.id,
                "target_iqn": f"iqn.2026-01.lab.nodeops:{volume.name}",
                "target_lun": 1,
                "connector_host": connector["host"],
            },
        }
