"""Real services keep the contract that the tests' fake is held to."""

import time
from collections.abc import Callable, Iterator

import pytest

from nodeops.clients.cloud import Cloud, connect
from nodeops.model.world import World
from tests.contract.world_contract import Stage, WorldContract
from tests.lab.bed import Bed

LONGEST = 120.0


class LabStage:
    here = "c01"
    there = "c02"

    def __init__(self, bed: Bed, cloud: Cloud) -> None:
        self.bed = bed
        self.world: World = cloud
        self.volumes: list[str] = []

    def boot(self, count: int = 1) -> list[str]:
        names = self.bed.boot(self.here, count)
        servers = self.bed.servers(self.here)
        return [str(servers[name]["id"]) for name in names]

    def volume(self) -> str:
        storage = self.bed.cloud.block_storage
        made = storage.create_volume(size=1)
        storage.wait_for_status(made, status="available", interval=1, wait=int(LONGEST))
        self.volumes.append(made.id)
        return str(made.id)

    def clear(self) -> None:
        """Volumes of no server; the others go with their servers."""
        for volume in self.volumes:
            self.bed.cloud.block_storage.delete_volume(volume, force=True)

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + LONGEST
        while not condition():
            assert time.monotonic() < end, f"not so after {LONGEST} s"
            time.sleep(0.5)


class TestCloud(WorldContract):
    @pytest.fixture
    def stage(self, bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(bed.layout.clouds_yaml))
        cloud = connect({"cloud": bed.layout.name}, environment={})
        stage = LabStage(bed, cloud)
        yield stage
        stage.clear()
        cloud.close()
