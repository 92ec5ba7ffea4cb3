"""`nodeops states` with libvirt's own word, over SSH: contradictions made for real, found, mended, gone."""

from tests.lab.bed import Bed
from tests.real.guests import await_guest, on_host, second_copy

STRANGER = "6d1f0c1e-6a1a-4c57-9e0b-6f5c1d2e3f40"
XML = (
    f"<domain type='qemu'><name>stranger</name><uuid>{STRANGER}</uuid><memory unit='MiB'>32</memory>"
    "<os><type arch='x86_64'>hvm</type></os></domain>"
)


def found(bed: Bed, host: str) -> dict[str, str]:
    """Return the classes of what is found, by server id."""
    told = bed.run("states", host, "-o", "json", **bed.reached)
    assert told.code in {0, 30}, told.err
    assert told.json["hypervisors"] == [host], told.out
    return {each["id"]: each["class"] for each in told.json["findings"]}


def test_what_only_libvirt_knows(bed: Bed) -> None:
    gone, twice = bed.boot("c01", 2)
    for name in (gone, twice):
        await_guest(bed, name)
    gone_id, twice_id = (bed.servers()[name]["id"] for name in (gone, twice))
    assert found(bed, "c01") == {}

    on_host(bed, "c01", f"virsh destroy {gone_id}; virsh undefine {gone_id}")
    on_host(bed, "c01", f'echo "{XML}" > /tmp/stranger.xml; virsh create /tmp/stranger.xml')
    second_copy(bed, twice_id, "c01", "c02")
    try:
        assert found(bed, "c01") == {gone_id: "no-guest", STRANGER: "unknown-guest"}
        assert found(bed, "c02") == {twice_id: "two-guests"}
    finally:
        on_host(bed, "c02", f"virsh destroy {twice_id}")
        on_host(bed, "c01", f"virsh destroy {STRANGER}")
    mended = bed.run("states", "c01", "--fix", "--yes", "-o", "json", **bed.reached)
    assert mended.code == 0, mended.err
    assert mended.verdicts() == {gone: "DONE"}
    assert gone_id in on_host(bed, "c01", "virsh list --uuid")
    assert found(bed, "c01") == {}
    assert found(bed, "c02") == {}
