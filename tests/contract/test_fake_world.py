"""The fake in memory keeps the contract."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from nodeops.model.world import World
from tests.contract.world_contract import Stage, WorldContract
from tests.fake_world import FakeNova, FakeWorld

LONGEST = 600


@dataclass
class FakeStage:
    nova: FakeNova = field(default_factory=FakeNova)
    here: str = "c01"
    there: str = "c02"

    def __post_init__(self) -> None:
        self.nova.add_host(self.here)
        self.nova.add_host(self.there)
        self.world: World = FakeWorld(self.nova)

    def boot(self, count: int = 1) -> list[str]:
        return [self.nova.add_server(f"s{number:02}", self.here).id for number in range(count)]

    def volume(self) -> str:
        self.nova.cinder.loose["v1"] = "available"
        return "v1"

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(LONGEST):
            if condition():
                return
            self.nova.clock.sleep(1)
        pytest.fail(f"not so after {LONGEST} s")


class TestFakeWorld(WorldContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return FakeStage()
