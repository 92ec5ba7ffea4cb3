"""What several files of tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.snapshot_scene import Scene
from tests.fake_world import small_cloud


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three servers on c01, to make images of."""
    scene = Scene(small_cloud(), tmp_path)
    with scene.desk:
        yield scene
