"""A private PostgreSQL of Debian's package, gone with all its data afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.docker import install
from tests.services.schemas.make import running


def install_server() -> None:
    """Debian keeps its programs off the path."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        install({"postgres": "postgresql", "setpriv": "util-linux"})


@contextmanager
def server() -> Iterator[str]:
    """URL of a database server, as its superuser."""
    install_server()
    with running("postgresql") as found:
        yield f"postgresql+psycopg://postgres@/postgres?host={found.folder}"


if __name__ == "__main__":
    install_server()
