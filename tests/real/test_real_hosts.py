"""Servers on real hosts: they live, move and come back as on metal."""

from tests.lab.bed import Bed
from tests.real.guests import address, await_guest, boots, console, counted, on_host, pinging

MIGRATE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


def test_a_drain_moves_living_guests(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    for name in names:
        await_guest(bed, name)
    before = {name: counted(bed, name) for name in names}
    with pinging(address(bed, names[0])) as silence:
        done = bed.run("drain", "c01", "--yes", "-o", "json")
    assert done.code == 0, done.err
    assert set(bed.hosts_of(names).values()) == {"c02"}
    assert on_host(bed, "c01", "virsh list --name").strip() == ""
    assert len(on_host(bed, "c02", "virsh list --name").split()) == 2
    for name in names:
        bed.until(lambda name=name: counted(bed, name) > before[name] + 10)  # type: ignore[misc]
        assert "GUEST-READY" not in console(bed, name), "it was booted again"
    assert silence.longest < 5, "the guest was silent for longer than a live migration takes"


def test_states_and_moves_of_one_guest(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    await_guest(bed, name)

    bed.act(name, {"suspend": None})
    bed.becomes("SUSPENDED", name)
    assert on_host(bed, "c01", "virsh list --name").strip() == ""
    bed.act(name, {"resume": None})
    bed.becomes("ACTIVE", name)
    assert boots(bed, name) <= 1, "it goes on where it was"

    bed.act(name, {"createImage": {"name": f"{name}-image"}})
    bed.until(lambda: bed.servers()[name]["OS-EXT-STS:task_state"] is None)
    bed.until(lambda: any(i.status == "active" for i in bed.cloud.image.images(name=f"{name}-image")))
    for image in bed.cloud.image.images(name=f"{name}-image"):
        bed.cloud.image.delete_image(image.id)
    assert "FSFREEZE freeze" in console(bed, name)
    assert "FSFREEZE thaw" in console(bed, name)

    bed.act(name, {"reboot": {"type": "HARD"}})
    bed.until(lambda: bed.servers()[name]["status"] == "ACTIVE" and boots(bed, name) == 2)

    bed.act(name, {"migrate": None})
    bed.becomes("VERIFY_RESIZE", name)
    bed.act(name, {"confirmResize": None})
    bed.becomes("ACTIVE", name)
    assert bed.hosts_of([name]) == {name: "c02"}
    bed.until(lambda: boots(bed, name) == 3)


def test_a_reboot_and_a_sudden_death(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    await_guest(bed, name)
    boot = "cat /proc/sys/kernel/random/boot_id"
    before = on_host(bed, "c01", boot)
    assert bed.lab("reboot", "c01").code == 0
    assert on_host(bed, "c01", boot) != before
    bed.becomes("SHUTOFF", name)
    bed.until(lambda: bed.service("c01")["state"] == "up")
    bed.act(name, {"os-start": None})
    bed.until(lambda: boots(bed, name) == 2)

    assert bed.lab("lose", "c01").code == 0
    bed.until(lambda: bed.service("c01")["state"] == "down")
    state = {host["name"]: host for host in bed.lab("status", "-o", "json").json["hosts"]}
    assert not state["c01"]["power"]
    assert state["c02"]["nova_compute"]
    assert bed.lab("start", "c01").code == 0
    bed.until(lambda: bed.service("c01")["state"] == "up")
    bed.becomes("SHUTOFF", name)


def test_a_volume_goes_with_its_guest(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    await_guest(bed, name)
    volume = bed.cloud.block_storage.create_volume(name=f"{name}-data", size=1)
    bed.until(lambda: bed.cloud.block_storage.get_volume(volume.id).status == "available")
    server = bed.servers()[name]["id"]
    bed.cloud.compute.post(
        f"/servers/{server}/os-volume_attachments", json={"volumeAttachment": {"volumeId": volume.id}}
    ).raise_for_status()
    bed.until(lambda: bed.cloud.block_storage.get_volume(volume.id).status == "in-use")
    assert "vdb" in on_host(bed, "c01", f"virsh domblklist {server}")
    bed.act(name, MIGRATE)
    bed.until(lambda: bed.hosts_of([name]) == {name: "c02"} and bed.servers()[name]["status"] == "ACTIVE")
    assert "vdb" in on_host(bed, "c02", f"virsh domblklist {server}")
    assert volume.id in on_host(bed, "c02", "mount; ls /var/lib/nova/mnt/*")
    bed.delete_all()
    bed.until(lambda: bed.cloud.block_storage.get_volume(volume.id).status == "available")
    bed.cloud.block_storage.delete_volume(volume.id)
