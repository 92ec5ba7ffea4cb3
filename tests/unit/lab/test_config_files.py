"""The services' configuration, as far as a lab depends on it."""

from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path

import pytest

from nodeops.lab import config_files
from nodeops.lab.api_faults import Service
from nodeops.lab.layout import LOOPBACK, Layout
from nodeops.lab.options import LabOptions

FILES = {
    "keystone/keystone.conf",
    "placement/placement.conf",
    "glance/glance-api.conf",
    "cinder/cinder.conf",
    "neutron/neutron.conf",
    "neutron/ml2.ini",
    "nova/nova.conf",
    "nova/nova-compute.conf",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "east", 20_000, "pass%word")


def written(layout: Layout, options: LabOptions | None = None) -> Mapping[str, RawConfigParser]:
    config_files.write_all(layout, options or LabOptions())
    found = {}
    for path in layout.etc.glob("*/*"):
        found[str(path.relative_to(layout.etc))] = parser = RawConfigParser(default_section="none")
        parser.read(path)
    return found


def test_every_service_has_its_files_for_the_owner_alone(layout: Layout) -> None:
    assert set(written(layout)) == FILES
    assert all(path.stat().st_mode & 0o077 == 0 for path in layout.etc.glob("*/*.conf"))


def test_a_file_that_says_the_same_is_not_written_again(layout: Layout) -> None:
    written(layout)
    before = {path: path.stat().st_mtime_ns for path in layout.etc.glob("*/*")}
    written(layout, LabOptions(concurrent_migrations=3))
    changed = {path.name for path, then in before.items() if path.stat().st_mtime_ns != then}
    assert changed == {"nova-compute.conf"}


def test_every_address_is_on_loopback(layout: Layout) -> None:
    for name, parser in written(layout).items():
        for section in parser.sections():
            for option, value in parser.items(section):
                if "://" in value:
                    assert f"@{LOOPBACK}:" in value or f"//{LOOPBACK}:" in value, (name, section, option)


def test_services_use_each_other_past_the_fault_proxy(layout: Layout) -> None:
    nova = written(layout)["nova/nova.conf"]
    for section in ("placement", "neutron", "cinder", "keystone_authtoken", "service_user"):
        assert nova[section]["auth_url"] == f"{layout.direct_url(Service.IDENTITY)}/v3"
        assert nova[section]["valid_interfaces"] == "internal"
    assert nova["cinder"]["catalog_info"].endswith(":internalURL")


def test_a_late_affinity_check_finds_the_api_database(layout: Layout) -> None:
    """nova-compute asks the cell's conductor, which answers 500 to every live migration without it."""
    nova = written(layout)["nova/nova.conf"]
    assert nova["api_database"]["connection"].startswith(layout.database_url("nova_api"))


def test_the_scheduler_asks_the_database_where_servers_are(layout: Layout) -> None:
    """What it is told by the hosts names the source of a live migration for two minutes more."""
    for name in ("nova/nova.conf", "nova/nova-compute.conf"):
        assert written(layout)[name]["filter_scheduler"]["track_instance_changes"] == "false"


def test_a_killed_nova_compute_is_down_soon_and_new_hosts_map_themselves(layout: Layout) -> None:
    nova = written(layout)["nova/nova.conf"]
    assert (nova["DEFAULT"]["service_down_time"], nova["DEFAULT"]["report_interval"]) == ("15", "3")
    assert nova["scheduler"]["discover_hosts_in_cells_interval"] == "5"
    assert {nova["quota"][name] for name in ("instances", "cores", "ram", "server_groups")} == {"-1"}


def test_nova_compute_waits_for_real_vif_events_and_has_no_database(layout: Layout) -> None:
    compute = written(layout, LabOptions(concurrent_migrations=3))["nova/nova-compute.conf"]
    assert compute["DEFAULT"]["max_concurrent_live_migrations"] == "3"
    assert (compute["DEFAULT"]["vif_plugging_timeout"], compute["DEFAULT"]["vif_plugging_is_fatal"]) == (
        "30",
        "true",
    )
    assert not {"database", "api_database"} & set(compute.sections())


def test_cinder_has_a_backend_for_every_host_and_one_bound_to_a_host(layout: Layout) -> None:
    cinder = written(layout)["cinder/cinder.conf"]
    assert cinder["DEFAULT"]["enabled_backends"] == "portable,hostbound"
    assert cinder["portable"]["volume_driver"].endswith(".PortableDriver")
    assert cinder["hostbound"]["volume_driver"].endswith(".HostBoundDriver")
