"""The servers that `nodeops lab populate` makes on a host, one of every kind that a drain has to think about.

Pure: what is wanted, and the next step towards it from what is seen. `populate` does the steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nodeops.lab.hypervisor.behaviour import SNAPSHOT_KEY

SNAPSHOT_SECONDS = 600.0
SMALL_MB = 512
TINY_MB = 128
"""What a real guest of the lab needs; the machine's memory is behind it."""
UPLOADING = "image_uploading"


class Put(StrEnum):
    """What is done to a server after it was booted, to bring it where it is wanted."""

    PAUSE = "pause"
    STOP = "stop"
    SUSPEND = "suspend"
    RESCUE = "rescue"
    SHELVE = "shelve"
    FAIL = "fail"
    """Nova believes it is in ERROR, while the guest runs on."""
    MIGRATE = "migrate"
    """Cold migration to the wanted host, not confirmed."""
    LOCK = "lock"
    ATTACH = "attach"
    SNAPSHOT = "snapshot"


class Policy(StrEnum):
    """Server group policies, as Nova names them."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One server that is to be there."""

    name: str
    host: str
    note: str
    ram_mb: int = SMALL_MB
    put: Put | None = None
    group: Policy | None = None
    boots_from_volume: bool = False
    pinned: bool = False
    """Booted into the zone of its host, which it may not leave."""
    boots_on: str = ""
    """Where it is booted, when that is not `host`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    real_hosts_can: bool = True
    """Not when it takes a size or a slowness to order, or shows nothing more of a real host."""

    @property
    def first_host(self) -> str:
        return self.boots_on or self.host


@dataclass(frozen=True, slots=True)
class Seen:
    """One server as Nova shows it."""

    server_id: str
    name: str
    status: str
    task: str | None
    host: str | None
    locked: bool = False
    volumes: int = 0
    fault: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


STATUS = {
    Put.PAUSE: "PAUSED",
    Put.STOP: "SHUTOFF",
    Put.SUSPEND: "SUSPENDED",
    Put.RESCUE: "RESCUE",
    Put.SHELVE: "SHELVED",
    Put.FAIL: "ERROR",
    Put.MIGRATE: "VERIFY_RESIZE",
}
ACTIONS: Mapping[Put, Mapping[str, Any]] = {
    Put.PAUSE: {"pause": None},
    Put.STOP: {"os-stop": None},
    Put.SUSPEND: {"suspend": None},
    Put.RESCUE: {"rescue": {}},
    Put.SHELVE: {"shelve": None},
    Put.FAIL: {"os-resetState": {"state": "error"}},
    Put.LOCK: {"lock": {"locked_reason": "its owner asked for quiet"}},
}
"""Bodies of the server actions that need nothing but the server."""


class Next(StrEnum):
    """What is to be done next about a wanted server."""

    CREATE = "create"
    PUT = "put"
    DELETE = "delete"
    """It is not as wanted and cannot be brought there: it is made anew."""
    WAIT = "wait"
    DONE = "done"


def next_step(wanted: Wanted, seen: Seen | None) -> Next:
    """Say what brings the server nearer to what is wanted."""
    if seen is None:
        return Next.CREATE
    if any(seen.metadata.get(key) != value for key, value in wanted.metadata.items()):
        # An upload that runs keeps the time it was told.
        return Next.DELETE
    if wanted.put is Put.SNAPSHOT and seen.task == UPLOADING and seen.host == wanted.host:
        return Next.DONE
    if seen.task is not None or seen.status in {"BUILD", "DELETED", "REBUILD", "RESIZE", "REVERT_RESIZE"}:
        return Next.WAIT
    if _reached(wanted, seen):
        return Next.DONE
    can_be_put = seen.status == "ACTIVE" and seen.host == wanted.first_host and wanted.put is not None
    return Next.PUT if can_be_put else Next.DELETE


def _reached(wanted: Wanted, seen: Seen) -> bool:
    if seen.host != wanted.host or seen.status != STATUS.get(wanted.put or Put.LOCK, "ACTIVE"):
        return False
    if wanted.put is Put.SNAPSHOT:
        return False
    if wanted.put is Put.LOCK:
        return seen.locked
    return wanted.put is not Put.ATTACH or seen.volumes > 0


def wanted_servers(
    host: str, others: Sequence[str], *, too_large_mb: int, snapshot_seconds: float = SNAPSHOT_SECONDS
) -> list[Wanted]:
    """Return every server to make for this host; fewer kinds when there are no other hosts.

    `too_large_mb` is more memory than any other host has.
    """
    return [
        *_plain(host),
        *_states(host, snapshot_seconds),
        *_bound(host),
        Wanted(
            f"{host}-too-large",
            host,
            "more memory than any other host has",
            ram_mb=too_large_mb,
            real_hosts_can=False,
        ),
        *_grouped(host, others),
        *_resized(host, others),
    ]


def for_real_hosts(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return those that make sense where each is a guest of QEMU, as small as such a guest may be."""
    return [replace(server, ram_mb=TINY_MB) for server in wanted if server.real_hosts_can]


def _plain(host: str) -> list[Wanted]:
    return [
        Wanted(
            f"{host}-plain-{number}",
            host,
            f"plain, {ram_mb} MiB" if number > 1 else "plain",
            ram_mb=ram_mb,
            real_hosts_can=number == 1,
        )
        for number, ram_mb in enumerate((512, 512, 1024, 2048, 4096), start=1)
    ]


def _states(host: str, snapshot_seconds: float) -> list[Wanted]:
    return [
        Wanted(f"{host}-paused", host, "paused", put=Put.PAUSE),
        Wanted(f"{host}-shutoff", host, "switched off by its owner", put=Put.STOP),
        Wanted(f"{host}-suspended", host, "suspended to disk", put=Put.SUSPEND),
        Wanted(f"{host}-rescued", host, "in rescue mode", put=Put.RESCUE),
        Wanted(f"{host}-shelved", host, "shelved, still on the host", put=Put.SHELVE),
        Wanted(f"{host}-error", host, "ERROR in Nova, its guest runs", put=Put.FAIL),
        Wanted(f"{host}-locked", host, "locked, with a reason", put=Put.LOCK),
        Wanted(
            f"{host}-uploading",
            host,
            "a snapshot of it is being uploaded",
            put=Put.SNAPSHOT,
            metadata={SNAPSHOT_KEY: f"{snapshot_seconds:g}"},
            real_hosts_can=False,
        ),
    ]


def _bound(host: str) -> list[Wanted]:
    return [
        Wanted(f"{host}-boot-volume", host, "boots from a volume", boots_from_volume=True),
        Wanted(f"{host}-data-volume", host, "has a data volume", put=Put.ATTACH),
        Wanted(f"{host}-pinned", host, "pinned to its availability zone", pinned=True),
    ]


def _grouped(host: str, others: Sequence[str]) -> list[Wanted]:
    together = [
        Wanted(
            f"{host}-{policy}-{number}",
            host,
            f"in a group with {policy}",
            group=policy,
            real_hosts_can=policy is Policy.AFFINITY,
        )
        for policy in (Policy.AFFINITY, Policy.SOFT_AFFINITY)
        for number in (1, 2)
    ]
    apart = [
        Wanted(
            f"{host}-{policy}-{number}",
            place,
            f"in a group with {policy}",
            group=policy,
            real_hosts_can=policy is Policy.ANTI_AFFINITY and number <= 2,  # noqa: PLR2004 - a pair
        )
        for policy, places in (
            (Policy.ANTI_AFFINITY, [host, *others[:2]]),
            (Policy.SOFT_ANTI_AFFINITY, [host, *others[:1]]),
        )
        for number, place in enumerate(places, start=1)
    ]
    return together + apart


def _resized(host: str, others: Sequence[str]) -> list[Wanted]:
    if not others:
        return []
    other = others[-1]
    return [
        Wanted(
            f"{host}-verify-resize",
            host,
            f"came from {other}, its move not confirmed",
            put=Put.MIGRATE,
            boots_on=other,
        ),
        Wanted(
            f"{host}-moved-away",
            other,
            f"went to {other}, its move not confirmed",
            put=Put.MIGRATE,
            boots_on=host,
            real_hosts_can=False,
        ),
    ]
