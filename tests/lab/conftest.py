"""A lab for the whole session: an own one, or the one in NODEOPS_TEST_LAB_DIR."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.lab.catalogue import connect
from nodeops.lab.layout import read_layout
from tests.lab.aside import Aside, beside
from tests.lab.bed import NODEOPS, Bed

HOSTS = 5
CONCURRENT = 3
UP_SECONDS = 1500
"""From nothing, beside two other labs that come up: far more than it takes, and an end to what hangs."""
DEAD_HOSTS = frozenset({"test_audit", "test_failover", "test_failover_database"})
"""Files with tests that lose hosts and save their servers: `make dead-host`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a lab, before pytest-xdist looks at the marks.

    Those that lose whole hosts have a lab of their own when there are two workers. The tests of labs come
    first, so that the others run beside them; last of them what kills a lab's processes.
    """
    for item in items:
        if _needs_lab(item):
            dead = item.path.stem in DEAD_HOSTS or "failed_node" in item.name
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.timeout(1800))
            item.add_marker(pytest.mark.xdist_group("dead-host" if dead else "lab"))
            if dead:
                item.add_marker(pytest.mark.dead_host)
    items.sort(key=lambda item: (not _needs_lab(item), item.path.stem == "test_control_plane"))


def _needs_lab(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


@pytest.fixture(scope="session")
def lab_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running lab; its own is removed afterwards."""
    given = os.environ.get("NODEOPS_TEST_LAB_DIR")
    root = Path(given) if given else tmp_path_factory.mktemp("lab") / "state"
    name = [] if given else ["--name", f"test-{os.getpid()}"]
    size = ["--hosts", str(HOSTS), "--concurrent-migrations", str(CONCURRENT)]
    where = ["--lab-dir", str(root), *name]
    subprocess.run([NODEOPS, "lab", "up", *where, *([] if given else size)], check=True, timeout=UP_SECONDS)
    yield root
    if not given:
        subprocess.run([NODEOPS, "lab", "destroy", "--yes", *where], check=True, timeout=120)


@pytest.fixture(scope="session")
def lab_bed(lab_root: Path) -> Bed:
    """What all tests have in common of the lab."""
    layout = read_layout(lab_root)
    return Bed(lab_root, lab_root, layout, connect(layout, direct=True))


@pytest.fixture
def bed(lab_bed: Bed, tmp_path: Path) -> Iterator[Bed]:
    """The lab as if new: no faults, no servers of another test, every host in service."""
    bed = replace(lab_bed, state=tmp_path)
    bed.whole()
    yield bed
    bed.clear()


@pytest.fixture
def aside(lab_bed: Bed, tmp_path: Path) -> Iterator[Aside]:
    """The last host, for servers of this test alone; the rest of the lab is left as it is."""
    with beside(replace(lab_bed, state=tmp_path)) as aside:
        yield aside
