"""How long a step should take, how long it may, and how long the whole will.

A live migration takes an overhead, and its memory (and disk, where that is copied) divided by a rate: the
operator's, else the inventory's for the host, else what the journal learnt, else `DEFAULT_RATE_MIB`.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from nodeops.model.facts import Learnt, Server
from nodeops.runbooks.bonds import has_local_disk
from nodeops.runbooks.classify import Classified, copied_disk_gb
from nodeops.runbooks.links import Link
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.scene import Scene

DEFAULT_RATE_MIB = 250.0
"""MiB/s: a quarter of what a 10 Gbit/s link carries, which one migration among others may count on."""
DEFAULT_OVERHEAD = 5.0
"""Seconds of a live migration beside the copying: checks, port bindings, the switch."""
SHORTEST_BUDGET = 60.0
WAIT_BUDGET = 3600.0
"""A task that ends by itself is waited for so long: an image of a large disk takes its time to upload."""
EVACUATION_BUDGET = 900.0
"""An evacuation may have to fetch an image first; it cannot be aborted, and none that ends is given up."""
SECONDS = {
    "evacuate": 15.0,
    "confirm-resize": 3.0,
    "cold-migrate": 8.0,
    "wait-task": 60.0,
    "wait-deleted": 30.0,
    "resume": 5.0,
    "suspend": 5.0,
    "rescue": 10.0,
    "unrescue": 10.0,
    "pause": 2.0,
    "unpause": 2.0,
    "stop": 15.0,
    "reset-state": 1.0,
    "shelve": 20.0,
    "shelve-offload": 5.0,
    "unshelve": 20.0,
}
"""Beside what is copied."""
COPIES_MEMORY = frozenset({"live-migrate", "block-migrate", "suspend", "resume"})
COPIES_DISK = frozenset({"block-migrate", "cold-migrate"})
THROUGH_IMAGE = frozenset({"shelve", "unshelve"})
WAITS = frozenset({"wait-task", "wait-deleted"})


@dataclass(frozen=True, slots=True)
class Times:
    """Of one step, in seconds."""

    expected: float
    budget: float


def rate_mib(scene: Scene, host: str | None) -> float:
    """MiB/s of one move out of that host."""
    learnt = scene.facts.learnt
    said = scene.options.rate_mib or scene.settings(host).rate_mib or (learnt.rate_mib if learnt else None)
    return said or DEFAULT_RATE_MIB


def times(scene: Scene, classified: Classified, link: Link) -> Times:
    """Of one link of a server's chain."""
    server = classified.server
    expected = _overhead(link, scene.facts.learnt) + _mib(scene, classified, link) / rate_mib(
        scene, server.host
    )
    expected = round(expected, 1)
    if link.action in WAITS:
        return Times(expected, WAIT_BUDGET)
    if link.action == "evacuate":
        return Times(expected, max(EVACUATION_BUDGET, budget(scene, expected)))
    return Times(expected, budget(scene, expected))


def budget(scene: Scene, expected: float) -> float:
    """After so many seconds a step is stuck."""
    return max(SHORTEST_BUDGET, round(scene.options.budget_factor * expected, 1))


def _overhead(link: Link, learnt: Learnt | None) -> float:
    if link.seconds is not None:
        return link.seconds
    if link.action in {"live-migrate", "block-migrate"}:
        return learnt.overhead_seconds if learnt else DEFAULT_OVERHEAD
    return SECONDS.get(link.action, DEFAULT_OVERHEAD)


def _mib(scene: Scene, classified: Classified, link: Link) -> float:
    """What has to be copied."""
    server = classified.server
    memory = float(server.flavor.ram_mb) if link.action in COPIES_MEMORY else 0.0
    if link.action in COPIES_DISK:
        return memory + 1024.0 * copied_disk_gb(scene, classified)
    return memory + (1024.0 * _image_gb(server) if link.action in THROUGH_IMAGE else 0.0)


def _image_gb(server: Server) -> int:
    return server.flavor.disk_gb if has_local_disk(server) and not server.boots_from_volume else 0


def lanes(options: MoveOptions, targets: int) -> int:
    """Moves side by side out of one host.

    Unsaid, one at a time, as Nova does by default (`max_concurrent_live_migrations`); never more than the
    targets take.
    """
    return max(1, min(options.parallel or 1, options.inbound * max(1, targets)))


def total(moves: Sequence[tuple[float, float]], *, side_by_side: int, canary: bool) -> float:
    """Wall time of moves, each given by the seconds it waits and the seconds it works: the longest first.

    The waiting goes on beside the others' work. The canary is the smallest, and goes alone.
    """
    working = sorted((work for _, work in moves), reverse=True)
    alone = working.pop() if canary and len(working) > 1 else 0.0
    ends = [0.0] * side_by_side
    for seconds in working:
        heapq.heapreplace(ends, ends[0] + seconds)
    longest_wait = max((wait + work for wait, work in moves if wait), default=0.0)
    return round(max(alone + max(ends), longest_wait), 1)
