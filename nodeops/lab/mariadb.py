"""The lab's MariaDB."""

import os
import subprocess
import time
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from nodeops.errors import FailedError
from nodeops.lab.layout import LOOPBACK, Layout
from nodeops.lab.packages import program
from nodeops.lab.processes import Program, alive, clean_environment, ensure, last_words, run_logged, stop

START_SECONDS = 60.0


def server(layout: Layout) -> Program:
    data = layout.root / "mariadb"
    return Program(
        name="mariadb",
        command=[
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={_tmpdir(layout)}",
            "--socket=../run/mariadb.sock",  # from its data: a socket's path may have 107 letters at most
            f"--pid-file={layout.run / 'mariadb.pid'}",
            f"--port={layout.port('mariadb')}",
            f"--bind-address={LOOPBACK}",
            "--innodb-flush-log-at-trx-commit=2",  # survives kill -9, not the machine's death
            "--innodb-buffer-pool-size=256M",
            "--max-connections=2000",
            "--skip-log-bin",
            "--skip-name-resolve",
            *(["--user=root"] if os.geteuid() == 0 else []),
        ],
        port=layout.port("mariadb"),
        stop_seconds=30,
    )


def start(layout: Layout) -> None:
    """Start MariaDB, made anew when its files were never whole.

    Raises:
        FailedError: it does not start.

    """
    data, mark = layout.root / "mariadb", layout.done / "mariadb"
    _tmpdir(layout).mkdir(exist_ok=True)
    if not mark.exists():
        stop(layout, "mariadb")
        _initialise(layout)
    ensure(layout, server(layout))
    _await(layout)
    if not mark.exists():
        mark.write_text(str(data), encoding="utf-8")


def engine(layout: Layout, database: str = "") -> Engine:
    url = URL.create(
        "mysql+pymysql",
        username="root",
        password=layout.password,
        host=LOOPBACK,
        port=layout.port("mariadb"),
        database=database,
    )
    return create_engine(url)


def recreate(layout: Layout, name: str) -> None:
    """Make an empty database, whatever was there."""
    connections = engine(layout)
    with connections.begin() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb3"))
    connections.dispose()


def _initialise(layout: Layout) -> None:
    data = layout.root / "mariadb"
    subprocess.run(["rm", "-rf", str(data)], check=True)
    log = layout.logs / "mariadb-install.out"
    command = [
        program("mariadb-install-db"),
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        f"--datadir={data}",
        f"--tmpdir={_tmpdir(layout)}",
        "--skip-test-db",
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]
    if run_logged(command, log, clean_environment(layout)):
        raise FailedError("files of mariadb could not be made", hint=f"What it said is in {log}.")


def _tmpdir(layout: Layout) -> Path:
    """Its own: when MariaDB starts it deletes all temporary tables it finds there, those of others too."""
    return layout.root / "mariadb-tmp"


def _await(layout: Layout) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if _signs_in(layout, layout.password) or (_signs_in(layout, "") and _set_password(layout)):
            return
        if not alive(layout, "mariadb"):
            raise FailedError(f"mariadb of the lab ended: {last_words(layout, 'mariadb')}")
        if time.monotonic() > deadline:
            raise FailedError(
                "mariadb of the lab does not answer", hint=f"Its log is {layout.logs}/mariadb.out."
            )
        time.sleep(0.2)


def _set_password(layout: Layout) -> bool:
    connections = create_engine(engine(layout).url.set(password=""))
    with connections.begin() as connection:
        for host in ("localhost", LOOPBACK, "::1"):
            connection.execute(text(f"ALTER USER IF EXISTS root@'{host}' IDENTIFIED BY '{layout.password}'"))
    connections.dispose()
    return True


def _signs_in(layout: Layout, password: str) -> bool:
    connections = create_engine(engine(layout).url.set(password=password))
    try:
        with connections.connect():
            return True
    except DBAPIError:
        return False
    finally:
        connections.dispose()
