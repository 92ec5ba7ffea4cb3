"""One database: how it is reached, its tables as they are, and transactions that end well or not at all."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Connection,
    Engine,
    Executable,
    MetaData,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from nodeops.clients.databases.rows import batches
from nodeops.errors import ConfigurationError, DatabaseError
from nodeops.log import conceal, redact

Value = TypeVar("Value")

IDS: BindParameter[Any] = bindparam("ids", expanding=True)
"""Stands in a question for the ids it is asked about."""

CONNECT_SECONDS, ANSWER_SECONDS, LOCK_SECONDS = 10, 60, 10
RECYCLE_SECONDS = 300
ATTEMPTS = 5
FIRST_PAUSE = 0.1
"""Seconds before the second attempt; doubled for each further one."""
RETRYABLE = frozenset({1047, 1205, 1213, "40001", "40P01", "55P03"})
"""Galera's node not ready, lock wait timeout, deadlock (also Galera's certification, at the commit),
serialization failure, PostgreSQL's deadlock and lock timeout."""
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, "28P01", "28000", "42501"})
DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql", "postgresql": "postgresql+psycopg"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "pymysql": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": ANSWER_SECONDS,
        "write_timeout": ANSWER_SECONDS,
    },
    "psycopg": {
        "connect_timeout": CONNECT_SECONDS,
        "options": f"-c statement_timeout={ANSWER_SECONDS}s -c lock_timeout={LOCK_SECONDS}s -c timezone=UTC",
    },
}


class Link:
    """One database. Raises `DatabaseError` for what it does not answer; no password is ever in its words."""

    def __init__(self, url: str, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        """In words for the operator, such as `nova's database of cell1`."""
        self.engine = _engine(url, name)
        """For transactions."""
        self.reader = _engine(url, name, isolation_level="AUTOCOMMIT")
        """For questions, which then are one round trip each."""
        self._sleep = sleep
        self._tables: dict[str, Table] = {}
        self._questions: dict[str, Select[Any]] = {}
        self._names: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"Link({self.engine.url.render_as_string(hide_password=True)!r})"

    @property
    def engines(self) -> tuple[Engine, Engine]:
        return self.engine, self.reader

    def close(self) -> None:
        for engine in self.engines:
            engine.dispose()

    def table(self, name: str) -> Table:
        """As it is in this database. Raises `DatabaseError` when it has no such table."""
        if name not in self._tables:
            with self._words():
                self._tables[name] = Table(name, MetaData(), autoload_with=self.engine, resolve_fks=False)
        return self._tables[name]

    def has(self, name: str) -> bool:
        """Whether there is such a table: some came with later releases."""
        if self._names is None:
            with self._words():
                self._names = frozenset(inspect(self.engine).get_table_names())
        return name in self._names

    def heads(self) -> tuple[str, ...]:
        """`alembic_version`: one row, two in Neutron's database."""
        version = self.table("alembic_version")
        return tuple(sorted(row.version_num for row in self.read(select(version.c.version_num))))

    def ask(
        self, name: str, question: Callable[[], Select[Any]], ids: Sequence[str], **values: Any
    ) -> list[Any]:
        """All rows of one question about `IDS`, in batches; put together once, and known by that name."""
        if name not in self._questions:
            self._questions[name] = question()
        prepared = self._questions[name]
        return self._all([(prepared, {"ids": list(part), **values}) for part in batches(ids)])

    def read(self, *queries: Any) -> list[Any]:
        """All rows of all queries, each as of its moment; asked again where the connection was lost."""
        return self._all([(query, {}) for query in queries])

    def _all(self, queries: Sequence[tuple[Any, dict[str, Any]]]) -> list[Any]:
        for attempt in range(ATTEMPTS):
            try:
                with self.reader.connect() as connection:
                    return [row for query, values in queries for row in connection.execute(query, values)]
            except SQLAlchemyError as error:
                if attempt == ATTEMPTS - 1 or not _again(error):
                    raise self.error(error) from None
            self._sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def write(self, change: Callable[[Connection], Value]) -> Value:
        """Make the change in one transaction, whole or not at all.

        Deadlocks, Galera's refusals and lost connections are tried again from the beginning. Only a
        connection that is lost at the commit leaves the outcome open: `DatabaseError.ambiguous`.
        """
        for attempt in range(ATTEMPTS):
            committing = False
            try:
                with self.engine.connect() as connection:
                    transaction = connection.begin()
                    value = change(connection)
                    committing = True
                    transaction.commit()
                    return value
            except SQLAlchemyError as error:
                if committing and _lost(error):
                    raise self.error(error, ambiguous=True) from None
                if attempt == ATTEMPTS - 1 or not _again(error):
                    raise self.error(error) from None
            self._sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def allowed(self, statement: Executable) -> bool:
        """Whether this account may do it: it is tried in a transaction that is taken back."""
        try:
            with self.engine.connect() as connection:
                transaction = connection.begin()
                connection.execute(statement)
                transaction.rollback()
        except DBAPIError as error:
            if code_of(error) in DENIED:
                return False
            raise self.error(error) from None
        return True

    def error(self, error: SQLAlchemyError, *, ambiguous: bool = False) -> DatabaseError:
        """The driver's own words in one line, without the statement and its values."""
        code = code_of(error)
        words = words_of(error)
        hint = (
            "Look at the account's password and rights."
            if code in DENIED
            else "Is the address right, and does the database answer from here?"
        )
        # What the account may not do it may not do the next time either.
        status = HTTPStatus.FORBIDDEN if code in DENIED else None
        return DatabaseError(f"{self.name}: {words or code}", hint=hint, status=status, ambiguous=ambiguous)

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self.error(error) from None


def _lost(error: SQLAlchemyError) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _again(error: SQLAlchemyError) -> bool:
    """Whether nothing was changed and another attempt may do better."""
    return code_of(error) in RETRYABLE or _lost(error)


def words_of(error: SQLAlchemyError) -> str:
    """The driver's last words, which are its message, in one line and without secrets."""
    origin = getattr(error, "orig", None) or error
    said = [each for each in getattr(origin, "args", ()) if isinstance(each, str) and each.strip()]
    lines = (said[-1] if said else str(origin)).strip().splitlines()
    return redact(lines[0]) if lines else ""


def code_of(error: SQLAlchemyError) -> int | str | None:
    """MariaDB's error number or PostgreSQL's state."""
    origin = getattr(error, "orig", None)
    first = origin.args[0] if origin is not None and origin.args else None
    if isinstance(first, int):
        return first  # newer pymysql have a state too, which says less
    state = getattr(origin, "sqlstate", None)
    return None if state is None else str(state)


def parsed(url: str, name: str) -> URL:
    """With the driver nodeops has, whichever the OpenStack service uses. Raises `ConfigurationError`."""
    try:
        found = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            f"{name}: no database URL", hint="Write it as mysql+pymysql://USER@HOST/DATABASE."
        ) from None
    backend = found.get_backend_name()
    if backend not in DRIVERS:
        raise ConfigurationError(
            f"{name} on {backend} is not supported", hint="OpenStack's databases are MariaDB or PostgreSQL."
        )
    return found.set(drivername=DRIVERS[backend])


def _engine(url: str, name: str, **more: Any) -> Engine:
    where = parsed(url, name)
    if where.password:
        conceal(str(where.password))
    driver = where.get_driver_name()
    # What the URL says is stronger than our defaults.
    options = {key: value for key, value in _OPTIONS[driver].items() if key not in where.query}
    try:
        # A transaction is always ended before its connection goes back, and a dead one is noticed when used.
        engine = create_engine(
            where,
            pool_size=1,
            max_overflow=1,
            pool_recycle=RECYCLE_SECONDS,
            pool_reset_on_return=None,
            connect_args=options,
            **more,
        )
    except (NoSuchModuleError, ModuleNotFoundError, ArgumentError) as error:
        raise ConfigurationError(
            f"{name}: {error}", hint="For PostgreSQL install nodeops[postgresql]."
        ) from None
    if driver == "pymysql":
        event.listen(engine, "connect", _settle_mariadb)
    return engine


def _settle_mariadb(connection: Any, _record: Any) -> None:
    """Waits are bounded; on Galera a read sees all that was committed on any node before it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}, time_zone = '+00:00'")
        if cursor.execute("SHOW VARIABLES LIKE 'wsrep_sync_wait'"):
            cursor.execute("SET SESSION wsrep_sync_wait = 1")
