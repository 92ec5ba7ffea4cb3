"""`nodeops lab populate`: servers in every state that matters on one host, made or completed.

    report = populate(cloud, Hypervisors(state_dir), "c01", Options(), tell=print)

One loop looks at all servers by one call, does the next step of each side by side, and looks again, until all
are as wanted. Servers that are so already are left alone; those that cannot be brought there are made anew.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from nodeops.errors import ApiError, FailedError, UnknownHostError
from nodeops.lab import hosts as simulated
from nodeops.lab.hypervisor.settings import read_settings, write_settings
from nodeops.lab.population import (
    ACTIONS,
    SNAPSHOT_SECONDS,
    Next,
    Policy,
    Put,
    Seen,
    Wanted,
    for_real_hosts,
    next_step,
    wanted_servers,
)

TICK_SECONDS = 1.0
BUDGET_SECONDS, REAL_BUDGET_SECONDS = 240.0, 600.0
SIDE_BY_SIDE = 8
REAL_AT_ONCE = 3
"""Real guests that boot side by side: more keep two cores so busy that Nova gives up waiting for ports."""
TRIES = 3
TOO_LARGE_MB = 4 * 1024
"""How much more memory the largest server wants than a host usually has."""
BESIDE_MB = 24 * 1024
"""Memory left on the host beside the largest server."""


class Cloud(Protocol):
    """The calls populate makes; `populate_cloud.LabCloud` is the real one. All raise `ApiError`."""

    def servers(self, prefix: str) -> dict[str, Seen]: ...
    def hosts(self) -> list[str]: ...
    def zone_of(self, host: str) -> str: ...
    def memory_of(self, host: str) -> int: ...
    def boot(self, wanted: Wanted, body: dict[str, Any], group: str | None) -> None: ...
    def act(self, server_id: str, body: Any) -> None: ...
    def delete(self, server_id: str) -> None: ...
    def attach(self, server_id: str, volume_id: str) -> None: ...
    def flavor(self, ram_mb: int) -> str: ...
    def group(self, name: str, policy: Policy) -> str: ...
    def image(self) -> str: ...
    def network(self) -> str: ...
    def volume(self, name: str, *, bootable: bool, image: str = "") -> tuple[str, str]: ...
    def delete_volume(self, volume_id: str) -> None: ...


class Outcome(StrEnum):
    """What populate did about a server."""

    KEPT = "kept"
    MADE = "made"
    COMPLETED = "completed"
    """It was there and is now as wanted."""
    REMADE = "remade"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Made:
    """One server as populate leaves it."""

    wanted: Wanted
    seen: Seen | None
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How populate goes about it, times in seconds."""

    snapshot_seconds: float = SNAPSHOT_SECONDS
    budget: float | None = None
    """None: as long as this kind of host takes."""
    tick: float = TICK_SECONDS
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def end(self, *, real: bool) -> float:
        """When it is given up that begins now, on real hosts or simulated ones."""
        usual = REAL_BUDGET_SECONDS if real else BUDGET_SECONDS
        return self.clock() + (usual if self.budget is None else self.budget)


@dataclass(slots=True)
class Progress:
    """What happened to one wanted server so far."""

    steps: Counter[Next] = field(default_factory=Counter)
    found: bool = False
    done: bool = False
    reason: str = ""

    @property
    def given_up(self) -> bool:
        return any(self.steps[step] >= TRIES for step in (Next.CREATE, Next.PUT)) and bool(self.reason)

    @property
    def outcome(self) -> Outcome:
        if not self.done:
            return Outcome.FAILED
        if self.steps[Next.DELETE]:
            return Outcome.REMADE
        if self.steps[Next.CREATE]:
            return Outcome.MADE
        return Outcome.COMPLETED if self.steps[Next.PUT] else Outcome.KEPT


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Ids of what servers are made from."""

    image: str
    network: str
    zone: str
    flavors: dict[int, str]
    groups: dict[Policy, str]
    volumes: dict[str, str]
    """By the server's name."""


def choose_host(cloud: Cloud, host: str | None) -> tuple[str, list[str]]:
    """Return the host to fill, the first by default, and the others that may take part.

    Raises:
        UnknownHostError: the host is not there, or not up and enabled.

    """
    up = cloud.hosts()
    chosen = host or next(iter(up), "")
    if chosen not in up:
        raise UnknownHostError(
            f"host {chosen or '(any)'} is not up and enabled",
            hint=f"These are: {', '.join(up) or 'none'}; `nodeops lab status` shows all.",
        )
    return chosen, [name for name in up if name != chosen]


def populate(
    cloud: Cloud, state_dir: Path, host: str | None, options: Options, tell: Callable[[str], None]
) -> list[Made]:
    """Make or complete the servers, and return each as it is left.

    Raises:
        UnknownHostError: no such host is up and enabled.
        ApiError: the cloud cannot be asked, or refuses what all servers need.

    """
    chosen, others = choose_host(cloud, host)
    real = not read_settings(state_dir).hosts
    too_large = make_room(cloud, state_dir, chosen, options, tell)
    wanted = wanted_servers(chosen, others, too_large_mb=too_large, snapshot_seconds=options.snapshot_seconds)
    if real:
        wanted = for_real_hosts(wanted)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return _Populating(cloud, wanted, options, tell, pool, real=real).run(f"{chosen}-")


def make_room(cloud: Cloud, state_dir: Path, host: str, options: Options, tell: Callable[[str], None]) -> int:
    """Make the host larger than the usual one, and return the MiB of a server too large for that.

    Its nova-compute is started anew when it has to grow. A host this lab does not simulate stays as it is.

    Raises:
        FailedError: Placement did not hear of the growth in time, or nova-compute did not start.

    """
    settings = read_settings(state_dir)
    # A lab's hosts are alike, save those that were made larger here.
    usual = min((shape.memory_mb for shape in settings.hosts), default=0)
    too_large = usual + TOO_LARGE_MB
    needed = too_large + BESIDE_MB
    small = [shape for shape in settings.hosts if shape.name == host and shape.memory_mb < needed]
    if not small:
        return too_large
    tell(f"host {host}: growing to {needed} MiB")
    write_settings(state_dir, settings.with_host(replace(small[0], memory_mb=needed)))
    simulated.stop_compute(state_dir, host)
    simulated.start(state_dir, host)
    end = options.end(real=False)
    while cloud.memory_of(host) < needed:
        if options.clock() > end:
            raise FailedError(f"host {host}: Placement does not hear that it grew to {needed} MiB")
        options.wait(options.tick)
    return too_large


class _Populating:
    """The loop over all wanted servers."""

    def __init__(
        self,
        cloud: Cloud,
        wanted: Sequence[Wanted],
        options: Options,
        tell: Callable[[str], None],
        pool: ThreadPoolExecutor,
        *,
        real: bool,
    ) -> None:
        self._cloud = cloud
        self._wanted = {server.name: server for server in wanted}
        self._options = options
        self._tell = tell
        self._pool = pool
        self._real = real
        self._progress = {name: Progress() for name in self._wanted}
        self._ready: Ingredients | None = None

    def run(self, prefix: str) -> list[Made]:
        seen = self._cloud.servers(prefix)
        for name in self._wanted.keys() & seen.keys():
            self._progress[name].found = True
        end = self._options.end(real=self._real)
        while self._open(seen) and self._options.clock() < end:
            self._tick(seen)
            self._options.wait(self._options.tick)
            seen = self._cloud.servers(prefix)
        return [self._made(name, seen.get(name)) for name in self._wanted]

    def _open(self, seen: dict[str, Seen]) -> list[str]:
        """Return the names of those still to be worked at, and mark the others."""
        for name, wanted in self._wanted.items():
            progress = self._progress[name]
            done = next_step(wanted, seen.get(name)) is Next.DONE
            if done and not progress.done and progress.steps.total():
                self._tell(f"server {name}: {wanted.note}")
            progress.done = done
        return [name for name, progress in self._progress.items() if not (progress.done or progress.given_up)]

    def _tick(self, seen: dict[str, Seen]) -> None:
        names = self._open(seen)
        upload_waits = any(self._wanted[name].put is not Put.SNAPSHOT for name in names)
        room = self._room(seen)
        jobs = []
        for name in names:
            wanted, server = self._wanted[name], seen.get(name)
            step = next_step(wanted, server)
            last = wanted.put is Put.SNAPSHOT and step is Next.PUT
            if step in {Next.WAIT, Next.DONE} or (last and upload_waits):
                continue
            if step is Next.CREATE:
                if not room:
                    continue
                room -= 1
            jobs.append(self._pool.submit(self._do, step, wanted, server, self._ingredients()))
        for job in jobs:
            job.result()

    def _room(self, seen: dict[str, Seen]) -> int:
        """Return how many may be booted now."""
        if not self._real:
            return len(self._wanted)
        return max(0, REAL_AT_ONCE - sum(server.status == "BUILD" for server in seen.values()))

    def _do(self, step: Next, wanted: Wanted, server: Seen | None, ready: Ingredients) -> None:
        progress = self._progress[wanted.name]
        progress.steps[step] += 1
        try:
            if server is None:
                self._boot(wanted, ready)
                progress.reason = ""
            elif step is Next.DELETE:
                progress.reason = server.fault or f"it was {server.status} on {server.host or 'no host'}"
                self._tell(f"server {wanted.name}: made anew, {progress.reason}")
                self._cloud.delete(server.server_id)
            else:
                self._put(wanted, server, ready)
        except ApiError as error:
            progress.reason = error.message

    def _boot(self, wanted: Wanted, ready: Ingredients) -> None:
        body: dict[str, Any] = {
            "flavorRef": ready.flavors[wanted.ram_mb],
            "networks": [{"uuid": ready.network}],
        }
        if wanted.boots_from_volume:
            device = {"boot_index": 0, "uuid": ready.volumes[wanted.name], "source_type": "volume"}
            body["block_device_mapping_v2"] = [{**device, "destination_type": "volume"}]
        else:
            body["imageRef"] = ready.image
        if wanted.pinned:
            body["availability_zone"] = ready.zone
        self._cloud.boot(wanted, body, ready.groups[wanted.group] if wanted.group else None)

    def _put(self, wanted: Wanted, server: Seen, ready: Ingredients) -> None:
        if wanted.put is Put.ATTACH:
            self._cloud.attach(server.server_id, ready.volumes[wanted.name])
        elif wanted.put is Put.MIGRATE:
            self._cloud.act(server.server_id, {"migrate": {"host": wanted.host}})
        elif wanted.put is Put.SNAPSHOT:
            self._cloud.act(server.server_id, {"createImage": {"name": f"{wanted.name}-snapshot"}})
        elif wanted.put is not None:
            self._cloud.act(server.server_id, ACTIONS[wanted.put])

    def _ingredients(self) -> Ingredients:
        """Return what servers are made from, made when the first server needs it."""
        if self._ready is None:
            self._ready = self._gather_ingredients()
        return self._ready

    def _gather_ingredients(self) -> Ingredients:
        wanted = self._wanted.values()
        host = next(iter(wanted)).host
        sizes = sorted({server.ram_mb for server in wanted})
        policies = sorted({server.group for server in wanted if server.group})
        stored = [server for server in wanted if server.boots_from_volume or server.put is Put.ATTACH]
        image = self._pool.submit(self._cloud.image)
        network = self._pool.submit(self._cloud.network)
        zone = self._pool.submit(self._cloud.zone_of, host)
        flavors = {size: self._pool.submit(self._cloud.flavor, size) for size in sizes}
        groups = {p: self._pool.submit(self._cloud.group, f"{host}-{p}", p) for p in policies}
        volumes = {server.name: self._pool.submit(self._volume, server, image) for server in stored}
        return Ingredients(
            image=image.result(),
            network=network.result(),
            zone=zone.result(),
            flavors={size: flavor.result() for size, flavor in flavors.items()},
            groups={policy: group.result() for policy, group in groups.items()},
            volumes={name: volume.result() for name, volume in volumes.items()},
        )

    def _volume(self, wanted: Wanted, image: Future[str]) -> str:
        """Return the id of the server's volume once it can be used; a real guest boots from what is in it."""
        end = self._options.end(real=self._real)
        boots = wanted.boots_from_volume
        holds = image.result() if boots and self._real else ""
        while True:
            volume_id, status = self._cloud.volume(wanted.name, bootable=boots, image=holds)
            if status in {"available", "in-use"}:
                return volume_id
            if status.startswith("error"):
                self._cloud.delete_volume(volume_id)
                words = f"volume {wanted.name} ({volume_id}) is {status}, and is removed"
                raise ApiError(words, hint="The same command again makes it anew.")
            if self._options.clock() > end:
                raise ApiError(f"volume {wanted.name} ({volume_id}) is {status}")
            self._options.wait(self._options.tick)

    def _made(self, name: str, seen: Seen | None) -> Made:
        progress = self._progress[name]
        reason = "" if progress.done else progress.reason or "it did not get there in time"
        return Made(self._wanted[name], seen, progress.outcome, reason)
