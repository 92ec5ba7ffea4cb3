"""Looking into a server's disk on its host: what is asked there, and what is answered.

The host keeps a look up only as long as it hears of nodeops (`SILENCE_SECONDS`) and no longer than agreed;
what it set up it takes down by itself, and the guest comes back to the state it was in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""So long nothing may be heard of nodeops."""
LOOK_SECONDS = 1800.0
"""The longest a look may take unless more was asked for: the guest stands still meanwhile."""


@dataclass(frozen=True, slots=True)
class Disk:
    target: str
    """Such as vda."""
    source: str
    kind: str
    """file, block or network."""
    format: str
    """qcow2 or raw; empty where nobody wrote it down."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A server as its hypervisor has it."""

    state: str
    """virsh's word: running, paused, shut off, crashed …; `undefined` where libvirt has forgotten it."""
    reason: str
    run: str
    """Of this start of the guest; empty while it is off."""
    saved: bool
    """Its memory lies in a file, as after Nova's suspend."""
    disks: tuple[Disk, ...]
    ways: tuple[str, ...]
    """How a disk can be exported there: nbd, storage-daemon, nbdfuse."""
    missing: tuple[str, ...] = ()
    """Programs that are not installed there."""
    held: "Look | None" = None
    """A look that is there already."""

    @property
    def off(self) -> bool:
        return self.state in {"shut off", "crashed", "undefined"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a disk: mounted, or with the reason why not."""

    name: str
    type: str
    label: str
    size: int
    """Bytes; 0 for the whole disk."""
    trouble: str = ""

    @property
    def mounted(self) -> bool:
        return not self.trouble


@dataclass(frozen=True, slots=True)
class Look:
    """One look into a server's disk, as the host has it."""

    server_id: str
    phase: str
    """asked, ready, ending or ended; empty where nothing is known of one."""
    parts: tuple[Part, ...] = ()
    suspended: bool = False
    state_before: str = ""
    state_after: str = ""
    """Of the guest, once it was brought back."""
    reason: str = ""
    """Why it ended."""
    left: tuple[str, ...] = ()
    """What could not be taken down."""
    who: str = ""
    writable: bool = False
    keeper_alive: bool = False
    silent_for: float = 0.0
    """Seconds since somebody was heard of."""
    mounts: int = 0

    @property
    def ready(self) -> bool:
        return self.phase == "ready"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked into."""

    server_id: str
    guest: Guest
    disk: Disk
    way: str
    seconds: float
    who: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the guest."""

    name: str
    mode: str
    uid: int
    gid: int
    size: int
    modified: float
    link: str


@dataclass(frozen=True, slots=True)
class Digest:
    size: int
    sha256: str


class DiskLooker(Protocol):
    """One host. Every method raises `SshError`, or `HostTroubleError` with the host's own words."""

    def guest(self, server_id: str, instances_path: str) -> Guest:
        """Reads only."""
        ...

    def looks(self) -> tuple[Look, ...]:
        """Reads only."""
        ...

    def begin(self, wanted: Wanted) -> Look:
        """Suspend, export, mount; returns when all of it is there. What failed was taken down again."""
        ...

    def beat(self, server_id: str) -> Look:
        """Say that somebody is there."""
        ...

    def end(self, server_id: str, *, stay_paused: bool = False) -> Look:
        """Take it down; also when it has ended by itself."""
        ...

    def clean(self, server_ids: tuple[str, ...]) -> tuple[Look, ...]:
        """Take these down, whoever began them."""
        ...

    def entries(self, server_id: str, part: str, path: str) -> tuple[tuple[Entry, ...], bool]:
        """A directory's entries, and whether there are more than are listed."""
        ...

    def digest(self, server_id: str, part: str, path: str) -> Digest: ...

    def read(self, server_id: str, part: str, path: str, offset: int, length: int) -> bytes: ...


def look_of(found: Mapping[str, Any]) -> Look:
    """From the host's answer."""
    parts = tuple(
        Part(each["name"], each["type"], each["label"], each["size"], each["trouble"])
        for each in found.get("parts", ())
    )
    return Look(
        server_id=str(found.get("server", "")),
        phase=str(found.get("phase", "")),
        parts=parts,
        suspended=bool(found.get("suspended")),
        state_before=str(found.get("state", "")),
        state_after=str(found.get("state_after", "")),
        reason=str(found.get("reason", "")),
        left=tuple(found.get("left", ())),
        who=str(found.get("who", "")),
        writable=bool(found.get("writable")),
        keeper_alive=bool(found.get("keeper_alive")),
        silent_for=float(found.get("silent_for", 0.0)),
        mounts=len(found.get("mounts", ())),
    )


def guest_of(found: Mapping[str, Any]) -> Guest:
    """From the host's answer."""
    disks = tuple(
        Disk(each["target"], each["source"], each["kind"], each["format"]) for each in found["disks"]
    )
    return Guest(
        state=found["state"],
        reason=found["reason"],
        run=found["id"],
        saved=found["saved"],
        disks=disks,
        ways=tuple(found["ways"]),
        missing=tuple(found["missing"]),
        held=None if found["held"] is None else look_of(found["held"]),
    )
