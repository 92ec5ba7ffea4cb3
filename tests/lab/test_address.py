"""`nodeops address` on a real Neutron and Nova: moved, kept over a deletion, won back against policy."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.aside import Aside

SMALL = "10.78.0.0/28"


@dataclass(frozen=True)
class Small:
    """A network of thirteen addresses that every project may use."""

    name: str
    id: str


@pytest.fixture
def small(aside: Aside) -> Iterator[Small]:
    network = aside.bed.cloud.network
    made = network.create_network(name="s-small", shared=True)
    network.create_subnet(name="s-small", network_id=made.id, ip_version=4, cidr=SMALL)
    yield Small("s-small", made.id)
    for port in network.ports(network_id=made.id):
        network.delete_port(port.id)
    network.delete_network(made.id)


def test_an_address_moves_and_outlives_its_server(aside: Aside) -> None:
    aside.boot("s-from", "s-to")
    (address,) = aside.addresses("s-from")
    (was,) = aside.ports(address)
    moved = aside.run("address", "move", address, "s-to", "--yes", "-o", "json")
    assert moved.code == 0, moved.err
    (now,) = aside.ports(address)
    assert now.device_id == aside.ids["s-to"]
    assert (now.mac_address, now.security_group_ids) == (was.mac_address, was.security_group_ids)
    assert address not in aside.addresses("s-from")
    again = aside.run("address", "move", address, "s-to", "--yes", "-o", "json")
    assert again.json["changed"] is False
    (own,) = [each for each in aside.addresses("s-to") if each != address]
    kept = aside.run("address", "keep", "s-to", "--yes", "-o", "json")
    assert kept.code == 0, kept.err
    aside.delete("s-to")
    left = {own: aside.ports(own), address: aside.ports(address)}
    assert {key: [port.device_id for port in ports] for key, ports in left.items()} == {
        own: [""],
        address: [""],
    }
    shown = aside.run("address", "show", own, "-o", "json")
    assert shown.json["ports"][0]["kept_from"] == aside.ids["s-to"]
    back = aside.run("address", "move", own, "s-from", "--yes", "-o", "json")
    assert back.code == 0, back.err
    assert own in aside.addresses("s-from")
    for port in aside.ports(address):
        aside.bed.cloud.network.delete_port(port.id)


def test_what_nova_made_and_nobody_kept_is_won_back(aside: Aside) -> None:
    aside.boot("s-lost")
    (address,) = aside.addresses("s-lost")
    aside.delete("s-lost")
    assert aside.run("address", "show", address).code == 32
    rescued = aside.run(
        "address", "rescue", "private", address, "--name", "s-lost.example", "--yes", "-o", "json"
    )
    assert rescued.code == 0, rescued.err
    (port,) = aside.ports(address)
    assert (port.name, port.device_id) == ("s-lost.example", "")
    aside.bed.cloud.network.delete_port(port.id)


def test_where_policy_forbids_to_ask_the_trial_wins_it_and_leaves_nothing(aside: Aside, small: Small) -> None:
    member = f"{aside.bed.layout.name}-member"
    wanted = "10.78.0.9"
    rescued = aside.run(
        "address", "rescue", small.name, wanted, "--tries", "13", "--yes", "-o", "json", cloud=member
    )
    assert rescued.code == 0, rescued.err
    ports = list(aside.bed.cloud.network.ports(network_id=small.id))
    assert [port.fixed_ips[0]["ip_address"] for port in ports] == [wanted]
    taken = aside.run("address", "rescue", small.name, "10.78.0.10", "--tries", "1", "--yes", cloud=member)
    assert taken.code in {0, 10}
    left = [port.name for port in aside.bed.cloud.network.ports(network_id=small.id)]
    assert [name for name in left if "trial" in name] == []
