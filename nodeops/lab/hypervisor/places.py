"""Where a simulated host keeps what survives its nova-compute: guests, VIFs, identity, process id.

Everything is a small file under `<state dir>/hypervisor/<host>/`, written whole and renamed into place, so
that nova-compute, the network agent and the `lab` commands see one truth without talking to each other.
"""

import json
import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_DIR_VARIABLE = "NODEOPS_LAB_STATE_DIR"
"""Tells the driver inside nova-compute which lab it belongs to."""
IDENTITY_NAMESPACE = uuid.UUID("6f1d3a52-5c1e-4f0e-9a55-0c8d3b6f7a10")


def write_json(path: Path, value: object) -> None:
    """Write the file whole or not at all; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=1, sort_keys=True)
    Path(name).replace(path)


def read_json(path: Path) -> Any:
    """Return what the file holds, or None when there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class HostPlace:
    """The directory of one simulated host."""

    state_dir: Path
    host: str

    @property
    def root(self) -> Path:
        return self.state_dir / "hypervisor" / self.host

    @property
    def guests(self) -> Path:
        return self.root / "guests"

    @property
    def vifs(self) -> Path:
        return self.root / "vifs"

    @property
    def nova_state(self) -> Path:
        """`state_path` of this host's nova-compute, where it looks for its `compute_id`."""
        return self.root / "nova"

    @property
    def config(self) -> Path:
        return self.root / "nova-compute.conf"

    @property
    def process(self) -> Path:
        """Who runs as this host's nova-compute: its pid and start time."""
        return self.root / "nova-compute.json"

    @property
    def condition(self) -> Path:
        """Power and what is wanted of this host, see `condition.Condition`."""
        return self.root / "condition.json"

    @property
    def log(self) -> Path:
        return self.state_dir / "logs" / f"nova-compute-{self.host}.log"

    @property
    def node_uuid(self) -> str:
        """The compute node's uuid: the same for the same host name, in every lab."""
        return str(uuid.uuid5(IDENTITY_NAMESPACE, self.host))
