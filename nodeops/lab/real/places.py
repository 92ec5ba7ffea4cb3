"""Where a lab's real hosts keep their things, and how they are called on the network."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from nodeops.lab.layout import BLOCK, Layout
from nodeops.lab.options import read_options

IDENTITIES = uuid.UUID("6a3c86a1-6c0f-4d5b-9c7a-0f0f3f1f8f52")
FIRST_HOST, MACHINE = 11, 254
FIRST_GUEST, LAST_GUEST = 100, 250
"""The last numbers of the addresses in the lab's own network."""


@dataclass(frozen=True, slots=True)
class RealLab:
    """The real hosts of one lab and what they have in common."""

    layout: Layout

    @property
    def root(self) -> Path:
        return self.layout.root / "real"

    @property
    def base(self) -> Path:
        """The Debian tree that all hosts are laid over."""
        return self.root / "base"

    @property
    def guest_image(self) -> Path:
        return self.root / "guest.qcow2"

    @property
    def instances(self) -> Path:
        """The instances directory of all hosts when storage is shared."""
        return self.root / "instances"

    @property
    def volumes(self) -> Path:
        """Cinder's volumes, as files."""
        return self.root / "volumes"

    @property
    def key(self) -> Path:
        """The private key that opens every host by SSH."""
        return self.root / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def prefix(self) -> str:
        """The first three numbers of the lab's network, the same for the same ports."""
        block = self.layout.base_port // BLOCK
        return f"10.{77 + block // 250 % 100}.{block % 250}"

    @property
    def leg(self) -> str:
        """The machine's own interface in the lab's network."""
        return f"nodeops{self.layout.base_port}"

    @property
    def switch(self) -> str:
        """The network namespace of the bridge between the hosts."""
        return f"{self.layout.name}-switch"

    @property
    def hosts(self) -> "list[RealHost]":
        names = read_options(self.layout).host_names
        return [RealHost(self, name, number) for number, name in enumerate(names, start=1)]

    @property
    def made(self) -> "list[RealHost]":
        """All hosts that ever were, also those of an `up` that was interrupted."""
        return [RealHost(self, path.name, 0) for path in sorted(self.root.glob("hosts/*"))]


@dataclass(frozen=True, slots=True)
class RealHost:
    """One real host."""

    lab: RealLab
    name: str
    number: int

    @property
    def place(self) -> Path:
        return self.lab.root / "hosts" / self.name

    @property
    def upper(self) -> Path:
        """What the host's files differ in from the base."""
        return self.place / "upper"

    @property
    def tree(self) -> Path:
        """Where its whole tree is mounted, seen by its keeper only."""
        return self.place / "tree"

    @property
    def off(self) -> Path:
        """There while the host is meant to have no power."""
        return self.place / "off"

    @property
    def compute_off(self) -> Path:
        """There while its nova-compute is meant not to run."""
        return self.place / "compute-off"

    @property
    def program(self) -> str:
        return f"host-{self.name}"

    @property
    def netns(self) -> str:
        return f"{self.lab.layout.name}-{self.name}"

    @property
    def address(self) -> str:
        return f"{self.lab.prefix}.{FIRST_HOST + self.number - 1}"

    @property
    def mac(self) -> str:
        """Always the same: another one would be unknown to the neighbours' ARP tables for a minute."""
        return f"02:00:0a:4d:00:{self.number:02x}"

    @property
    def machine_id(self) -> uuid.UUID:
        return uuid.uuid5(IDENTITIES, f"{self.lab.layout.root}/{self.name}")
