from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops.clients.cloud import Cloud
from tests.unit.clients.answers import Script, answering, connected


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No clouds.yaml and no OS_* of whoever runs the tests."""
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_CLIENT_SECURE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def script() -> Iterator[Script]:
    with answering() as script:
        yield script


@pytest.fixture
def pauses() -> list[float]:
    """How long the client would have waited before each repetition."""
    return []


@pytest.fixture
def cloud(script: Script, pauses: list[float]) -> Iterator[Cloud]:
    with connected(script) as connection:
        yield Cloud(connection, sleep=pauses.append)
