"""The clouds.yaml of a lab, and the shell lines for other clients."""

import subprocess
from pathlib import Path

import pytest
from openstack.config.loader import OpenStackConfig

from nodeops.lab.api_faults import Service
from nodeops.lab.catalogue import environment_lines, write_clouds_yaml
from nodeops.lab.layout import Layout

# openstacksdk warns of its own future whatever the configuration is.
pytestmark = pytest.mark.filterwarnings("ignore:Support for InfluxDB")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    root = tmp_path / "it's here"
    root.mkdir()
    return Layout(root, "east", 20_000, "secret")


def variables(layout: Layout, *, classic: bool) -> dict[str, str]:
    script = "\n".join([*environment_lines(layout, classic=classic), "env -0"])
    told = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True, env={})
    return dict(line.split("=", 1) for line in told.stdout.split("\0") if line.startswith("OS_"))


def test_clouds_yaml_has_an_administrator_and_a_member(layout: Layout) -> None:
    write_clouds_yaml(layout)
    known = OpenStackConfig(config_files=[str(layout.clouds_yaml)], load_envvars=False)
    assert set(known.get_cloud_names()) == {"east", "east-member"}
    admin, member = (known.get_one(cloud).config for cloud in ("east", "east-member"))
    assert admin["auth"]["username"] == "admin"
    assert member["auth"]["project_name"] == "demo"
    assert layout.clouds_yaml.stat().st_mode & 0o077 == 0


def test_clients_go_through_the_fault_proxy(layout: Layout) -> None:
    write_clouds_yaml(layout)
    known = OpenStackConfig(config_files=[str(layout.clouds_yaml)], load_envvars=False)
    for cloud in known.get_cloud_names():
        config = known.get_one(cloud).config
        assert config["auth"]["auth_url"] == f"{layout.public_url(Service.IDENTITY)}/v3"
        assert config["interface"] == "public"


def test_the_environment_points_at_clouds_yaml(layout: Layout) -> None:
    assert variables(layout, classic=False) == {
        "OS_CLIENT_CONFIG_FILE": str(layout.clouds_yaml),
        "OS_CLOUD": "east",
    }


def test_classic_variables_are_what_the_nova_command_takes(layout: Layout) -> None:
    told = variables(layout, classic=True)
    assert told["OS_AUTH_URL"] == f"{layout.public_url(Service.IDENTITY)}/v3"
    assert (told["OS_USERNAME"], told["OS_PASSWORD"]) == ("admin", "secret")
    assert "OS_CLOUD" not in told
