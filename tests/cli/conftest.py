"""What several files of tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_desk import FakeDesk
from tests.cli.snapshot_scene import Scene
from tests.fake_world import FakeWorld, small_cloud


@pytest.fixture
def world() -> FakeWorld:
    """Three servers on c01; files whose host is in trouble have a world of their own."""
    return small_cloud()


@pytest.fixture
def desk(world: FakeWorld, tmp_path: Path) -> Iterator[FakeDesk]:
    with FakeDesk(world, tmp_path) as desk:
        yield desk


@pytest.fixture
def scene(world: FakeWorld, tmp_path: Path) -> Iterator[Scene]:
    """To make images of."""
    scene = Scene(world, tmp_path)
    with scene.desk:
        yield scene
