"""Durable guests, VIFs, condition and settings of simulated hosts."""

from pathlib import Path

import pytest

from nodeops.lab.hypervisor.condition import Condition, read_condition, write_condition
from nodeops.lab.hypervisor.guests import Guest, GuestState, GuestStore, Volume
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.settings import HostShape, Settings, Storage, read_settings, write_settings
from nodeops.lab.hypervisor.vifs import Bridge, Vif


def guest(uuid: str, state: GuestState = GuestState.RUNNING) -> Guest:
    return Guest(
        uuid=uuid,
        name=f"instance-{uuid}",
        state=state,
        vcpus=1,
        memory_mb=512,
        disk_gb=1,
        volumes=(Volume("v1", "/dev/vdb"),),
    )


def test_guests_survive_their_process(tmp_path: Path) -> None:
    GuestStore(tmp_path / "guests").put(guest("a"))
    again = GuestStore(tmp_path / "guests")
    assert again.all() == [guest("a")]
    assert again.get("b") is None


def test_state_changes_and_removal_say_whether_there_was_one(tmp_path: Path) -> None:
    store = GuestStore(tmp_path)
    store.put(guest("a"))
    assert store.set_state("a", GuestState.PAUSED)
    assert not store.set_state("b", GuestState.PAUSED)
    assert store.all() == [guest("a", GuestState.PAUSED)]
    assert store.remove("a")
    assert not store.remove("a")


def test_a_move_leaves_one_guest_in_one_place(tmp_path: Path) -> None:
    source, target = GuestStore(tmp_path / "c01"), GuestStore(tmp_path / "c02")
    source.put(guest("a", GuestState.PAUSED))
    assert source.move("a", target)
    assert not source.move("a", target)
    assert source.all() == []
    assert target.all() == [guest("a", GuestState.PAUSED)]


def test_power_loss_stops_what_ran_and_keeps_what_was_saved(tmp_path: Path) -> None:
    store = GuestStore(tmp_path)
    for name, state in zip("abcd", GuestState, strict=True):
        store.put(guest(name, state))
    store.power_loss()
    assert [found.state for found in store.all()] == [
        GuestState.SHUTDOWN,
        GuestState.SHUTDOWN,
        GuestState.SHUTDOWN,
        GuestState.SAVED,
    ]


def test_volumes_are_held_once() -> None:
    twice = guest("a").with_volume(Volume("v2", "/dev/vdc")).with_volume(Volume("v2", "/dev/vdd"))
    assert twice.volumes == (Volume("v1", "/dev/vdb"), Volume("v2", "/dev/vdd"))
    assert twice.without_volume("v1").volumes == (Volume("v2", "/dev/vdd"),)


def test_plugging_again_gives_a_new_stamp(tmp_path: Path) -> None:
    bridge, vif = Bridge(tmp_path), Vif("p1", "fa:16:3e:00:00:01", "a")
    bridge.plug(vif)
    before = bridge.plugged()
    bridge.plug(vif)
    after = bridge.plugged()
    assert set(before) == set(after) == {"p1"}
    assert before != after
    bridge.unplug("p1")
    bridge.unplug("p1")
    assert bridge.plugged() == {}


def test_a_host_nobody_touched_runs(tmp_path: Path) -> None:
    place = HostPlace(tmp_path, "c01")
    assert read_condition(place).runs_compute
    write_condition(place, Condition(power=False))
    lost = read_condition(place)
    assert not lost.runs_compute
    assert not lost.runs_agent


def test_node_uuid_depends_on_the_name_only(tmp_path: Path) -> None:
    assert HostPlace(tmp_path, "c01").node_uuid == HostPlace(tmp_path / "other", "c01").node_uuid
    assert HostPlace(tmp_path, "c01").node_uuid != HostPlace(tmp_path, "c02").node_uuid


def test_settings_come_back_as_written(tmp_path: Path) -> None:
    settings = Settings(
        hosts=(HostShape("c01"), HostShape("c02", vcpus=4, storage=Storage.LOCAL)), migration_rate=64.0
    )
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert read_settings(tmp_path / "nowhere") == Settings()


def test_hosts_have_addresses_of_their_own() -> None:
    settings = Settings(hosts=tuple(HostShape(f"c{number:03}") for number in range(300)))
    addresses = [settings.address(shape.name) for shape in settings.hosts]
    assert len(set(addresses)) == 300
    assert all(settings.host_of_address(settings.address(name)) == name for name in ("c000", "c299"))
    assert settings.host_of_address("192.0.2.1") == "192.0.2.1"


def test_a_host_is_added_or_changed() -> None:
    settings = (
        Settings(hosts=(HostShape("c01"),)).with_host(HostShape("c02")).with_host(HostShape("c01", vcpus=2))
    )
    assert [(shape.name, shape.vcpus) for shape in settings.hosts] == [("c01", 2), ("c02", 16)]
    with pytest.raises(KeyError):
        settings.host("c03")
