"""Cinder driver of a lab with real hosts: volumes are files in one directory that every host sees.

Imported by cinder-volume only. Hosts mount it as NFS; on this machine it is there already.
"""

from pathlib import Path
from typing import Any

from cinder import interface
from cinder.volume.drivers import nfs

from nodeops.lab.cinder_driver import CAPACITY_GIB


@interface.volumedriver
class SharedFilesDriver(nfs.NfsDriver):  # type: ignore[misc]  # derives from a class without types
    def do_setup(self, context: Any) -> None:  # noqa: ARG002 - cinder's
        """Skip the search for an NFS client."""
        self.shares: dict[str, str] = {}
        self._execute_as_root = False

    def set_nas_security_options(self, is_new_cinder_install: bool) -> None:  # noqa: ARG002, FBT001 - cinder's
        self._execute_as_root = False

    def _ensure_share_mounted(self, nfs_share: str) -> None:
        """It is a directory beside the mount point base."""

    def _get_mount_point_for_share(self, nfs_share: str) -> str:  # noqa: ARG002 - there is one
        return str(Path(self.base).parent / "volumes")

    def _get_capacity_info(self, nfs_share: str) -> tuple[int, int, int]:  # noqa: ARG002 - likewise
        return CAPACITY_GIB << 30, CAPACITY_GIB << 30, 0
