"""What lies in a host's instances path, as the host tells it; and moving it aside, or copying it away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

DAY = 86400.0
OFF = frozenset({"shut off", "crashed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory or file, with all that is below it."""

    name: str
    """Below the instances path; `_base/…` for a base file."""
    is_directory: bool
    inode: int
    space: int
    """Bytes that it takes."""
    newest: float
    """Of any change in it, by the host's clock."""
    trouble: str = ""
    """Of a base file: why nothing can be built on it."""


@dataclass(frozen=True, slots=True)
class Image:
    """A disk and the files it is built on."""

    file: str
    """Below the instances path."""
    format: str
    chain: tuple[str, ...]
    """Absolute names of its backing files."""
    trouble: str = ""
    missing: str = ""
    """A backing file that is not there."""
    followed: bool = False
    """The whole chain is known."""
    checked: bool = False
    """`qemu-img check` looked at it: only at disks that nobody has open."""


@dataclass(frozen=True, slots=True)
class Domain:
    server_id: str
    state: str
    uses: tuple[str, ...]
    """Entries of the instances path."""


@dataclass(frozen=True, slots=True)
class Use:
    """One host's instances path, and who uses it there."""

    path: str
    inode: int
    filesystem: str
    source: str
    size: int
    free: int
    users: tuple[str, ...]
    """Hosts that Nova's image cache has noted in the path itself (`nova/virt/storage_users.py`)."""
    open: frozenset[str]
    """Entries that some process has open."""
    domains: tuple[Domain, ...]
    servers: Mapping[str, int]
    """Servers' directories and their inodes."""
    now: float

    def uses(self, name: str) -> str:
        """Who uses an entry, in words; empty when nobody does."""
        if name in self.open:
            return "a process has it open"
        return next(
            (f"the guest of {each.server_id} uses it" for each in self.domains if name in each.uses), ""
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """All of one host's instances path."""

    use: Use
    entries: tuple[Entry, ...]
    bases: tuple[Entry, ...]
    images: tuple[Image, ...]
    quarantined: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class SalvageFile:
    name: str
    """Below the instances path."""
    size: int
    space: int
    mode: int
    modified: float


@dataclass(frozen=True, slots=True)
class SalvageList:
    files: tuple[SalvageFile, ...]
    open: frozenset[str] = field(default_factory=frozenset)
    running: frozenset[str] = field(default_factory=frozenset)
    """Servers whose guests run there."""


@dataclass(frozen=True, slots=True)
class CopyState:
    exists: bool
    size: int
    sha256: str
    """As noted when it was finished; empty for a file that nodeops did not copy."""
    part: int
    """Bytes that were copied so far."""


class InstanceFiles(Protocol):
    """One host. Every method raises `SshError`, or `HostTroubleError` with the host's own words."""

    def survey(self, path: str) -> Survey: ...

    def use(self, path: str) -> Use: ...

    def quarantine(self, path: str, entry: Entry, into: str, *, kind: str, why: str, run: str) -> str:
        """Move one entry aside, after looking once more; where it is now."""
        ...

    def salvage_list(self, path: str, names: tuple[str, ...]) -> SalvageList: ...

    def free(self, root: str) -> int:
        """Bytes at a salvage's target."""
        ...

    def copy_state(self, root: str, name: str) -> CopyState: ...

    def copy_here(self, path: str, root: str, name: str) -> int:
        """Copy some more on the same machine; bytes that are there by now."""
        ...

    def take(self, root: str, name: str, offset: int) -> bytes:
        """A piece of a file, empty when all of it is zeros."""
        ...

    def put(self, root: str, name: str, offset: int, piece: bytes, length: int) -> int: ...

    def sum_of(self, root: str, name: str) -> str: ...

    def finish(self, root: str, file: SalvageFile, sha256: str) -> None:
        """Check the copy and give it its name."""
        ...


def use_of(found: Mapping[str, Any]) -> Use:
    """From the host's answer."""
    return Use(
        path=found["path"],
        inode=found["inode"],
        filesystem=found["filesystem"],
        source=found["source"],
        size=found["size"],
        free=found["free"],
        users=tuple(found["users"]),
        open=frozenset(found["open"]),
        domains=tuple(
            Domain(each["server"], each["state"], tuple(each["uses"])) for each in found["domains"]
        ),
        servers=dict(found["servers"]),
        now=found["now"],
    )


def survey_of(found: Mapping[str, Any]) -> Survey:
    """From the host's answer."""
    images = tuple(
        Image(
            each["file"],
            each["format"],
            tuple(each["chain"]),
            each["trouble"],
            each["missing"],
            each["followed"],
            each["checked"],
        )
        for each in found["images"]
    )
    return Survey(
        use=use_of(found),
        entries=tuple(_entry(each) for each in found["entries"]),
        bases=tuple(_entry(each, "_base/") for each in found["bases"]),
        images=images,
        quarantined=tuple(_entry(each) for each in found["quarantined"]),
    )


def _entry(found: Mapping[str, Any], below: str = "") -> Entry:
    return Entry(
        below + found["name"],
        found["folder"],
        found["inode"],
        found["bytes"],
        found["newest"],
        found.get("trouble", ""),
    )
