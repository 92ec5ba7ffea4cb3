"""Makes the schema files beside this one anew, by the releases' own migrations. Takes some minutes.

    .venv/bin/python -m tests.services.schemas.make [RELEASE ...]

For each release a virtual environment gets its Nova and Neutron from PyPI; `nova-manage`'s and
`neutron-db-manage`'s own code makes the tables on a private MariaDB and a private PostgreSQL (Debian's
packages mariadb-server and postgresql); the tables nodeops knows of are dumped, with `alembic_version`.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
OLD = ("sqlalchemy<2", "oslo.utils<7", "oslo.serialization<6", "oslo.db<13", "neutron-lib<3.2")
RELEASES = {
    "zed": ("nova==26.3.0", "neutron==21.2.1", *OLD),
    "2024.1": ("nova==29.4.0", "neutron==24.2.2", "oslo.utils<8", "neutron-lib<3.12"),
    "2026.2": ("nova==34.0.0", "neutron==29.0.0"),
}
ENGINES = {"mariadb": tuple(RELEASES), "postgresql": ("zed", "2024.1")}
"""The migrations of Nova 34 run on MariaDB only (`ALTER TABLE tags CONVERT TO CHARACTER SET`)."""
TABLES = {
    "nova_api": ("cell_mappings", "host_mappings", "instance_mappings", "request_specs"),
    "nova": (
        "instances",
        "instance_extra",
        "block_device_mapping",
        "console_auth_tokens",
        "migrations",
        "compute_nodes",
        "services",
        "pci_devices",
        "share_mapping",
    ),
    "neutron": (
        "ports",
        "ml2_port_bindings",
        "ml2_port_binding_levels",
        "ml2_distributed_port_bindings",
        "standardattributes",
        "networks",
        "networksegments",
    ),
}
_NOVA = """
import sys
from nova import config
config.CONF([], project="nova", version="0")
config.CONF.set_override("connection", sys.argv[1], "api_database")
config.CONF.set_override("connection", sys.argv[2], "database")
from nova.db import migration
from nova.db.api import api as api_db
from nova.db.main import api as main_db
api_db.configure(config.CONF)
main_db.configure(config.CONF)
migration.db_sync(database="api")
migration.db_sync(database="main")
"""


@dataclass(frozen=True)
class Server:
    """A private database server."""

    engine: str
    folder: Path

    def url(self, database: str) -> str:
        if self.engine == "mariadb":
            return f"mysql+pymysql://root@localhost/{database}?unix_socket={self.folder}/sock"
        return f"postgresql+psycopg2://postgres@/{database}?host={self.folder}"

    def create(self, database: str) -> None:
        if self.engine == "mariadb":
            self._mariadb("mariadb", "-e", f"CREATE DATABASE {database} CHARACTER SET utf8mb3")
        else:
            self._postgresql("createdb", database)

    def dump(self, database: str, tables: Sequence[str]) -> str:
        """Their definitions, and the row or rows of `alembic_version`."""
        if self.engine == "mariadb":
            known = self._mariadb("mariadb", "-N", "-e", "SHOW TABLES", database).split()
            there = [name for name in tables if name in known]
            options = ("--skip-comments", "--skip-add-locks", "--skip-triggers", "--compact")
            schema = self._mariadb("mariadb-dump", *options, "--no-data", database, *there)
            return schema + self._mariadb("mariadb-dump", *options, database, "alembic_version")
        named = [part for name in (*tables, "alembic_version") for part in ("-t", name)]
        # A dump of single tables has no types: they are taken from the whole.
        whole = self._postgresql("pg_dump", "--schema-only", "--no-owner", database)
        types = re.findall(r"CREATE TYPE .*?;\n", whole, re.DOTALL)
        schema = self._postgresql("pg_dump", "--schema-only", "--no-owner", *named, database)
        rows = ("--data-only", "--inserts", "-t", "alembic_version", database)
        return "".join(types) + schema + self._postgresql("pg_dump", *rows)

    def _mariadb(self, program: str, *words: str) -> str:
        return output([program, "--no-defaults", f"--socket={self.folder}/sock", "-uroot", *words])

    def _postgresql(self, program: str, *words: str) -> str:
        return output([program, "-h", str(self.folder), "-U", "postgres", *words])


def output(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return done.stdout


@contextmanager
def running(engine: str) -> Iterator[Server]:
    """One that is gone with all its data afterwards."""
    with tempfile.TemporaryDirectory(prefix="nodeops-schemas-") as name:
        folder = Path(name)
        server = Server(engine, folder)
        process = _mariadb(folder) if engine == "mariadb" else _postgresql(folder)
        try:
            _await(folder / ("sock" if engine == "mariadb" else ".s.PGSQL.5432"))
            yield server
        finally:
            process.terminate()
            process.wait()


def _mariadb(folder: Path) -> "subprocess.Popen[bytes]":
    user = ["--user=root"] if os.getuid() == 0 else []
    install = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal"]
    output([*install, f"--datadir={folder}/data", "--skip-test-db", *user])
    command = ["mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/sock"]
    return subprocess.Popen([*command, "--skip-networking", f"--pid-file={folder}/pid", *user])


def _postgresql(folder: Path) -> "subprocess.Popen[bytes]":
    """Not as root: it refuses that."""
    bin_ = max(Path("/usr/lib/postgresql").glob("*/bin"))
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if become:
        shutil.chown(folder, "postgres", "postgres")
    initdb = [str(bin_ / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    output([*become, *initdb, "--no-sync"])
    command = [str(bin_ / "postgres"), "-D", f"{folder}/data", "-k", str(folder), "-c", "listen_addresses="]
    return subprocess.Popen([*become, *command])


def _await(socket: Path) -> None:
    deadline = time.monotonic() + 60
    while not socket.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(socket)
        time.sleep(0.2)
    time.sleep(1)


def environment(release: str, packages: Sequence[str], folder: Path) -> Path:
    """The bin folder of a virtual environment with that release."""
    uv, where = Path(sys.executable).parent / "uv", folder / release
    if not (where / "done").exists():
        output([str(uv), "venv", "-q", "--clear", str(where)])
        more = ("setuptools<80", "pymysql", "psycopg2-binary")
        python = str(where / "bin" / "python")
        output([str(uv), "pip", "install", "-q", "--python", python, *packages, *more])
        (where / "done").touch()
    return where / "bin"


def make(release: str, programs: Path, server: Server) -> None:
    for database in TABLES:
        server.create(f"{database}_{release.replace('.', '_')}")
    names = {database: f"{database}_{release.replace('.', '_')}" for database in TABLES}
    python, nova = str(programs / "python"), (server.url(names["nova_api"]), server.url(names["nova"]))
    output([python, "-W", "ignore", "-c", _NOVA, *nova])
    connection = f"--database-connection={server.url(names['neutron'])}"
    output([str(programs / "neutron-db-manage"), connection, "upgrade", "heads"])
    for database, tables in TABLES.items():
        text = server.dump(names[database], tables)
        path = FOLDER / f"{release}-{database}.{server.engine}.sql.gz"
        path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(path.name, len(text))  # noqa: T201 - a script's output


def main() -> None:
    """Every release, or those that are named."""
    wanted = sys.argv[1:] or list(RELEASES)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeops-schemas"
    cache.mkdir(parents=True, exist_ok=True)
    for engine, releases in ENGINES.items():
        with running(engine) as server:
            for release in (each for each in wanted if each in releases):
                make(release, environment(release, RELEASES[release], cache), server)


if __name__ == "__main__":
    main()
