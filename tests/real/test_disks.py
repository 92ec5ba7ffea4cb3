"""The instances path of a real host: whose is what, what may not be moved, and copies with checksums."""

from collections.abc import Iterator

import pytest

from tests.lab.bed import Bed, kill
from tests.real.guests import HOST, OTHER, await_guest, on_host, slow_network
from tests.real.test_inspect import nodeops

PATH = "/var/lib/nova/instances"
STRAY = "0badc0de-0000-4000-8000-000000000000"
SAVED = "/root/nodeops-saved"


@pytest.fixture
def stray(bed: Bed) -> Iterator[str]:
    """A directory of no server, with a disk whose base file is gone."""
    disk = f"{PATH}/{STRAY}/disk"
    on_host(
        bed,
        HOST,
        f"mkdir -p {PATH}/{STRAY}; qemu-img create -q -f qcow2 -u -b {PATH}/_base/gone -F raw {disk} 1M;"
        f'echo \'{{"{disk}": "qcow2"}}\' > {PATH}/{STRAY}/disk.info',
    )
    yield STRAY
    on_host(bed, HOST, f"rm -r {PATH}/{STRAY}")


@pytest.fixture
def saved(bed: Bed) -> Iterator[str]:
    on_host(bed, OTHER, f"rm -rf {SAVED}; mkdir {SAVED}")
    yield SAVED
    on_host(bed, OTHER, f"rm -rf {SAVED}")


def test_classes_and_broken_chains(bed: Bed, stray: str) -> None:
    (name,) = bed.boot(HOST, 1)
    found = nodeops(bed, "disks", HOST, "-o", "json")
    assert found.code == 30, found.err
    items = {(item["class"], item["name"]): item for item in found.json["items"]}
    assert ("in-use", bed.servers()[name]["id"]) in items
    assert ("unknown", stray) in items
    assert ("broken-chain", f"{stray}/disk") in items
    assert ("base-missing", "_base/gone") in items
    assert found.json["classes"]["base-used"]["bytes"] > 0


def test_nothing_younger_than_a_day_is_moved(bed: Bed, stray: str) -> None:
    done = nodeops(bed, "disks", HOST, "--clean", "--allow", "unknown", "--yes", "-o", "json")
    assert done.code == 0, done.err
    (item,) = [item for item in done.json["items"] if item["name"] == stray]
    assert (item["class"], item["movable"]) == ("unknown", False)
    assert "less than a day" in item["kept"]
    assert on_host(bed, HOST, f"ls {PATH}/{stray}").split() == ["disk", "disk.info"]


def test_a_salvage_that_is_killed_goes_on_and_has_every_checksum(bed: Bed, saved: str) -> None:
    (name,) = bed.boot(HOST, 1)
    await_guest(bed, name)
    refused = nodeops(bed, "disks", HOST, "--salvage", f"{OTHER}:{saved}", "--yes")
    assert refused.code == 5, "its guest runs"
    bed.stop(name)
    words = ("disks", HOST, "--salvage", f"{OTHER}:{saved}", "--yes")
    with slow_network(bed, HOST):
        process = bed.start(*words, **bed.reached)
        bed.until(lambda: on_host(bed, OTHER, f"find {saved} -type f") != "")
        kill(process)
    assert nodeops(bed, *words).code == 0
    uuid = bed.servers()[name]["id"]
    checked = on_host(bed, OTHER, f"cd {saved} && sha256sum -c SHA256SUMS")
    assert f"{uuid}/disk: OK" in checked
    assert "FAILED" not in checked
    assert ".nodeops-part" not in on_host(bed, OTHER, f"find {saved}")
    theirs = on_host(bed, OTHER, f"sha256sum < {saved}/{uuid}/disk")
    assert theirs == on_host(bed, HOST, f"sha256sum < {PATH}/{uuid}/disk")
    again = nodeops(bed, *words)
    assert again.code == 0
    assert "0 copied" in again.out
