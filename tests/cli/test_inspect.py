"""`nodeops inspect` and `nodeops disks` as they are typed, where no host is needed."""

from pathlib import Path

import pytest

from nodeops.cli.disks_salvage import where
from nodeops.cli.inspect_show import new_file, seen
from nodeops.cli.main import run
from nodeops.errors import UsageError


@pytest.mark.parametrize(
    "words",
    [
        ["inspect"],
        ["inspect", "web", "--clean", "c01"],
        ["inspect", "web", "other"],
        ["inspect", "web", "--list", "/", "--copy", "/etc/hosts"],
        ["inspect", "web", "-o", "json"],
        ["inspect", "web", "--for", "soon"],
        ["disks", "c01", "c02"],
        ["disks", "c01", "--clean", "--salvage", "/srv"],
        ["disks", "c01", "--from", "/srv"],
        ["disks", "c01", "--older-than", "1h"],
        ["disks", "c01", "--clean", "--allow", "deleted"],
    ],
)
def test_mistakes_are_told_before_anything_is_asked(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert "hint:" in capsys.readouterr().err


def test_a_guests_file_names_cannot_steer_the_terminal() -> None:
    assert seen("evil\x1b[2Jname\n") == "evil?[2Jname?"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/var/log/syslog", "syslog"), ("/etc/..", "file"), ("/", "file"), ("/a/b\x1bc", "bc"), ("/.x", ".x")],
)
def test_copies_get_the_last_part_of_the_name(path: str, name: str) -> None:
    assert new_file(Path("here"), path) == Path("here") / name


def test_where_a_salvage_goes() -> None:
    assert where("/srv/saved", "c01") == ("c01", "/srv/saved")
    assert where("c02:/srv/saved", "c01") == ("c02", "/srv/saved")
    for word in ("saved", "c02:saved", ":/srv"):
        with pytest.raises(UsageError):
            where(word, "c01")
