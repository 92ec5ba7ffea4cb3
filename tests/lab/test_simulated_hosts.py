"""The simulated hosts do what they say, seen through the real APIs."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from nodeops.lab import hosts
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.settings import Storage, read_settings, write_settings
from nodeops.lab.populate_cloud import LabCloud
from nodeops.lab.population import Policy
from tests.lab.bed import Bed

MIB = 1024 * 1024
SLOW = {"nodeops:migration-rate": "128"}
"""MiB/s: the 512 MiB of m1.tiny take four seconds."""


def server(bed: Bed, name: str) -> dict[str, Any]:
    return bed.servers()[name]


def seen(bed: Bed, name: str) -> tuple[str, str, str | None]:
    """Return status, host and task of a server."""
    found = server(bed, name)
    return found["status"], found["OS-EXT-SRV-ATTR:host"], found["OS-EXT-STS:task_state"]


def migrate(bed: Bed, name: str, target: str | None, *, block: str | bool = "auto") -> None:
    bed.act(name, {"os-migrateLive": {"host": target, "block_migration": block}})


def idle(bed: Bed, name: str) -> None:
    bed.until(lambda: server(bed, name)["OS-EXT-STS:task_state"] is None)


def running(bed: Bed, name: str) -> dict[str, Any]:
    """Return the figures of the migration that runs, once it does."""
    path = f"/servers/{server(bed, name)['id']}/migrations"
    found: list[dict[str, Any]] = []

    def runs() -> bool:
        found[:] = bed.cloud.compute.get(path, microversion="2.80").json()["migrations"]
        return bool(found) and found[0]["status"] == "running" and bool(found[0]["memory_total_bytes"])

    bed.until(runs)
    return found[0]


def last_migration(bed: Bed, name: str) -> tuple[str, str]:
    """Return status and target of the server's last migration record."""
    path = f"/os-migrations?instance_uuid={server(bed, name)['id']}"
    found = bed.cloud.compute.get(path, microversion="2.80").json()["migrations"][0]
    return found["status"], found["dest_compute"]


def bindings(bed: Bed, name: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the status of the server's port and its bindings."""
    port = next(iter(bed.cloud.network.ports(device_id=server(bed, name)["id"])))
    held = bed.cloud.network.get(f"/ports/{port.id}/bindings").json()["bindings"]
    return port.status, sorted((binding["host"], binding["status"]) for binding in held)


def wired(bed: Bed, name: str, host: str) -> bool:
    """Return whether the server's port comes to be ACTIVE and bound on this host only."""
    return bed.comes(lambda: bindings(bed, name) == ("ACTIVE", [(host, "ACTIVE")]), 15.0)


@pytest.fixture
def local_disks(bed: Bed) -> Iterator[None]:
    """Every host keeps its servers' disks on itself for the time of a test."""
    before = read_settings(bed.root)
    shapes = tuple(replace(shape, storage=Storage.LOCAL) for shape in before.hosts)
    write_settings(bed.root, replace(before, hosts=shapes))
    yield
    write_settings(bed.root, before)


def test_a_live_migration_takes_memory_by_rate_and_shows_its_figures(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1, metadata=SLOW)
    began = time.monotonic()
    migrate(bed, name, "c02")
    figures = running(bed, name)
    assert figures["memory_total_bytes"] == 512 * MIB
    assert figures["memory_processed_bytes"] + figures["memory_remaining_bytes"] == 512 * MIB
    assert figures["disk_total_bytes"] == 0
    idle(bed, name)
    assert time.monotonic() - began >= 4.0
    assert seen(bed, name) == ("ACTIVE", "c02", None)
    assert last_migration(bed, name) == ("completed", "c02")
    assert wired(bed, name, "c02")


@pytest.mark.usefixtures("local_disks")
def test_local_disks_are_copied_or_refused(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1, metadata=SLOW)
    migrate(bed, name, "c02", block=False)
    idle(bed, name)
    assert seen(bed, name) == ("ACTIVE", "c01", None)
    assert last_migration(bed, name)[0] == "error"
    migrate(bed, name, "c02")
    assert running(bed, name)["disk_total_bytes"] == 1024 * MIB
    idle(bed, name)
    assert seen(bed, name) == ("ACTIVE", "c02", None)


def test_a_block_migration_of_shared_disks_is_refused(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    migrate(bed, name, "c02", block=True)
    idle(bed, name)
    assert seen(bed, name) == ("ACTIVE", "c01", None)
    assert last_migration(bed, name)[0] == "error"


def test_what_never_converges_ends_by_abort_or_force(bed: Bed) -> None:
    aborted, forced = names = bed.boot("c01", 2)
    bed.fault("host", "never-converge")
    for name in names:
        migrate(bed, name, "c02")
    paths = {
        name: f"/servers/{server(bed, name)['id']}/migrations/{running(bed, name)['id']}" for name in names
    }
    for name in names:
        bed.until(partial(copied_again, bed, name))
    compute = bed.cloud.compute
    compute.delete(paths[aborted], microversion="2.80").raise_for_status()
    force = {"force_complete": None}
    compute.post(f"{paths[forced]}/action", json=force, microversion="2.80").raise_for_status()
    for name, host, ends in ((aborted, "c01", "cancelled"), (forced, "c02", "completed")):
        bed.until(partial(ended_so, bed, name, "ACTIVE", ends))
        assert seen(bed, name) == ("ACTIVE", host, None)
        assert wired(bed, name, host)


def copied_again(bed: Bed, name: str) -> bool:
    """Whether more was copied than there is."""
    return bool(running(bed, name)["memory_processed_bytes"] > 512 * MIB)


FAILURES = {
    "refuse": ("ACTIVE", "c01", "error"),
    "fail-before": ("ACTIVE", "c01", "failed"),
    "fail-copy": ("ACTIVE", "c01", "failed"),
    "fail-after": ("ERROR", "c02", "error"),
    "break-check": ("ERROR", "c01", "error"),
}
"""Fault, and the status, host and migration record it leaves."""


def test_live_migrations_fail_where_they_are_told(bed: Bed) -> None:
    names = dict(zip(FAILURES, bed.boot("c01", len(FAILURES)), strict=True))
    for fault, name in names.items():
        bed.fault("host", fault, "--server", name, "--times", "1")
        migrate(bed, name, "c02")
    for fault, (status, host, record) in FAILURES.items():
        name = names[fault]
        ended = partial(ended_so, bed, name, status, record)
        bed.until(ended)
        assert seen(bed, name) == (status, host, None), fault
    guests = {host: GuestStore(HostPlace(bed.root, host).guests).all() for host in ("c01", "c02")}
    found = sorted((guest.uuid, host) for host, held in guests.items() for guest in held)
    ids = {name: server(bed, name)["id"] for name in names.values()}
    assert found == sorted((ids[names[fault]], host) for fault, (_, host, _) in FAILURES.items())


def ended_so(bed: Bed, name: str, status: str, record: str) -> bool:
    return seen(bed, name)[::2] == (status, None) and last_migration(bed, name)[0] == record


def test_a_split_leaves_the_row_behind(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    bed.fault("host", "split", "--server", name)
    migrate(bed, name, "c02")
    bed.until(lambda: last_migration(bed, name) == ("completed", "c02"))
    assert seen(bed, name) == ("MIGRATING", "c01", "migrating")
    assert GuestStore(HostPlace(bed.root, "c01").guests).all() == []
    bed.until(lambda: bindings(bed, name) == ("ACTIVE", [("c01", "INACTIVE"), ("c02", "ACTIVE")]), 15.0)
    GuestStore(HostPlace(bed.root, "c02").guests).remove(server(bed, name)["id"])


def test_a_hang_hears_nothing_until_it_is_cleared(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    bed.fault("host", "hang", "--server", name)
    migrate(bed, name, "c02")
    path = f"/servers/{server(bed, name)['id']}/migrations/{running(bed, name)['id']}"
    bed.cloud.compute.delete(path, microversion="2.80").raise_for_status()
    time.sleep(3)
    assert seen(bed, name) == ("MIGRATING", "c01", "migrating")
    bed.fault("clear")
    idle(bed, name)
    assert seen(bed, name) == ("ACTIVE", "c01", None)


def test_states_survive_the_death_of_nova_compute(bed: Bed) -> None:
    paused, suspended = bed.boot("c01", 2)
    bed.act(paused, {"pause": None})
    bed.act(suspended, {"suspend": None})
    states = {paused: ("PAUSED", "c01", None), suspended: ("SUSPENDED", "c01", None)}
    bed.until(lambda: {name: seen(bed, name) for name in states} == states)
    hosts.stop_compute(bed.root, "c01")
    bed.until(lambda: bed.service("c01")["state"] == "down")
    assert next(iter(bed.cloud.network.agents(host="c01"))).is_alive
    hosts.start(bed.root, "c01")
    bed.until(lambda: bed.service("c01")["state"] == "up")
    assert {name: seen(bed, name) for name in states} == states


def test_a_paused_server_arrives_paused(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    bed.act(name, {"pause": None})
    bed.until(lambda: seen(bed, name) == ("PAUSED", "c01", None))
    migrate(bed, name, "c02")
    idle(bed, name)
    assert seen(bed, name) == ("PAUSED", "c02", None)


def test_cold_migration_and_both_its_ends(bed: Bed) -> None:
    ends = {"confirmResize": "c03", "revertResize": "c01"}
    names = dict(zip(ends, bed.boot("c01", 2), strict=True))
    for name in names.values():
        bed.act(name, {"migrate": {"host": "c03"}})
    waiting = ("VERIFY_RESIZE", "c03", None)
    bed.until(lambda: all(seen(bed, name) == waiting for name in names.values()))
    for end, name in names.items():
        bed.act(name, {end: None})
    for end, host in ends.items():
        bed.until(partial(stands, bed, names[end], host))
        assert wired(bed, names[end], host)


def stands(bed: Bed, name: str, host: str) -> bool:
    return seen(bed, name) == ("ACTIVE", host, None)


def test_a_host_that_a_member_of_a_group_left_takes_another_at_once(bed: Bed) -> None:
    group = LabCloud(bed.layout).group("bed-apart", Policy.ANTI_AFFINITY)
    (first,) = bed.boot("c01", 1, group=group)
    (second,) = bed.boot("c02", 1, group=group)
    migrate(bed, first, "c03")
    bed.until(lambda: seen(bed, first) == ("ACTIVE", "c03", None))
    migrate(bed, second, "c01")
    idle(bed, second)
    assert seen(bed, second) == ("ACTIVE", "c01", None)


def test_a_server_that_is_off_has_a_port_that_is_down(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    assert wired(bed, name, "c01")
    bed.act(name, {"os-stop": None})
    assert bed.comes(lambda: bindings(bed, name) == ("DOWN", [("c01", "ACTIVE")]))
    bed.act(name, {"os-start": None})
    bed.until(lambda: seen(bed, name) == ("ACTIVE", "c01", None))
    assert wired(bed, name, "c01")


def test_a_host_that_reboots_comes_back_with_its_servers_shut_off(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    hosts.reboot(bed.root, "c01")
    bed.until(lambda: seen(bed, name) == ("SHUTOFF", "c01", None), 150.0)
    assert bed.service("c01")["state"] == "up"


def test_a_lost_host_is_silent_and_its_servers_can_be_evacuated(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    hosts.lose(bed.root, "c01")
    bed.until(lambda: bed.service("c01")["state"] == "down")
    bed.until(lambda: not next(iter(bed.cloud.network.agents(host="c01"))).is_alive)
    bed.set_service("c01", forced_down=True)
    bed.act(name, {"evacuate": {"host": "c02"}}, microversion="2.95")
    bed.until(lambda: seen(bed, name) == ("SHUTOFF", "c02", None))
    hosts.start(bed.root, "c01")
    bed.until(lambda: last_migration(bed, name) == ("completed", "c02"))
    bed.set_service("c01", forced_down=False)
    bed.until(lambda: bed.service("c01")["state"] == "up")
    assert GuestStore(HostPlace(bed.root, "c01").guests).all() == []


def test_an_upload_takes_as_long_as_told(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1, metadata={"nodeops:snapshot-seconds": "5"})
    bed.act(name, {"createImage": {"name": "bed-snapshot"}})
    bed.until(lambda: seen(bed, name)[2] == "image_uploading")
    idle(bed, name)
    image = bed.cloud.image.find_image("bed-snapshot")
    assert (image.status, image.size) == ("active", 64 * 1024)
    bed.cloud.image.delete_image(image)
