"""The lab's own inventory: usable as it is, and without a secret in it."""

import stat
import sys
from pathlib import Path

import pytest

from nodeops import config
from nodeops.clients.power import filled
from nodeops.inventory import load
from nodeops.lab.inventory import write_inventory
from nodeops.lab.layout import Layout
from nodeops.lab.options import LabOptions
from nodeops.model.facts import Storage


@pytest.fixture(params=["lab", "it's here"])
def layout(tmp_path: Path, request: pytest.FixtureRequest) -> Layout:
    root = tmp_path / request.param
    (root / "etc").mkdir(parents=True)
    return Layout(root, "east", 20_000, "secret")


def test_it_has_every_host_with_its_power_and_no_real_address(layout: Layout) -> None:
    write_inventory(layout, LabOptions(hosts=2, storage="local"))
    inventory = load(layout.root / "inventory.ini")
    assert inventory.warnings == ()
    assert set(inventory.places) == {"c01", "c02", "control"}
    assert inventory.places["control"].local
    assert [str(log) for log in inventory.places["control"].logs] == [f"{layout.logs}/*.log*"]
    place = inventory.places["c02"]
    assert place.storage is Storage.LOCAL
    assert place.address.endswith(".invalid")
    assert place.fence_command is not None
    assert filled(place.fence_command, host="c02", address="", action="status") == [
        *(sys.executable, "-m", "nodeops.cli.main", "lab", "power", "c02", "status"),
        *("--lab-dir", str(layout.root)),
    ]


def test_databases_are_named_by_files_for_their_owner_s_eyes(layout: Layout) -> None:
    write_inventory(layout, LabOptions(hosts=1))
    place = load(layout.root / "inventory.ini").places["c01"]
    urls = {name: config.database_url(name, place, {}) for name in ("nova", "nova_api", "neutron")}
    assert [str(url).rpartition("/")[2] for url in urls.values()] == [
        f"{name}?charset=utf8mb4" for name in ("nova_cell1", "nova_api", "neutron")
    ]
    assert "secret" not in (layout.root / "inventory.ini").read_text()
    for name in urls:
        assert stat.S_IMODE((layout.etc / f"{name}-database.url").stat().st_mode) == 0o600


def test_it_comes_before_what_is_found_and_after_what_is_named(layout: Layout, tmp_path: Path) -> None:
    write_inventory(layout, LabOptions(hosts=1))
    own = layout.root / "inventory.ini"
    named = tmp_path / "named.ini"
    named.write_text("elsewhere\n")
    home = {"HOME": str(tmp_path)}
    assert set(config.inventory(None, home, lab=own).places) == {"c01", "control"}
    assert set(config.inventory(str(named), home, lab=own).places) == {"elsewhere"}
    assert config.inventory(None, home, lab=tmp_path / "none.ini").places == {}
