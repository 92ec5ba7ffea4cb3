"""What is missing on the machine is said with the command that gets it."""

from pathlib import Path

import pytest

from nodeops.errors import ConfigurationError
from nodeops.lab import packages
from nodeops.lab.packages import install_packages, missing_packages


def program(directory: Path, name: str) -> None:
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_packages_are_missing_by_their_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_packages(()) == ["mariadb-server", "rabbitmq-server"]
    program(tmp_path, "rabbitmq-server")
    program(tmp_path, "mariadbd")
    assert missing_packages(()) == ["mariadb-server"]
    program(tmp_path, "mariadb-install-db")
    assert missing_packages(()) == []


def test_without_permission_the_exact_command_is_the_hint(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ConfigurationError, match="mariadb-server, rabbitmq-server") as caught:
        install_packages(
            ["mariadb-server", "rabbitmq-server"], said.append, tmp_path / "apt.out", allowed=False
        )
    assert caught.value.hint == (
        "Run: sudo apt-get install -y --no-install-recommends mariadb-server rabbitmq-server"
    )
    assert said == []
    assert not (tmp_path / "apt.out").exists()


def test_nothing_missing_runs_nothing(tmp_path: Path) -> None:
    install_packages([], pytest.fail, tmp_path / "apt.out", allowed=True)
    assert not (tmp_path / "apt.out").exists()


def test_all_services_are_of_one_release() -> None:
    """2026.2: what each project counts as its own number."""
    assert dict(line.split("==") for line in packages.RELEASE) == {
        "nova": "34.0.0",
        "neutron": "29.0.0",
        "keystone": "30.0.0",
        "openstack-placement": "16.0.0",
        "cinder": "29.0.0",
        "glance": "33.0.0",
    }
