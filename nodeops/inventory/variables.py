"""The variables nodeops reads from an inventory, what they mean and how each is checked.

Each reader takes a value as Ansible types it (a string, or what looks like a Python literal) and raises
`ValueError` with words for the operator. `docs/configuration.md` is generated from `VARIABLES`.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from string import Formatter
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from nodeops.model.facts import Storage
from nodeops.model.tracing import LogSource, SourceKind


class ServiceManager(StrEnum):
    """What runs nova-compute on a host."""

    SYSTEMD = "systemd"
    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    meaning: str
    example: str
    read: Callable[[Any], Any]
    default: str = ""
    """In words, for the documentation."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A SQLAlchemy URL without a password in it."""

    url: str


_MEBIBYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?(?:/s)?")
_UNIT = re.compile(r"[A-Za-z0-9@_.:-]+")
_DATABASES = ("mysql", "mariadb", "postgresql", "sqlite")
_SECRET_KEYS = frozenset({"password", "passwd"})
_MAX_PORT = 65535
_PLACE_HOLDERS = {2: "{host} and {address}", 3: "{host}, {address} and {action}"}
_TRUE = frozenset({"yes", "true", "on", "1"})
_FALSE = frozenset({"no", "false", "off", "0"})
_HOP = re.compile(r"(?:[^@,\s:-][^@,\s:]*@)?(?:\[[0-9a-fA-F:]+\]|[^@,\s:\[\]-][^@,\s:\[\]]*)(?::\d{1,5})?")


_LOG_FILES = re.compile(r"/[^\x00-\x1f]+")


def text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value):
        raise ValueError("is no text")
    if "{{" in str(value) or "{%" in str(value):
        raise ValueError("is a template, and only Ansible can evaluate it")
    return str(value)


def port(value: Any) -> int:
    written = text(value)
    if not written.isdecimal() or not 0 < int(written) <= _MAX_PORT:
        raise ValueError("is no port")
    return int(written)


_Word = TypeVar("_Word", bound=StrEnum)


def one_of(words: type[_Word], *but: _Word) -> Callable[[Any], _Word]:
    """A reader for the values of an enumeration, less some."""
    allowed = [word for word in words if word not in but]

    def read(value: Any) -> _Word:
        if text(value) not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return words(value)

    return read


def rate(value: Any) -> float:
    """MiB per second; powers of 1024, bytes not bits."""
    found = _RATE.fullmatch(text(value))
    if not found or float(found[1]) <= 0:
        raise ValueError("is no rate")
    return float(found[1]) * _MEBIBYTES[found[2]]


def absolute_path(value: Any) -> str:
    if not PurePosixPath(text(value)).is_absolute():
        raise ValueError("is no absolute path")
    return text(value)


def unit(value: Any) -> str:
    if not _UNIT.fullmatch(text(value)):
        raise ValueError("is no name of a unit or container")
    return text(value)


def logs(value: Any) -> tuple[LogSource, ...]:
    """Paths with `*`, `journal:UNIT`, `docker:CONTAINER`, `podman:CONTAINER`, with commas between."""
    return tuple(_log(part.strip()) for part in text(value).split(",") if part.strip())


def _log(written: str) -> LogSource:
    kind, _, name = written.partition(":")
    if kind in set(SourceKind) - {SourceKind.FILE}:
        return LogSource(SourceKind(kind), unit(name))
    if not _LOG_FILES.fullmatch(written):
        raise ValueError(
            f"has {written!r}, which is neither an absolute path nor journal:, docker: or podman:"
        )
    return LogSource(SourceKind.FILE, written)


def local(value: Any) -> bool:
    """Whether it is this very machine."""
    return text(value) == "local"


def path(value: Any) -> str:
    """Absolute, or below the home of whoever runs nodeops."""
    if not (text(value).startswith("~/") or PurePosixPath(text(value)).is_absolute()):
        raise ValueError("is no absolute path")
    return text(value)


def truth(value: Any) -> bool:
    """As Ansible reads it, typed already or as a word (`ansible/module_utils/parsing/convert_bool.py`)."""
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("is neither yes nor no")
    return word in _TRUE


def jump(value: Any) -> str:
    """[USER@]HOST[:PORT], several in their order with commas, as ssh's ProxyJump takes them."""
    hops = text(value).split(",")
    if not all(_HOP.fullmatch(hop) for hop in hops):
        raise ValueError("is no [USER@]HOST[:PORT]")
    return ",".join(hops)


def command(value: Any) -> str:
    """A command line that may name {host} and {address}, and has no password in it."""
    return _command(value, frozenset({"host", "address"}))


def fence_command(value: Any) -> str:
    """As `command`, with {action} too."""
    return _command(value, frozenset({"host", "address", "action"}))


def _command(value: Any, known: frozenset[str]) -> str:
    written = text(value)
    try:
        words = shlex.split(written)
        fields = {name for _, name, _, _ in Formatter().parse(written) if name is not None}
    except ValueError as error:
        raise ValueError(f"is no command line ({str(error).lower()})") from None
    if not words:
        raise ValueError("is no command line")
    if fields - known:
        raise ValueError(f"has a place holder other than {_PLACE_HOLDERS[len(known)]}")
    if _has_password(words):
        raise ValueError("has a password on its command line, where every user of the machine can see it")
    return written


def _has_password(words: Sequence[str]) -> bool:
    """As ipmitool, fence agents and curl take one; -p is a port elsewhere."""
    short = {"-P", "-p"} if words[0].rpartition("/")[2].startswith("fence_") else {"-P"}
    return any(
        word in short
        or word.startswith(("--password", "--passwd"))
        or ("://" in word and urlsplit(word).password is not None)
        or (before in {"-u", "--user"} and ":" in word)
        for before, word in zip(("", *words), words, strict=False)
    )


def database_url(value: Any) -> DatabaseUrl:
    """A URL of SQLAlchemy's, or `file:PATH` whose first line is one; never with a password in it."""
    written = text(value)
    if has_password(written):
        raise ValueError("has a password in it")
    parts = urlsplit(written)
    if parts.scheme == "file":
        absolute_path(parts.path)
    elif parts.scheme.partition("+")[0] not in _DATABASES:
        raise ValueError("is no database URL")
    return DatabaseUrl(written)


def has_password(url: str) -> bool:
    """Whether a database URL has a password written in it, before the host or among its options."""
    parts = urlsplit(url)
    return parts.password is not None or any(key.lower() in _SECRET_KEYS for key, _ in parse_qsl(parts.query))


ELSEWHERE_HINT = (
    "Let it read its password from a file (ipmitool -f FILE, curl --netrc-file FILE) or its environment "
    "(ipmitool -E)."
)
DATABASE_HINT = (
    "Keep the password elsewhere: ?read_default_file=/etc/nodeops/mysql.cnf in the URL, "
    "file:/etc/nodeops/database.url, or the environment variable {environment}."
)


def _database(name: str, meaning: str) -> Variable:
    return Variable(
        f"nodeops_{name}",
        meaning,
        f"mysql+pymysql://nodeops@db.example.org/{name.removesuffix('_database')}"
        "?read_default_file=/etc/nodeops/mysql.cnf",
        database_url,
        hint=DATABASE_HINT.format(environment=f"NODEOPS_{name.upper()}"),
    )


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "nodeops_nova_host",
        "Nova's name of this host, where it is not the name in the inventory",
        "c01.example.org",
        text,
        "the name in the inventory",
    ),
    Variable(
        "nodeops_storage",
        "Where the host keeps its servers' disks",
        "shared",
        one_of(Storage, Storage.UNKNOWN),
        "unknown",
        "Write shared (Ceph, NFS) or local.",
    ),
    Variable(
        "nodeops_migration_rate",
        "How fast one live migration copies",
        "800MiB/s",
        rate,
        "what past runs showed, else a guess",
        "Write bytes per second with a unit: 500M, 1.2G, 800MiB/s.",
    ),
    Variable(
        "nodeops_instances_path",
        "Nova's `instances_path`",
        "/var/lib/nova/instances",
        absolute_path,
        "/var/lib/nova/instances",
    ),
    Variable(
        "nodeops_service_manager",
        "What runs nova-compute there",
        "systemd",
        one_of(ServiceManager),
        "found out on the host",
    ),
    Variable(
        "nodeops_nova_compute_unit",
        "Name of nova-compute's unit or container",
        "nova-compute",
        unit,
        "found out on the host; in a container nova_compute",
    ),
    Variable(
        "nodeops_before_maintenance",
        "Run on this machine once a host is empty and before work begins on it, to silence its alerts say; "
        "{host} and {address} are filled in, and a command that fails ends the window",
        "/etc/nodeops/silence {host}",
        command,
        hint=ELSEWHERE_HINT,
    ),
    Variable(
        "nodeops_after_maintenance",
        "Run on this machine once the host serves again; {host} and {address} are filled in",
        "/etc/nodeops/unsilence {host}",
        command,
        hint=ELSEWHERE_HINT,
    ),
    Variable(
        "nodeops_logs",
        "Where its services log: paths, in which * stands for anything, journal:UNIT, docker:CONTAINER and "
        "podman:CONTAINER, with commas between; rotated and packed files are found by the *",
        "/var/log/nova/*.log*, journal:neutron-openvswitch-agent",
        logs,
        "below /var/log and /var/log/kolla, else what nova-compute runs in",
        "Write absolute paths, journal:UNIT, docker:NAME or podman:NAME, with commas between.",
    ),
    Variable(
        "nodeops_fence_command",
        "Asks for the host's power and switches it; {host} and {address} are filled in, and {action}: "
        "status, off, on or cycle. Without {action} it can only power off",
        "ipmitool -I lanplus -H {host}-bmc -U nodeops -f /etc/nodeops/bmc chassis power {action}",
        fence_command,
        hint=ELSEWHERE_HINT,
    ),
    Variable(
        "nodeops_power_status_command",
        "Asks for the host's power, where the fence command cannot; {host} and {address} are filled in",
        "curl -fsS --netrc-file /etc/nodeops/netrc https://{host}-bmc/redfish/v1/Systems/1",
        command,
        "the fence command with {action} as status",
        hint=ELSEWHERE_HINT,
    ),
    Variable(
        "nodeops_inquest_command",
        "What else knows whether the host lives: exit code 0 alive, 1 together with the word dead on stdout "
        "dead, all else cannot tell; {host} and {address} are filled in",
        "/etc/nodeops/is-alive {host}",
        command,
        hint=ELSEWHERE_HINT,
    ),
    Variable("nodeops_ssh_user", "Who to log in as", "nodeops", text, "ansible_user"),
    Variable(
        "nodeops_ssh_key",
        "Private key to log in with",
        "/etc/nodeops/id_ed25519",
        path,
        "ansible_ssh_private_key_file, else ssh's own and the agent's",
        "Write an absolute path, or one that begins with ~/.",
    ),
    Variable(
        "nodeops_ssh_jump",
        "Host to go through, [USER@]HOST[:PORT]; several with commas",
        "nodeops@bastion.example.org",
        jump,
        "ProxyJump of ssh_config",
    ),
    Variable(
        "nodeops_ssh_known_hosts",
        "File with the hosts' keys, beside ssh's own",
        "/etc/nodeops/known_hosts",
        path,
        hint="Write an absolute path, or one that begins with ~/.",
    ),
    Variable(
        "nodeops_ssh_sudo",
        "Whether who logs in has to use sudo, which must not ask for a password",
        "no",
        truth,
        "yes, unless it is root",
        "Write yes or no.",
    ),
    Variable("ansible_host", "Address to log in to", "192.0.2.11", text, "the name in the inventory"),
    Variable(
        "ansible_connection",
        "`local` for the machine nodeops runs on: its logs are read without SSH",
        "local",
        local,
        "over SSH",
    ),
    Variable("ansible_port", "Port of sshd", "22", port, "Port of ssh_config, else 22"),
    Variable("ansible_user", "Who to log in as", "ubuntu", text, "User of ssh_config, else who runs nodeops"),
    Variable(
        "ansible_ssh_private_key_file",
        "Private key to log in with",
        "/etc/nodeops/id_ed25519",
        text,
        "ssh's own",
    ),
    _database("nova_database", "Database of the host's Nova cell"),
    _database("nova_api_database", "Nova's API database"),
    _database("neutron_database", "Neutron's database"),
    _database("cinder_database", "Cinder's database: how its storage knows the hosts"),
    _database("journal", "Where runs are recorded; the same for every host, so in [all:vars]"),
)

BY_NAME = {variable.name: variable for variable in VARIABLES}
OURS = "nodeops_"
"""Variables that begin so are nodeops's; all others are other people's and never an error."""
