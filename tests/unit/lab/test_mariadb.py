"""The lab's MariaDB, as a command."""

from pathlib import Path

from nodeops.lab import mariadb
from nodeops.lab.layout import Layout


def test_temporary_tables_of_one_lab_are_not_where_another_starts(tmp_path: Path) -> None:
    def options(name: str) -> set[str]:
        command = mariadb.server(Layout(tmp_path / name, name, 20_000, "secret")).command
        return {word for word in command if word.startswith("--tmpdir=")}

    assert options("east") == {f"--tmpdir={tmp_path}/east/mariadb-tmp"}
    assert options("west") == {f"--tmpdir={tmp_path}/west/mariadb-tmp"}
