"""The journal's tables, the same on SQLite, MariaDB and PostgreSQL, and how a database is opened."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from nodeops.errors import ConfigurationError

JOURNAL_VERSION = 1
CREATION_ATTEMPTS = 20
"""How often to look again while another process makes the tables."""
MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""Statements that take the tables from that version to the next."""

metadata = MetaData()
_EXACT: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}
"""MariaDB's defaults cannot hold every name, and take c01 and C01 for one host."""
_Long = Text().with_variant(LONGTEXT(), "mysql", "mariadb")

meta = Table(
    "nodeops_meta",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
    **_EXACT,
)

runs = Table(
    "nodeops_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("cloud", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("runbook", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("active_key", String(64), unique=True),  # of cloud and host while unfinished: one run per host
    Column("plan", _Long, nullable=False),
    Column("command", _Long, nullable=False),
    Column("os_user", String(255), nullable=False),
    Column("machine", String(255), nullable=False),
    Column("cloud_user", String(255), nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("exit_code", Integer),
    Column("resumed", Integer, nullable=False),
    Column("findings", _Long, nullable=False),
    # The lock: who works on this run. owner_token fences every write; NULL when nobody does.
    Column("owner_token", String(36)),
    Column("owner_user", String(255), nullable=False),
    Column("owner_machine", String(255), nullable=False),
    Column("owner_place", String(128), nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("owner_start", String(32), nullable=False),
    Column("owner_since", Double, nullable=False),
    Column("heartbeat", BigInteger, nullable=False),  # by the database's clock
    Index("nodeops_runs_by_host", "cloud", "host", mysql_length={"cloud": 150, "host": 150}),
    **_EXACT,
)

servers = Table(
    "nodeops_servers",
    metadata,
    Column("run_id", String(40), ForeignKey("nodeops_runs.id"), primary_key=True),
    Column("server_id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("plan", _Long, nullable=False),  # newest
    Column("before_image", _Long, nullable=False),  # ServerPlan of the first time this run planned it
    Column("result", _Long),
    **_EXACT,
)

steps = Table(
    "nodeops_steps",
    metadata,
    Column("run_id", String(40), ForeignKey("nodeops_runs.id"), primary_key=True),
    Column("step_id", String(190), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("step", _Long, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("answered", Boolean, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("sent_at", Double),
    Column("ended_at", Double),
    Column("seconds", Double, nullable=False),
    Column("target", String(255)),
    Column("words", _Long, nullable=False),
    Column("verdict", String(16)),
    **_EXACT,
)

events = Table(
    "nodeops_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", String(40), ForeignKey("nodeops_runs.id"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("step_id", String(190), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("words", _Long, nullable=False),
    **_EXACT,
)

_DATABASE_NOW = {
    "sqlite": "SELECT CAST(strftime('%s', 'now') AS INTEGER)",
    "mysql": "SELECT UNIX_TIMESTAMP()",
    "mariadb": "SELECT UNIX_TIMESTAMP()",
    "postgresql": "SELECT CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)",
}


def database_now(connection: Connection) -> int:
    """Seconds since the epoch by the database's clock: leases must not depend on two machines agreeing."""
    return int(connection.execute(text(_DATABASE_NOW[connection.dialect.name])).scalar_one())


def default_path() -> Path:
    """`$XDG_STATE_HOME/nodeops/journal.db`."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "nodeops" / "journal.db"


def open_engine(url: str | None) -> Engine:
    """The database at that URL, by default a private SQLite file; made and migrated where needed.

    Raises ConfigurationError when it cannot be opened or written, or belongs to a newer nodeops.
    """
    engine = _engine(url)
    with configuration_errors(engine):
        _prepare(engine)
    return engine


def shown(engine: Engine) -> str:
    """The URL without its password."""
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def configuration_errors(engine: Engine) -> Iterator[None]:
    """Database errors as ConfigurationError, for what comes before anything is sent."""
    try:
        yield
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"journal {shown(engine)} cannot be used: {cause(error)}",
            hint="make it writable and see that its disk is not full, or name another with --journal",
        ) from error


def cause(error: SQLAlchemyError) -> str:
    """The database's own words in one line, without SQL and parameters."""
    origin = getattr(error, "orig", None) or error
    return str(origin).splitlines()[0]


def _engine(url: str | None) -> Engine:
    if url is None:
        return _sqlite(default_path())
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}:
            return _sqlite(Path(str(parsed.database)))
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"journal URL cannot be used: {error}",
            hint="write it as mysql+pymysql://user:password@host/database or postgresql+psycopg://…",
        ) from error
    if engine.dialect.name not in _DATABASE_NOW:
        raise ConfigurationError(
            f"journal on {engine.dialect.name} is not supported", hint="use SQLite, MariaDB or PostgreSQL"
        )
    return engine


def _sqlite(path: Path) -> Engine:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"journal {path} cannot be used: {error.strerror}",
            hint="make it writable, or name another with --journal",
        ) from error
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 15})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _write_at_once)
    return engine


def _durable(connection: sqlite3.Connection, _record: Any) -> None:
    """Every commit is on the disk before it returns; the driver leaves transactions to us."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_at_once(connection: Connection) -> None:
    """Take the write lock at the beginning: a transaction that reads first could not get it later."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(engine: Engine) -> None:
    """Make the tables or migrate them; several may do so at the same moment."""
    for _ in range(CREATION_ATTEMPTS):
        version = _version(engine)
        if version is not None:
            return _check(engine, version)
        with suppress(DBAPIError):  # somebody else makes them: look again
            _create(engine)
    return _create(engine)


def _version(engine: Engine) -> int | None:
    """None when there is no journal yet, or one in the making."""
    with engine.begin() as connection:
        if not inspect(connection).has_table(meta.name):
            return None
        row = connection.execute(select(meta.c.value).where(meta.c.name == "version")).one_or_none()
    return None if row is None else int(row.value)


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(meta.insert().values(name="version", value=str(JOURNAL_VERSION)))


def _check(engine: Engine, version: int) -> None:
    if version > JOURNAL_VERSION:
        raise ConfigurationError(
            f"journal {shown(engine)} has version {version}, this nodeops knows {JOURNAL_VERSION}",
            hint="use the newer nodeops that wrote it, or name another journal with --journal",
        )
    with engine.begin() as connection:
        migrate(connection, version, JOURNAL_VERSION, MIGRATIONS)


def migrate(
    connection: Connection, version: int, wanted: int, migrations: Mapping[int, Sequence[str]]
) -> None:
    """Take the tables from `version` to `wanted`, in the caller's transaction."""
    for step in range(version, wanted):
        for statement in migrations[step]:
            connection.execute(text(statement))
    connection.execute(meta.update().where(meta.c.name == "version").values(value=str(wanted)))
