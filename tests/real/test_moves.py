"""Drains on real hosts in which a host dies, and the two sides of one that does not."""

from tests.lab.bed import Bed
from tests.real.guests import await_guest, copying, on_host, serves, slow_network
from tests.real.inside import inside


def uptime(bed: Bed, host: str, server: str) -> float:
    return float(inside(bed, host, server, "cut -d' ' -f1 /proc/uptime"))


def booted(bed: Bed, host: str, server: str) -> int:
    """How often, as the guest has written down."""
    return int(inside(bed, host, server, "cat /data/boots"))


def test_blackouts_are_measured_on_the_way_out_and_back(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    for name in names:
        await_guest(bed, name)
    out = bed.run("drain", "c01", "--yes", "--probe", "ping", "-o", "json", **bed.reached)
    assert out.code == 0, out.err
    assert out.json["blackout"]["measured"] == 2
    assert 0 < out.json["blackout"]["p50"] <= out.json["blackout"]["max"] < 10
    assert {server["blackout"]["way"] for server in out.json["servers"]} == {"ping"}

    back = bed.run(
        "undrain", "c01", "--give-back", "--yes", "--probe", "libvirt", "-o", "json", **bed.reached
    )
    assert back.code == 0, back.err
    assert set(bed.hosts_of(names).values()) == {"c01"}
    assert back.json["blackout"]["measured"] == 2
    assert 0 < back.json["blackout"]["max"] < 10


def test_the_target_dies_in_mid_migration_and_the_guest_lives_on(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    await_guest(bed, name)
    server = bed.servers()[name]["id"]
    with slow_network(bed, "c01"):
        drain = bed.start(
            "drain", "c01", "--yes", "--retries", "0", "--probe", "ping", "-o", "json", **bed.reached
        )
        bed.until(lambda: copying(bed, "c01", server))
        assert bed.lab("lose", "c02").code == 0
    said, _ = drain.communicate(timeout=300)
    assert drain.returncode in {10, 11}, said
    assert '"verdict": "MOVED"' not in said
    assert "the target died" in said, said
    assert bed.hosts_of([name]) == {name: "c01"}
    bed.until(lambda: bed.servers()[name]["OS-EXT-STS:task_state"] is None)
    assert server in on_host(bed, "c01", "virsh list --uuid")
    # not by its console: the libvirt of the target has emptied the log that they share
    before = uptime(bed, "c01", server)
    bed.until(lambda: uptime(bed, "c01", server) > before + 5)
    assert booted(bed, "c01", server) == 1, "it was never off"

    # Nova may have put it into ERROR, its guest alive
    assert bed.run("states", "c01", "--fix", "--yes", **bed.reached).code == 0
    assert bed.servers()[name]["status"] == "ACTIVE"
    assert bed.lab("start", "c02").code == 0
    bed.until(lambda: serves(bed, "c02"))
    again = bed.run("drain", "c01", "--yes", "-o", "json", **bed.reached)
    assert again.code == 0, again.err
    assert bed.hosts_of([name]) == {name: "c02"}
    assert booted(bed, "c02", server) == 1


def test_the_host_dies_in_mid_drain_and_the_drain_does_not_say_done(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    for name in names:
        await_guest(bed, name)
    ids = {bed.servers()[name]["id"] for name in names}
    with slow_network(bed, "c01"):
        drain = bed.start("drain", "c01", "--yes", "--probe", "ping", "-o", "json", **bed.reached)
        bed.until(lambda: any(copying(bed, "c01", server) for server in ids))
        assert bed.lab("lose", "c01").code == 0
    said, told = drain.communicate(timeout=600)
    assert drain.returncode >= 10, told
    assert '"verdict": "MOVED"' not in said
    assert set(bed.hosts_of(names).values()) == {"c01"}

    dead = bed.run("inquest", "c01", **bed.reached)
    assert dead.code == 0, dead.out
