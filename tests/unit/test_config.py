import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops import config
from nodeops.errors import ConfigurationError
from nodeops.inventory import EMPTY, parse


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """An empty working directory."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_inventory_is_looked_for_in_order(elsewhere: Path, environ: dict[str, str]) -> None:
    assert config.inventory(None, environ) is EMPTY
    write(elsewhere / "home/.config/nodeops/inventory.ini", "from-home\n")
    assert "from-home" in config.inventory(None, environ).places
    write(elsewhere / "inventory.ini", "from-here\n")
    assert "from-here" in config.inventory(None, environ).places
    environ["NODEOPS_INVENTORY"] = str(write(elsewhere / "env.ini", "from-environment\n"))
    assert "from-environment" in config.inventory(None, environ).places
    named = write(elsewhere / "named.ini", "from-option\n")
    assert "from-option" in config.inventory(str(named), environ).places


def test_an_inventory_that_is_named_must_be_there(elsewhere: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.ini: no such file"):
        config.inventory("none.ini", environ)
    environ["NODEOPS_INVENTORY"] = "none.ini"
    with pytest.raises(ConfigurationError, match=r"none\.ini: no such file"):
        config.inventory(None, environ)


def test_an_inventory_that_is_found_must_be_readable(elsewhere: Path, environ: dict[str, str]) -> None:
    (elsewhere / "inventory.ini").symlink_to("gone.ini")
    with pytest.raises(ConfigurationError, match=r"inventory\.ini: no such file"):
        config.inventory(None, environ)


def test_xdg_directories_are_respected(elsewhere: Path, environ: dict[str, str]) -> None:
    environ |= {"XDG_CONFIG_HOME": str(elsewhere / "conf"), "XDG_STATE_HOME": str(elsewhere / "state")}
    write(elsewhere / "conf/nodeops/inventory.ini", "c01\n")
    assert "c01" in config.inventory(None, environ).places
    assert config.state_directory(environ, shared=elsewhere / "none") == elsewhere / "state/nodeops"
    environ["XDG_STATE_HOME"] = "relative"
    assert (
        config.state_directory(environ, shared=elsewhere / "none") == elsewhere / "home/.local/state/nodeops"
    )


def test_state_is_the_users_own(elsewhere: Path, environ: dict[str, str]) -> None:
    path = config.state_directory(environ, shared=elsewhere / "none")
    assert path.stat().st_mode & 0o777 == 0o700


def test_state_is_shared_when_the_machine_has_a_directory_for_it(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert config.state_directory(environ, shared=tmp_path) == tmp_path


def test_state_that_cannot_be_written_is_an_error(tmp_path: Path, environ: dict[str, str]) -> None:
    write(tmp_path / "home", "a file where a directory should be")
    with pytest.raises(ConfigurationError, match=r"state directory .*: not a directory") as caught:
        config.state_directory(environ, shared=tmp_path / "none")
    assert "--journal" in caught.value.hint


INVENTORY = parse(b"[all:vars]\nnodeops_journal=sqlite:////srv/from-inventory\n", "inv.ini")


def test_journal_is_looked_for_in_order(tmp_path: Path, environ: dict[str, str]) -> None:
    nowhere = tmp_path / "none"
    default = f"sqlite:///{tmp_path}/home/.local/state/nodeops/journal.db"
    assert config.journal_url(None, environ=environ, shared=nowhere) == default
    assert config.journal_url(None, INVENTORY, environ) == "sqlite:////srv/from-inventory"
    environ["NODEOPS_JOURNAL"] = "mysql+pymysql://a:secret@db/nodeops"
    assert config.journal_url(None, INVENTORY, environ) == "mysql+pymysql://a:secret@db/nodeops"
    assert config.journal_url("sqlite:////srv/x", INVENTORY, environ) == "sqlite:////srv/x"


def test_a_password_is_refused_on_the_command_line_but_not_in_the_environment(
    environ: dict[str, str],
) -> None:
    url = "mysql+pymysql://a:hunter2@db/nodeops"
    with pytest.raises(ConfigurationError) as caught:
        config.journal_url(url, environ=environ)
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "NODEOPS_JOURNAL" in caught.value.hint
    # typer hands the environment's value over as if it were the option's
    assert config.journal_url(url, environ={**environ, "NODEOPS_JOURNAL": url}) == url


@pytest.mark.parametrize("url", ["journal.db", "/srv/journal.sqlite", "sqlite:journal"])
def test_a_journal_that_is_no_url(url: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="--journal: no database URL") as caught:
        config.journal_url(url, environ=environ)
    assert "sqlite:////" in caught.value.hint


def test_a_url_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "url", "mysql://a:secret@db/x\n# comment\n")
    path.chmod(0o640)
    assert config.resolve(f"file:{path}", "--journal") == "mysql://a:secret@db/x"
    assert config.resolve(f"file://{path}", "--journal") == "mysql://a:secret@db/x"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("mysql://a:secret@db/x", 0o644, "can be read by every user"),
        ("", 0o600, "has no database URL"),
        ("just words", 0o600, "has no database URL"),
        ("file:/another", 0o600, "has no database URL"),
    ],
)
def test_a_bad_url_file(tmp_path: Path, content: str, mode: int, words: str) -> None:
    path = write(tmp_path / "url", content)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=words) as caught:
        config.resolve(f"file:{path}", "--journal")
    assert "secret" not in caught.value.message


def test_a_url_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--journal: .*no such file"):
        config.resolve(f"file:{tmp_path}/none", "--journal")


def test_database_urls() -> None:
    place = parse(b"c01 nodeops_nova_database=mysql://db/nova\n", "inv.ini").place("c01")
    assert config.database_url("nova", place, {}) == "mysql://db/nova"
    assert (
        config.database_url("nova", place, {"NODEOPS_NOVA_DATABASE": "mysql://a:b@db/n"})
        == "mysql://a:b@db/n"
    )
    assert config.database_url("neutron", place, {}) is None
    assert config.database_url("nova", None, {}) is None


def test_the_operator_is_the_person_behind_sudo_and_only_behind_sudo() -> None:
    myself = config.operator({})
    assert str(myself) == f"{myself.user}@{os.uname().nodename}"
    said = config.operator({"SUDO_USER": "alice"}).user
    assert said == ("alice" if os.getuid() == 0 else myself.user)
