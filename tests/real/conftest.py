"""An own lab of two real hosts for the whole session, or the one in NODEOPS_TEST_REAL_LAB_DIR."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops.lab.catalogue import connect
from nodeops.lab.layout import read_layout
from tests.lab.bed import NODEOPS, Bed
from tests.real.guests import serves

HOSTS = 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real hosts; what takes the lab down comes last."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.xdist_group("real"))
            item.add_marker(pytest.mark.timeout(1800))
    items.sort(key=lambda item: item.path.stem == "test_down")


@pytest.fixture(scope="session")
def real_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running lab of real hosts; its own is removed afterwards."""
    given = os.environ.get("NODEOPS_TEST_REAL_LAB_DIR")
    root = Path(given) if given else tmp_path_factory.mktemp("real") / "state"
    where = ["--lab-dir", str(root), *([] if given else ["--name", f"real-{os.getpid()}"])]
    size = [] if given else ["--real-hosts", str(HOSTS)]
    subprocess.run([NODEOPS, "lab", "up", *where, *size], check=True, timeout=1500)
    yield root
    if not given:
        subprocess.run([NODEOPS, "lab", "destroy", "--yes", *where], check=True, timeout=120)


@pytest.fixture
def bed(real_root: Path, tmp_path: Path) -> Bed:
    """The lab with every host in service and no server of another test."""
    return made_whole(real_root, tmp_path)


@pytest.fixture(scope="module")
def lasting_bed(real_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """The same, once for all tests of a file."""
    return made_whole(real_root, tmp_path_factory.mktemp("lasting"))


def made_whole(root: Path, state: Path) -> Bed:
    """With NODEOPS_TEST_REAL_SHARED it is left as it is: others use its other hosts."""
    layout = read_layout(root)
    bed = Bed(root, state, layout, connect(layout, direct=True))
    if not os.environ.get("NODEOPS_TEST_REAL_SHARED"):
        bed.whole()
        bed.until(lambda: all(serves(bed, host) for host in bed.services()))
    return bed
