"""Where a lab keeps its things and on which ports its services listen: `<root>/lab.json`."""

import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from nodeops.errors import ConfigurationError, UsageError
from nodeops.lab import DEFAULT_NAME
from nodeops.lab.api_faults import Service

LOOPBACK = "127.0.0.1"
PORTS = (
    "mariadb",
    "rabbitmq",
    "rabbitmq-distribution",
    "epmd",
    *(service.value for service in Service),
    *(f"{service.value}-direct" for service in Service),
)
LOCK = "lock"
FIRST_PORT, LAST_PORT, BLOCK = 20_000, 32_000, 32
"""Below the range Linux hands out to clients (32768 and up), so that no stranger takes one meanwhile."""
BLOCKS = range(FIRST_PORT, LAST_PORT, BLOCK)


@dataclass(frozen=True, slots=True)
class Layout:
    """One lab's paths and ports."""

    root: Path
    name: str
    base_port: int
    password: str = field(repr=False)
    """Of every account in this lab; it listens on loopback only."""

    def port(self, name: str) -> int:
        return self.base_port + PORTS.index(name)

    def public_port(self, service: Service) -> int:
        """Return the port of the fault proxy, which clients use."""
        return self.port(service.value)

    def direct_port(self, service: Service) -> int:
        """Return the port of the service itself, which the services use among themselves."""
        return self.port(f"{service.value}-direct")

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Process ids and what was started with which configuration."""
        return self.root / "run"

    @property
    def done(self) -> Path:
        """Marks of what was made whole, so that an interrupted `up` begins it again."""
        return self.root / "done"

    @property
    def environment(self) -> Path:
        """The virtual environment of OpenStack's services."""
        return self.root / "env"

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def clouds_yaml(self) -> Path:
        return self.root / "clouds.yaml"

    def program(self, name: str) -> str:
        return str(self.environment / "bin" / name)

    def database_url(self, name: str) -> str:
        return (
            f"mysql+pymysql://root:{self.password}@{LOOPBACK}:{self.port('mariadb')}/{name}?charset=utf8mb4"
        )

    def message_url(self) -> str:
        return f"rabbit://guest:guest@{LOOPBACK}:{self.port('rabbitmq')}/"

    def direct_url(self, service: Service) -> str:
        return f"http://{LOOPBACK}:{self.direct_port(service)}"

    def public_url(self, service: Service) -> str:
        return f"http://{LOOPBACK}:{self.public_port(service)}"


def labs_dir() -> Path:
    """Return the directory in which every lab of this user is, or is linked, by its name."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "nodeops" / "lab"


def lab_dir(name: str = DEFAULT_NAME, chosen: Path | None = None) -> Path:
    """Return a lab's state directory.

    Raises:
        UsageError: the name is not one word of letters, digits, dots and dashes.

    """
    if chosen is not None:
        return chosen.absolute()
    if not name.replace("-", "").replace(".", "").replace("_", "").isalnum() or name.startswith("."):
        raise UsageError(f"lab name {name!r} is not usable", hint="Use letters, digits and dashes.")
    return (labs_dir() / name).resolve()


def lab_cloud_config(cloud: str) -> Path | None:
    """Return the clouds.yaml of the lab that offers this cloud, or None when no lab does.

    A lab named NAME offers the clouds NAME (administrator) and NAME-member.
    """
    for name in (cloud, cloud.removesuffix("-member")):
        if not name or "/" in name:
            continue
        found = labs_dir() / name / "clouds.yaml"
        if found.is_file():
            return found
    return None


def read_layout(root: Path) -> Layout:
    """Return the layout of the lab in this directory.

    Raises:
        ConfigurationError: there is no lab, or its file cannot be read.

    """
    require(root)
    path = root / "lab.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Layout(Path(held["root"]), held["name"], held["base_port"], held["password"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"lab file {path} cannot be read: {error}",
            hint="Remove the lab with `nodeops lab destroy` and make it again.",
        ) from error


def require(root: Path) -> None:
    """Make sure that there is a lab in this directory, whole or not.

    Raises:
        ConfigurationError: there is none.

    """
    if not (root / "lab.json").exists():
        raise ConfigurationError(f"lab {root} does not exist", hint="Make one with `nodeops lab up`.")


def make_layout(root: Path, name: str, base_port: int | None) -> Layout:
    """Return the lab's layout, made and written down when it is new.

    Raises:
        ConfigurationError: its file cannot be read or written, the directory has other files, a lab of that
            name is elsewhere, or no ports are free.

    """
    path = root / "lab.json"
    try:
        if path.exists():
            layout = read_layout(root)
        else:
            _refuse_strange(root, name)
            layout = Layout(root, name, base_port or _free_block(root), secrets.token_hex(8))
            for directory in (root, layout.etc, layout.logs, layout.run, layout.done):
                directory.mkdir(parents=True, exist_ok=True)
            root.chmod(0o755)
            replace_text(path, json.dumps(asdict(layout) | {"root": str(root)}, indent=1))
        _register(layout)
    except OSError as error:
        raise unwritable(root, error) from error
    return layout


def unwritable(root: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"lab directory {root} cannot be written: {error.strerror}", hint="Choose another with --lab-dir."
    )


def replace_text(path: Path, text: str) -> None:
    """Write the file whole or not at all, for its owner's eyes only."""
    written = path.with_name(f".{path.name}.new")
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    written.write_text(text, encoding="utf-8")
    written.replace(path)


def _refuse_strange(root: Path, name: str) -> None:
    """Refuse a directory with someone's files, which `destroy` would remove, and a name that is taken."""
    if root.is_dir() and (held := sorted({path.name for path in root.iterdir()} - {LOCK})):
        raise ConfigurationError(
            f"lab directory {root} is not empty: it has {', '.join(held[:3])}",
            hint="Choose one with --lab-dir that is empty or does not exist yet.",
        )
    known = labs_dir() / name
    if (known / "lab.json").exists() and known.resolve() != root.resolve():
        raise ConfigurationError(
            f"lab {name} exists already in {known.resolve()}", hint="Choose another name with --name."
        )


def _register(layout: Layout) -> None:
    """Link the lab where `lab_cloud_config` looks for it, when it is kept elsewhere."""
    known = labs_dir() / layout.name
    if known.resolve() == layout.root.resolve() or (known / "lab.json").exists():
        return
    known.parent.mkdir(parents=True, exist_ok=True)
    known.unlink(missing_ok=True)
    known.symlink_to(layout.root)


def forget(root: Path) -> None:
    """Remove the links that `make_layout` made."""
    for known in labs_dir().glob("*"):
        if known.is_symlink() and known.resolve() == root.resolve():
            known.unlink()


def first_choice(root: Path) -> int:
    """Return the port at which a lab in this directory begins to look for free ones.

    Labs that are made at the same time see the same ports free, so they begin at different ones.
    """
    return BLOCKS[int.from_bytes(hashlib.sha256(str(root).encode()).digest()) % len(BLOCKS)]


def _free_block(root: Path) -> int:
    taken = set(_base_ports_of_labs())
    first = BLOCKS.index(first_choice(root))
    for base in chain(BLOCKS[first:], BLOCKS[:first]):
        if base not in taken and all(_free(port) for port in range(base, base + len(PORTS))):
            return base
    raise ConfigurationError(
        f"no {len(PORTS)} free ports in a row between {FIRST_PORT} and {LAST_PORT}",
        hint="Take a lab down, or name the first port with --base-port.",
    )


def _base_ports_of_labs() -> Iterable[int]:
    for lab in labs_dir().glob("*/lab.json"):
        try:
            yield int(json.loads(lab.read_text(encoding="utf-8"))["base_port"])
        except (OSError, ValueError, KeyError):
            continue


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
