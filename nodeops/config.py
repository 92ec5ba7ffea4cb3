"""Where things are and who is asking: the inventory, the journal, the state directory, the operator."""

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nodeops.errors import ConfigurationError
from nodeops.inventory import EMPTY, Inventory, Place, load
from nodeops.inventory.variables import DATABASE_HINT, has_password

INVENTORY_VARIABLE = "NODEOPS_INVENTORY"
JOURNAL_VARIABLE = "NODEOPS_JOURNAL"
SHARED_STATE = Path("/var/lib/nodeops")
"""When this directory exists, the state of every user of the machine is in it."""
_READABLE_BY_OTHERS = 0o004


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs nodeops: written into the journal and into the reason a host is disabled."""

    user: str
    machine: str

    def __str__(self) -> str:
        return f"{self.user}@{self.machine}"


def operator(environ: Mapping[str, str] = os.environ) -> Operator:
    """The person behind sudo, if there is one."""
    uid = os.getuid()
    behind = environ.get("SUDO_USER", "") if uid == 0 else ""
    return Operator(user=behind or _user_name(uid), machine=socket.gethostname())


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def inventory_candidates(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where an inventory is looked for when none is named, first found wins."""
    config = environ.get("XDG_CONFIG_HOME", "")
    home = Path(config) if Path(config).is_absolute() else _home(environ) / ".config"
    return (Path("inventory.ini"), home / "nodeops" / "inventory.ini", Path("/etc/nodeops/inventory.ini"))


def inventory(
    named: str | None, environ: Mapping[str, str] = os.environ, *, lab: Path | None = None
) -> Inventory:
    """The inventory that was named, that of the lab whose cloud is meant, the first found, or none.

    Raises `ConfigurationError` for one that is named and not there, and for one that cannot be read.
    """
    path = named or environ.get(INVENTORY_VARIABLE)
    if path:
        return load(Path(path).expanduser())
    if lab is not None and lab.is_file():
        return load(lab)
    for candidate in inventory_candidates(environ):
        if os.path.lexists(candidate):
            return load(candidate)
    return EMPTY


def state_directory(environ: Mapping[str, str] = os.environ, *, shared: Path = SHARED_STATE) -> Path:
    """Where the journal and the debug log are; made if need be.

    Raises `ConfigurationError` when it cannot be written: going on elsewhere would lose the lock between
    operators.
    """
    written = environ.get("XDG_STATE_HOME", "")
    home = Path(written) if Path(written).is_absolute() else _home(environ) / ".local" / "state"
    path = shared if shared.is_dir() else home / "nodeops"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(path, (error.strerror or str(error)).lower()) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "permission denied")
    return path


def _unwritable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"state directory {path}: {why}",
        hint=f"Make it writable, or name a journal elsewhere: --journal URL or {JOURNAL_VARIABLE}.",
    )


def journal_url(
    named: str | None,
    known: Inventory = EMPTY,
    environ: Mapping[str, str] = os.environ,
    *,
    shared: Path = SHARED_STATE,
) -> str:
    """SQLAlchemy's URL of the journal: as named, from the environment, the inventory, or a SQLite file.

    Raises `ConfigurationError`, also for a password on the command line. The answer may hold one: it is never
    to be printed.
    """
    from_environment = environ.get(JOURNAL_VARIABLE)
    if named and named != from_environment:
        if has_password(named):
            raise ConfigurationError(
                "--journal has a password in it, which every user of this machine can see",
                hint=DATABASE_HINT.format(environment=JOURNAL_VARIABLE),
            )
        return resolve(named, "--journal")
    if from_environment:
        return resolve(from_environment, JOURNAL_VARIABLE)
    if known.journal:
        return resolve(known.journal.url, f"nodeops_journal of inventory {known.name}")
    return f"sqlite:///{state_directory(environ, shared=shared) / 'journal.db'}"


def database_url(name: str, place: Place | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """SQLAlchemy's URL of the `nova`, `nova_api`, `neutron` or `cinder` database of a host, None without one.

    `NODEOPS_NOVA_DATABASE` and its like are stronger than the inventory. The answer may hold a password.
    """
    variable = f"NODEOPS_{name.upper()}_DATABASE"
    if environ.get(variable):
        return resolve(environ[variable], variable)
    if place is None or name not in place.databases:
        return None
    return resolve(place.databases[name].url, f"nodeops_{name}_database of {place.name}")


def resolve(url: str, source: str) -> str:
    """Follow `file:PATH` to the URL on that file's first line; `source` says where it was written."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _first_line(Path(parts.path), source)
    if not parts.scheme or "//" not in url:
        raise ConfigurationError(
            f"{source}: no database URL",
            hint="Write it as sqlite:////PATH or mysql+pymysql://USER@HOST/DATABASE.",
        )
    return url


def _first_line(path: Path, source: str) -> str:
    try:
        if path.stat().st_mode & _READABLE_BY_OTHERS:
            raise ConfigurationError(
                f"{source}: {path} can be read by every user", hint=f"Run: chmod o= {path}"
            )
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "cannot be read"
        raise ConfigurationError(
            f"{source}: {path}: {why.lower()}", hint="Its first line must be a database URL."
        ) from None
    if not lines or urlsplit(lines[0]).scheme in {"", "file"}:
        raise ConfigurationError(f"{source}: {path} has no database URL on its first line")
    return lines[0]


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    try:
        return Path(home) if home else Path.home()
    except RuntimeError:
        raise ConfigurationError("this user has no home directory", hint="Set HOME.") from None
