"""The guests of one simulated host, durable over restarts of nova-compute: one file each.

They belong to the hypervisor, not to nova-compute: stopping the service leaves them running, and a copy that
ends moves the file from one host's directory to the other's, as libvirt moves a domain.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from nodeops.lab.hypervisor.places import read_json, write_json


class GuestState(StrEnum):
    """What the hypervisor sees, not what Nova thinks."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    SAVED = "saved"
    """Suspended to disk; like libvirt's managed save, Nova sees it as shut down."""

    @property
    def has_memory(self) -> bool:
        """Tell whether a process runs, so that its VIFs are plugged."""
        return self in {GuestState.RUNNING, GuestState.PAUSED}


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume connected to a guest on this host."""

    volume_id: str
    mountpoint: str


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest as its host knows it."""

    uuid: str
    name: str
    state: GuestState
    vcpus: int
    memory_mb: int
    disk_gb: int
    volumes: tuple[Volume, ...] = ()

    def with_volume(self, volume: Volume) -> "Guest":
        others = tuple(known for known in self.volumes if known.volume_id != volume.volume_id)
        return replace(self, volumes=(*others, volume))

    def without_volume(self, volume_id: str) -> "Guest":
        return replace(self, volumes=tuple(known for known in self.volumes if known.volume_id != volume_id))


def _guest(held: dict[str, Any]) -> Guest:
    volumes = tuple(Volume(**volume) for volume in held["volumes"])
    return Guest(**{**held, "state": GuestState(held["state"]), "volumes": volumes})


@dataclass(frozen=True, slots=True)
class GuestStore:
    """The guests of one host, each read from disk when asked for."""

    directory: Path

    def all(self) -> list[Guest]:
        found = [self.get(path.stem) for path in sorted(self.directory.glob("*.json"))]
        return [guest for guest in found if guest is not None]

    def get(self, uuid: str) -> Guest | None:
        held = read_json(self.file(uuid))
        return None if held is None else _guest(held)

    def put(self, guest: Guest) -> None:
        write_json(self.file(guest.uuid), asdict(guest))

    def remove(self, uuid: str) -> bool:
        """Forget the guest; return whether it was there."""
        try:
            self.file(uuid).unlink()
        except FileNotFoundError:
            return False
        return True

    def set_state(self, uuid: str, state: GuestState) -> bool:
        """Change the guest's state; return whether it was there."""
        guest = self.get(uuid)
        if guest is None:
            return False
        self.put(replace(guest, state=state))
        return True

    def move(self, uuid: str, target: "GuestStore") -> bool:
        """Hand the guest to another host in one rename; return whether it was there."""
        target.directory.mkdir(parents=True, exist_ok=True)
        try:
            self.file(uuid).replace(target.file(uuid))
        except FileNotFoundError:
            return False
        return True

    def power_loss(self) -> None:
        """Leave every guest as a power cut does: off, disks kept; what was saved to disk stays saved."""
        for guest in self.all():
            if guest.state.has_memory:
                self.put(replace(guest, state=GuestState.SHUTDOWN))

    def file(self, uuid: str) -> Path:
        return self.directory / f"{uuid}.json"
