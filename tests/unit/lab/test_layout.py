"""Where a lab is, which ports it has, how it is found by its name."""

import itertools
import json
import socket
from pathlib import Path

import pytest

from nodeops.errors import ConfigurationError, UsageError
from nodeops.lab.api_faults import Service
from nodeops.lab.layout import (
    BLOCK,
    BLOCKS,
    FIRST_PORT,
    LAST_PORT,
    LOOPBACK,
    PORTS,
    first_choice,
    forget,
    lab_cloud_config,
    lab_dir,
    make_layout,
    read_layout,
    require,
)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of this test alone, so that the labs of whoever runs it are not touched."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_lab_is_under_the_state_directory_by_its_name(state_home: Path) -> None:
    assert lab_dir("east") == state_home / "nodeops" / "lab" / "east"


def test_a_chosen_directory_wins(tmp_path: Path) -> None:
    assert lab_dir("east", tmp_path / "x") == tmp_path / "x"


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "../../etc"])
def test_a_name_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(UsageError, match="not usable"):
        lab_dir(name)


def test_what_was_made_is_read_again(tmp_path: Path) -> None:
    made = make_layout(tmp_path / "a", "a", None)
    assert read_layout(tmp_path / "a") == made
    assert make_layout(tmp_path / "a", "other", 25_000) == made


def test_ports_are_all_different_and_in_the_block(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "a", 21_000)
    ports = [layout.port(name) for name in PORTS]
    assert len(set(ports)) == len(PORTS) <= BLOCK
    assert (min(ports), max(ports)) == (21_000, 21_000 + len(PORTS) - 1)
    assert {layout.public_port(service) for service in Service}.isdisjoint(
        layout.direct_port(service) for service in Service
    )


def like(root: Path) -> Path:
    """Return another directory whose lab begins to look at the same port."""
    others = (root.with_name(f"other-{number}") for number in itertools.count())
    return next(other for other in others if first_choice(other) == first_choice(root))


def test_two_labs_share_no_port(tmp_path: Path) -> None:
    one = make_layout(tmp_path / "a", "a", None)
    two = make_layout(like(tmp_path / "a"), "b", None)
    assert abs(one.base_port - two.base_port) >= len(PORTS)
    assert FIRST_PORT <= min(one.base_port, two.base_port) < LAST_PORT


def test_labs_begin_to_look_at_different_ports_over_the_whole_range() -> None:
    choices = {first_choice(Path("labs") / str(number)) for number in range(100)}
    assert choices <= set(BLOCKS)
    assert len(choices) > 80


def test_a_lab_gets_its_first_choice_or_the_next_that_is_free(tmp_path: Path) -> None:
    root = tmp_path / "a"
    chosen = make_layout(root, "a", None).base_port
    blocks = [*BLOCKS, *BLOCKS]
    passed = blocks[blocks.index(first_choice(root)) :]
    assert passed.index(chosen) <= 10


def test_a_port_in_use_is_not_chosen(tmp_path: Path) -> None:
    root = tmp_path / "a"
    free = make_layout(root, "a", None).base_port
    forget(root)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((LOOPBACK, free + 3))
        stranger.listen()
        assert make_layout(like(root), "b", None).base_port != free


def test_a_lab_of_another_directory_is_found_by_its_clouds(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "east", None)
    assert lab_cloud_config("east") is None
    layout.clouds_yaml.touch()
    for cloud in ("east", "east-member"):
        found = lab_cloud_config(cloud)
        assert found is not None
        assert found.samefile(layout.clouds_yaml)
    assert lab_cloud_config("west") is None
    assert lab_cloud_config("../lab/east") is None


def test_a_destroyed_lab_is_not_found(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "east", None)
    layout.clouds_yaml.touch()
    forget(layout.root)
    assert lab_cloud_config("east") is None
    assert layout.clouds_yaml.exists()


def test_a_second_lab_of_a_name_is_refused(tmp_path: Path) -> None:
    make_layout(tmp_path / "a", "east", None)
    with pytest.raises(ConfigurationError, match=r"lab east exists already in .*/a") as caught:
        make_layout(tmp_path / "b", "east", None)
    assert "--name" in caught.value.hint
    assert not (tmp_path / "b").exists()


def test_a_removed_lab_gives_its_name_back(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "east", None)
    (layout.root / "lab.json").unlink()
    again = make_layout(tmp_path / "b", "east", None)
    again.clouds_yaml.touch()
    found = lab_cloud_config("east")
    assert found is not None
    assert found.samefile(again.clouds_yaml)


def test_a_directory_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"not empty: it has thesis\.tex"):
        make_layout(tmp_path, "east", None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_no_lab_and_a_broken_lab_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_layout(tmp_path)
    (tmp_path / "lab.json").write_text("{")
    require(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_layout(tmp_path)
    assert "lab destroy" in caught.value.hint


def test_its_password_is_for_the_owner_alone(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "a", None)
    path = layout.root / "lab.json"
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["password"] == layout.password
    assert layout.password not in repr(layout)
