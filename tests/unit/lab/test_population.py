"""What `lab populate` wants, and its next step from every state a server can be found in."""

from dataclasses import replace

import pytest

from nodeops.lab.hypervisor.behaviour import SNAPSHOT_KEY
from nodeops.lab.population import (
    ACTIONS,
    TINY_MB,
    Next,
    Policy,
    Put,
    Seen,
    Wanted,
    for_real_hosts,
    next_step,
    wanted_servers,
)

PLAIN = Wanted("c01-plain", "c01", "plain")
ACTIVE = Seen("id", "c01-plain", "ACTIVE", None, "c01")


def put(way: Put, boots_on: str = "") -> Wanted:
    return replace(PLAIN, put=way, boots_on=boots_on)


UPLOAD = replace(put(Put.SNAPSHOT), metadata={SNAPSHOT_KEY: "90"})


@pytest.mark.parametrize(
    ("wanted", "seen", "step"),
    [
        (PLAIN, None, Next.CREATE),
        (PLAIN, replace(ACTIVE, status="BUILD", task="spawning"), Next.WAIT),
        (PLAIN, replace(ACTIVE, status="BUILD"), Next.WAIT),
        (PLAIN, ACTIVE, Next.DONE),
        (PLAIN, replace(ACTIVE, host="c02"), Next.DELETE),
        (PLAIN, replace(ACTIVE, status="ERROR", host=None), Next.DELETE),
        (PLAIN, replace(ACTIVE, task="migrating"), Next.WAIT),
        (put(Put.PAUSE), ACTIVE, Next.PUT),
        (put(Put.PAUSE), replace(ACTIVE, task="pausing"), Next.WAIT),
        (put(Put.PAUSE), replace(ACTIVE, status="PAUSED"), Next.DONE),
        (put(Put.PAUSE), replace(ACTIVE, status="SHUTOFF"), Next.DELETE),
        (put(Put.SHELVE), replace(ACTIVE, status="SHELVED_OFFLOADED", host=None), Next.DELETE),
        (put(Put.FAIL), replace(ACTIVE, status="ERROR"), Next.DONE),
        (put(Put.FAIL), replace(ACTIVE, status="ERROR", host=None), Next.DELETE),
        (put(Put.LOCK), ACTIVE, Next.PUT),
        (put(Put.LOCK), replace(ACTIVE, locked=True), Next.DONE),
        (put(Put.ATTACH), ACTIVE, Next.PUT),
        (put(Put.ATTACH), replace(ACTIVE, volumes=1), Next.DONE),
        (put(Put.SNAPSHOT), ACTIVE, Next.PUT),
        (put(Put.SNAPSHOT), replace(ACTIVE, task="image_snapshot"), Next.WAIT),
        (put(Put.SNAPSHOT), replace(ACTIVE, task="image_uploading"), Next.DONE),
        (put(Put.SNAPSHOT), replace(ACTIVE, task="image_uploading", host="c02"), Next.WAIT),
        (UPLOAD, replace(ACTIVE, task="image_uploading", metadata={SNAPSHOT_KEY: "90"}), Next.DONE),
        (UPLOAD, replace(ACTIVE, task="image_uploading", metadata={SNAPSHOT_KEY: "600"}), Next.DELETE),
        (UPLOAD, replace(ACTIVE, metadata={SNAPSHOT_KEY: "90", "owner's": "word"}), Next.PUT),
        (put(Put.MIGRATE, "c02"), replace(ACTIVE, host="c02"), Next.PUT),
        (put(Put.MIGRATE, "c02"), replace(ACTIVE, status="RESIZE", host="c02"), Next.WAIT),
        (put(Put.MIGRATE, "c02"), replace(ACTIVE, status="VERIFY_RESIZE"), Next.DONE),
        (put(Put.MIGRATE, "c02"), replace(ACTIVE, status="VERIFY_RESIZE", host="c03"), Next.DELETE),
        (put(Put.MIGRATE, "c02"), ACTIVE, Next.DELETE),
    ],
)
def test_next_step(wanted: Wanted, seen: Seen | None, step: Next) -> None:
    assert next_step(wanted, seen) is step


def test_every_kind_is_there_once() -> None:
    made = wanted_servers("c01", ["c02", "c03", "c04"], too_large_mb=40960, snapshot_seconds=90.0)
    assert len({server.name for server in made}) == len(made)
    assert {server.put for server in made} == {None, *Put}
    assert {server.group for server in made} == {None, *Policy}
    assert sum(server.pinned for server in made) == 1
    assert sum(server.boots_from_volume for server in made) == 1
    assert max(server.ram_mb for server in made) == 40960
    assert len({server.ram_mb for server in made if server.put is None and not server.group}) > 3
    [uploading] = [server for server in made if server.put is Put.SNAPSHOT]
    assert uploading.metadata == {SNAPSHOT_KEY: "90"}


def test_groups_lie_as_their_policies_say() -> None:
    made = wanted_servers("c01", ["c02", "c03", "c04"], too_large_mb=40960)
    hosts = {policy: [s.host for s in made if s.group is policy] for policy in Policy}
    assert hosts == {
        Policy.AFFINITY: ["c01", "c01"],
        Policy.SOFT_AFFINITY: ["c01", "c01"],
        Policy.ANTI_AFFINITY: ["c01", "c02", "c03"],
        Policy.SOFT_ANTI_AFFINITY: ["c01", "c02"],
    }


def test_a_lab_of_one_host_gets_what_one_host_can_have() -> None:
    made = wanted_servers("c01", [], too_large_mb=40960)
    assert {server.host for server in made} == {"c01"}
    assert not any(server.put is Put.MIGRATE for server in made)


def test_simple_actions_have_bodies() -> None:
    assert set(Put) - set(ACTIONS) == {Put.MIGRATE, Put.ATTACH, Put.SNAPSHOT}


def test_real_hosts_get_few_and_small_ones_of_the_states_that_matter() -> None:
    made = for_real_hosts(wanted_servers("c01", ["c02"], too_large_mb=40960))
    assert {server.ram_mb for server in made} == {TINY_MB}
    assert {server.put for server in made} == {None, *Put} - {Put.SNAPSHOT}
    assert [server.host for server in made if server.group is Policy.ANTI_AFFINITY] == ["c01", "c02"]
    assert any(server.boots_from_volume for server in made)
    assert len(made) <= 16
