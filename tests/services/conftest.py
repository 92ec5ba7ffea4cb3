"""A real MariaDB in a container, one for the session, a fresh database for each test."""

import os
from collections.abc import Iterator
from itertools import count

import pytest
from docker import DockerClient
from sqlalchemy import create_engine, make_url, text
from testcontainers.community.mysql import MySqlContainer
from testcontainers.core.config import ConnectionMode, testcontainers_config

from tests.services import image
from tests.services.docker import Daemon, daemon

_numbers = count(1)


@pytest.fixture(scope="session")
def docker() -> Iterator[Daemon]:
    """A daemon, and testcontainers told how to reach it."""
    with daemon() as found, pytest.MonkeyPatch.context() as patch:
        if found.host:
            patch.setenv("DOCKER_HOST", found.host)
        if found.ours:
            # What ends by itself needs no reaper; published ports are on this machine's loopback.
            patch.setattr(testcontainers_config, "_ryuk_disabled", True)
            patch.setattr(testcontainers_config, "tc_host_override", "127.0.0.1")
            patch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.docker_host)
        yield found


@pytest.fixture(scope="session")
def mariadb_server(docker: Daemon) -> Iterator[str]:
    """URL of a MariaDB server, as its root."""
    client = DockerClient.from_env(environment=dict(os.environ))
    if docker.ours:
        client.containers.prune()  # of a session that was killed
    image.ensure(client)
    client.close()
    with MySqlContainer(image.IMAGE, dialect="pymysql", username="root", password="test") as container:
        yield container.get_connection_url()


@pytest.fixture
def mariadb(mariadb_server: str) -> Iterator[str]:
    """URL of a database of this test's own."""
    name = f"nodeops_{next(_numbers)}"
    server = create_engine(mariadb_server)
    with server.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(mariadb_server).set(database=name).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()
