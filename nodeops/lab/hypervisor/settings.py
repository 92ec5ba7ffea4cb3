"""How large the simulated hosts are and how fast they copy: `<state dir>/hypervisor/settings.json`.

Read again at the start of each operation, so a change needs no restart (sizes: at the host's next start).
"""

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from nodeops.lab.hypervisor.places import read_json, write_json

MIB = 1024 * 1024
FIRST_ADDRESS = 11


class Storage(StrEnum):
    """Where the disks of a host's servers are; decides what live migration accepts, as with libvirt."""

    SHARED = "shared"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class HostShape:
    """What one simulated host offers."""

    name: str
    vcpus: int = 16
    memory_mb: int = 32 * 1024
    disk_gb: int = 200
    storage: Storage = Storage.SHARED


@dataclass(frozen=True, slots=True)
class Settings:
    """All simulated hosts and the pace of their work."""

    hosts: tuple[HostShape, ...] = field(default=())
    migration_rate: float = 512.0
    """MiB/s a migration copies, memory and disk alike."""
    snapshot_seconds: float = 1.0
    """How long an image upload takes, unless the server says otherwise."""
    operation_seconds: float = 0.0
    """How long every other operation (start, stop, attach, …) takes."""

    def host(self, name: str) -> HostShape:
        """Return the host's shape.

        Raises:
            KeyError: no simulated host has this name.

        """
        for shape in self.hosts:
            if shape.name == name:
                return shape
        raise KeyError(name)

    def address(self, name: str) -> str:
        """Return the host's own loopback address, its `my_ip`: 127.0.0.11 for the first, and so on."""
        index = [shape.name for shape in self.hosts].index(name) + FIRST_ADDRESS
        return f"127.0.{index // 250}.{index % 250}"

    def host_of_address(self, address: str) -> str:
        """Return the name of the host whose `my_ip` this is, or the address itself when none has it."""
        for shape in self.hosts:
            if self.address(shape.name) == address:
                return shape.name
        return address

    def with_host(self, shape: HostShape) -> "Settings":
        """Return the settings with this host added, or changed when there is one of that name."""
        kept = [shape if known.name == shape.name else known for known in self.hosts]
        if shape.name not in {known.name for known in self.hosts}:
            kept.append(shape)
        return replace(self, hosts=tuple(kept))


def settings_file(state_dir: Path) -> Path:
    return state_dir / "hypervisor" / "settings.json"


def read_settings(state_dir: Path) -> Settings:
    """Return the lab's settings, or the defaults without hosts when none were written."""
    held = read_json(settings_file(state_dir)) or {}
    shapes = tuple(
        HostShape(**{**shape, "storage": Storage(shape["storage"])}) for shape in held.pop("hosts", [])
    )
    return Settings(hosts=shapes, **held)


def write_settings(state_dir: Path, settings: Settings) -> None:
    write_json(settings_file(state_dir), asdict(settings))
