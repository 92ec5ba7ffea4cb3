"""The VIFs plugged on one simulated host: what `ovs-vsctl` would list on its integration bridge.

One file per port. The driver writes them, the network agent watches them. Plugging again replaces the file,
so the agent sees a new stamp and treats the port as just added, as the Open vSwitch agent does.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from nodeops.lab.hypervisor.places import read_json, write_json


class Stamp(NamedTuple):
    """Tells one plugging of a port from the next."""

    inode: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Vif:
    """One plugged VIF; `port_id` is Neutron's."""

    port_id: str
    mac: str
    server_id: str


@dataclass(frozen=True, slots=True)
class Bridge:
    """The integration bridge of one host."""

    directory: Path

    def plug(self, vif: Vif) -> None:
        write_json(self.directory / f"{vif.port_id}.json", asdict(vif))

    def unplug(self, port_id: str) -> None:
        (self.directory / f"{port_id}.json").unlink(missing_ok=True)

    def unplug_server(self, server_id: str) -> None:
        """Remove every VIF of one server, as the end of its process does."""
        for path in self.directory.glob("*.json"):
            if (read_json(path) or {}).get("server_id") == server_id:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        for path in self.directory.glob("*.json"):
            path.unlink(missing_ok=True)

    def plugged(self) -> dict[str, Stamp]:
        """Return the ports on the bridge, each with the stamp of its last plugging."""
        found: dict[str, Stamp] = {}
        for path in self.directory.glob("*.json"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[path.stem] = Stamp(status.st_ino, status.st_mtime_ns)
        return found
