"""What can be said of real hosts without booting one."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.errors import UsageError
from nodeops.inventory import load
from nodeops.lab.layout import Layout
from nodeops.lab.options import LabOptions, choose, read_options
from nodeops.lab.real.config import nova_conf
from nodeops.lab.real.inventory import write_inventory
from nodeops.lab.real.keeper import command
from nodeops.lab.real.places import RealLab


@pytest.fixture
def lab(tmp_path: Path) -> RealLab:
    layout = Layout(tmp_path, "metal", 20_032, "secret")
    choose(layout, real_hosts=2)
    return RealLab(layout)


def test_hosts_have_names_addresses_and_identities_of_their_own(lab: RealLab) -> None:
    one, two = lab.hosts
    assert (one.name, two.name) == ("c01", "c02")
    assert one.address.rpartition(".")[0] == two.address.rpartition(".")[0] == lab.prefix
    assert len({one.address, two.address, one.mac, two.mac, str(one.machine_id), str(two.machine_id)}) == 6


def test_labs_on_other_ports_have_other_networks(lab: RealLab) -> None:
    other = RealLab(replace(lab.layout, base_port=20_064))
    assert (other.prefix, other.leg) != (lab.prefix, lab.leg)
    assert len(other.leg) <= 15, "Linux takes no longer names of interfaces"


@pytest.mark.parametrize("wanted", [0, 1, 21])
def test_a_lab_keeps_its_real_hosts(lab: RealLab, wanted: int) -> None:
    with pytest.raises(UsageError):
        choose(lab.layout, real_hosts=wanted)
    assert choose(lab.layout, real_hosts=3).host_names == ["c01", "c02", "c03"]


def test_a_lab_of_real_hosts_keeps_its_storage(lab: RealLab) -> None:
    with pytest.raises(UsageError, match="shared storage"):
        choose(lab.layout, storage="local")


def test_a_lab_of_simulated_hosts_stays_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "simulated", 20_032, "secret")
    choose(layout, hosts=3)
    with pytest.raises(UsageError, match="simulated hosts"):
        choose(layout, real_hosts=2)
    assert read_options(layout).real_hosts == 0


def test_local_storage_is_not_shared(lab: RealLab) -> None:
    host = lab.hosts[0]
    assert any("/var/lib/nova/instances" in word for word in command(host))
    host.place.mkdir(parents=True)
    (host.place / "local").touch()
    assert not any("/var/lib/nova/instances" in word for word in command(host))


def test_nova_migrates_by_the_host_s_own_address(lab: RealLab) -> None:
    host = lab.hosts[1]
    text = nova_conf(host, LabOptions(real_hosts=2))
    assert f"live_migration_inbound_addr = {host.address}" in text
    assert "compute_driver = libvirt.LibvirtDriver" in text


def test_the_inventory_is_one_nodeops_reads(lab: RealLab) -> None:
    lab.layout.etc.mkdir()
    write_inventory(lab, LabOptions(real_hosts=2))
    place = load(lab.layout.root / "inventory.ini").place("c02")
    assert place
    assert (place.address, place.user, place.port) == (lab.hosts[1].address, "root", 22)
    assert "lab power {host} {action}" in str(place.fence_command)
    assert {"nova", "nova_api", "neutron", "cinder"} == place.databases.keys()
