"""Brings a lab up, mends it, takes it down, removes it."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodeops.errors import ConfigurationError, FailedError, HostBusyError
from nodeops.lab import catalogue, databases, furniture, inventory, mariadb, packages, rabbitmq, services
from nodeops.lab import hosts as simulated
from nodeops.lab.config_files import write_all
from nodeops.lab.hypervisor.settings import (
    HostShape,
    Settings,
    Storage,
    read_settings,
    settings_file,
    write_settings,
)
from nodeops.lab.layout import LOCK, Layout, forget, read_layout, unwritable
from nodeops.lab.options import LabOptions, read_options
from nodeops.lab.processes import (
    Program,
    alive,
    await_port,
    end_orphans,
    end_strays,
    ensure,
    last_words,
    recorded,
    stop,
)
from nodeops.lab.real import config as real_config
from nodeops.lab.real import furniture as real_furniture
from nodeops.lab.real import hosts as real_hosts
from nodeops.lab.real import needs as real_needs
from nodeops.lab.real.base import make_base
from nodeops.lab.real.places import RealLab
from nodeops.lab.real.tree import make_shared

ANSWER_SECONDS = 120.0
HOST_SECONDS = 180.0
END_SECONDS = {"mariadb": 30.0, "rabbitmq": 20.0}
"""The others keep nothing of their own, and are killed after 5 s."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
Say = Callable[[str], None]


@contextmanager
def holding(root: Path) -> Iterator[None]:
    """Hold the lab for one command at a time.

    Raises:
        HostBusyError: another command works on this lab.
        ConfigurationError: its directory cannot be written.

    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise unwritable(root, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HostBusyError(
                f"lab {root.name} is being worked on by process {lock.read().strip() or 'unknown'}",
                hint="Wait for it to end.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def raise_lab(layout: Layout, options: LabOptions, say: Say, *, install: bool) -> None:
    """Bring every part of the lab up; whatever is whole and running is left as it is.

    Raises:
        ConfigurationError: a package or a privilege is missing.
        FailedError: a part does not start.

    """
    if ended := end_orphans(layout.root, _compute_pids(layout)):
        say(f"ended {ended} processes that an interrupted command left")
    if options.real_hosts:
        real_needs.require_machine()
        real_needs.require_packages(say, layout.logs / "apt.out", install=install)
    missing = packages.missing_packages()
    packages.install_packages(missing, say, layout.logs / "apt.out", allowed=install)
    with ThreadPoolExecutor(1) as pool:
        tree = pool.submit(make_base, RealLab(layout), say) if options.real_hosts else None
        packages.make_environment(layout, say, layout.logs / "environment.out")
        write_all(layout, options)
        if options.real_hosts:
            real_config.write_control_plane(layout)
            make_shared(RealLab(layout))
        else:
            inventory.write_inventory(layout, options)
        catalogue.write_clouds_yaml(layout)
        _write_hosts(layout, options)
        _servers(layout, say)
        databases.make_all(layout, say)
        if tree:
            tree.result()
    with catalogue.refusals_told(layout):
        since = _services(layout, options, say)
        cloud = catalogue.connect(layout, direct=True)
        with ThreadPoolExecutor(1) as pool:
            furnished = (
                pool.submit(furniture.furnish, layout, catalogue.connect(layout, direct=True))
                if not options.real_hosts
                else None
            )
            _await_hosts(layout, cloud, since, say)
            _await_volume_backends(layout, cloud)
            if furnished:
                furnished.result()
        if options.real_hosts:
            # Not beside it: Neutron's first requests are forbidden to everyone while it reads its policy.
            real_furniture.furnish(RealLab(layout), cloud)
            furniture.furnish(layout, cloud)
        furniture.arrange(cloud, options.host_names)
    _none_ended(layout)
    say("the lab is up")


def lower_lab(layout: Layout, say: Say) -> None:
    """End every process of the lab, also those nobody remembers."""
    real = read_options(layout).real_hosts
    hosts = [] if real else [program.name for program in services.hosts(layout)]
    if real:
        say("cutting the power of the real hosts")
        real_hosts.end_all(layout)
    below = ["rabbitmq", "mariadb"]
    names = recorded(layout)
    between = [name for name in names if name not in {*hosts, *below, "epmd"}]
    for words, together in (
        ("ending the simulated hosts", hosts),
        ("ending the OpenStack services", between),
        ("ending RabbitMQ and MariaDB", below),
        ("", ["epmd"]),
    ):
        running = [name for name in together if name in names]
        if running and words:
            say(words)
        _stop_all(layout, running)
        if together is hosts:
            simulated.end_computes(layout.root)
    if ended := end_strays(layout.root):
        say(f"ended {ended} more processes of this lab")


def _stop_all(layout: Layout, names: Sequence[str]) -> None:
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        list(pool.map(lambda name: stop(layout, name, seconds=END_SECONDS.get(name, 5.0)), names))


def remove_lab(root: Path, say: Say) -> None:
    """End everything and remove the directory, also of a lab whose file cannot be read."""
    try:
        lower_lab(read_layout(root), say)
    except ConfigurationError as error:
        say(error.message)
        end_strays(root)
    forget(root)
    say(f"removing {root}")
    shutil.rmtree(root)


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the lab, as `status` shows it."""

    name: str
    running: bool
    port: int | None


def parts(layout: Layout) -> list[Part]:
    """Return what should run and whether it does."""
    try:
        below: list[Program] = [mariadb.server(layout), *rabbitmq.programs(layout)]
    except ConfigurationError:
        below = []
    wanted = [*below, *services.apis(layout), *services.workers(layout), services.proxy(layout)]
    return [
        Part(program.name, alive(layout, program.name), program.port)
        for program in [*wanted, *_host_programs(layout)]
    ]


def _host_programs(layout: Layout) -> list[Program]:
    real = read_options(layout).real_hosts
    return real_hosts.programs(layout) if real else services.hosts(layout)


def _write_hosts(layout: Layout, options: LabOptions) -> None:
    if options.real_hosts:
        return
    settings = read_settings(layout.root) if settings_file(layout.root).exists() else Settings()
    shapes = {shape.name: shape for shape in settings.hosts}
    for name in options.host_names:
        known = shapes.get(name, HostShape(name))
        shapes[name] = HostShape(name, known.vcpus, known.memory_mb, known.disk_gb, Storage(options.storage))
    write_settings(
        layout.root,
        Settings(
            tuple(shapes.values()),
            options.migration_rate,
            settings.snapshot_seconds,
            settings.operation_seconds,
        ),
    )


def _servers(layout: Layout, say: Say) -> None:
    say("starting MariaDB and RabbitMQ")
    messages = rabbitmq.programs(layout)
    for program in messages[:-1]:
        ensure(layout, program)
        await_port(layout, program, ANSWER_SECONDS)
    if ensure(layout, messages[-1]):
        # Whoever asked the broker that is gone would wait a minute for an answer.
        simulated_hosts = [] if read_options(layout).real_hosts else services.hosts(layout)
        for together in (simulated_hosts, services.workers(layout)):
            _stop_all(layout, [program.name for program in together])
    mariadb.start(layout)


def _services(layout: Layout, options: LabOptions, say: Say) -> datetime:
    """Start what is not running, and return since when the hosts have to have reported.

    They start beside the APIs they do not need: a nova-compute first reports 5 s after its start.
    """
    say("starting the OpenStack services")
    identity, placement, *others = services.apis(layout)
    launcher, agents = (None, None) if options.real_hosts else services.hosts(layout)
    for program in (identity, services.proxy(layout)):
        ensure(layout, program)
    await_port(layout, rabbitmq.programs(layout)[-1], ANSWER_SECONDS)
    for program in [placement, *services.workers(layout), *others, *([agents] if agents else [])]:
        ensure(layout, program)
    await_port(layout, identity, ANSWER_SECONDS)
    catalogue.register(layout)
    await_port(layout, placement, ANSWER_SECONDS)
    since = datetime.now(UTC) if launcher and ensure(layout, launcher) else LONG_AGO
    for program in others:
        await_port(layout, program, ANSWER_SECONDS)
    if options.real_hosts:
        say("booting the real hosts")
        began = datetime.now(UTC)
        since = began if real_hosts.raise_hosts(layout, options) else LONG_AGO
    return since


def _await_hosts(layout: Layout, cloud: Any, since: datetime, say: Say) -> None:
    say("waiting for the hosts")
    deadline = time.monotonic() + HOST_SECONDS
    wanted = {
        status.host for status in simulated.status(layout.root) if status.compute_wanted and status.power
    }
    while missing := wanted - _ready(cloud, since):
        if time.monotonic() > deadline:
            raise FailedError(
                f"hosts {', '.join(sorted(missing))} of the lab do not come up",
                hint=f"Their logs are {layout.logs}/nova-compute-HOST.log.",
            )
        time.sleep(1)


def _await_volume_backends(layout: Layout, cloud: Any) -> None:
    """A volume that is asked for before Cinder's scheduler has heard of them ends in ERROR."""
    deadline = time.monotonic() + HOST_SECONDS
    while missing := _volume_backends(cloud) - _known_backends(cloud):
        if time.monotonic() > deadline:
            raise FailedError(
                f"volume backends {', '.join(sorted(missing))} of the lab do not come up",
                hint=f"Their log is {layout.logs}/cinder-volume.log.",
            )
        time.sleep(1)


def _volume_backends(cloud: Any) -> set[str]:
    return {each.host for each in cloud.block_storage.services(binary="cinder-volume")} or {"cinder-volume"}


def _known_backends(cloud: Any) -> set[str]:
    return {pool.name.partition("#")[0] for pool in cloud.block_storage.backend_pools()}


def _none_ended(layout: Layout) -> None:
    if ended := [part.name for part in parts(layout) if not part.running]:
        raise FailedError(
            f"{', '.join(ended)} of the lab ended again: {last_words(layout, ended[0])}",
            hint="`nodeops lab up` starts it again; the logs are in " + str(layout.logs) + ".",
        )


def _compute_pids(layout: Layout) -> list[int]:
    return [status.compute_pid for status in simulated.status(layout.root) if status.compute_pid]


def _ready(cloud: Any, since: datetime) -> set[str]:
    """Return the hosts that can be used.

    Their nova-compute has reported since then and is mapped to its cell, so that the scheduler finds it, and
    their network agent is alive, so that ports can be bound. Whoever forced a host down takes that back.
    """
    up = {
        service.host
        for service in cloud.compute.services(binary="nova-compute")
        if (service.state == "up" or service.is_forced_down) and _moment(service.updated_at) >= since
    }
    nodes = {node.name for node in cloud.compute.hypervisors(details=False)}
    return up & nodes & {agent.host for agent in cloud.network.agents() if agent.is_alive}


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else LONG_AGO
