"""The hosts of an inventory, with what nodeops understands of them."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeops.errors import ConfigurationError
from nodeops.inventory import ini
from nodeops.inventory.ini import ALL, Document, Value
from nodeops.inventory.variables import BY_NAME, OURS, DatabaseUrl, ServiceManager, Variable
from nodeops.model.facts import HostSettings, Storage
from nodeops.model.tracing import LogSource

UNITS = {
    ServiceManager.SYSTEMD: "nova-compute",
    ServiceManager.DOCKER: "nova_compute",
    ServiceManager.PODMAN: "nova_compute",
}
_JOURNAL = BY_NAME["nodeops_journal"]
_OTHER_FORMATS = {
    "$ANSIBLE_VAULT": ("is encrypted by ansible-vault", "Keep secrets out of it and leave it readable."),
    "---": ("is YAML, and nodeops reads INI", "Write the few hosts and nodeops_ variables it needs as INI."),
    "{": ("is JSON, and nodeops reads INI", "Write the few hosts and nodeops_ variables it needs as INI."),
    "#!": (
        "is a program, and nodeops runs none",
        "Write the few hosts and nodeops_ variables it needs as INI.",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A host as the inventory has it: where it is, how to reach it, what runs there."""

    name: str
    """As in the inventory."""
    nova_host: str
    """As Nova has it."""
    address: str
    port: int | None = None
    """Of sshd; None: as ssh_config says, else 22."""
    user: str | None = None
    """None: as ssh_config says, else as whoever runs nodeops."""
    ssh_key: str | None = None
    """A private key's file."""
    ssh_jump: str | None = None
    """[USER@]HOST[:PORT], several with commas."""
    ssh_known_hosts: str | None = None
    sudo: bool | None = None
    """None: unless the user is root."""
    storage: Storage = Storage.UNKNOWN
    rate_mib: float | None = None
    """Of one live migration, in MiB/s."""
    instances_path: str = "/var/lib/nova/instances"
    service_manager: ServiceManager = ServiceManager.SYSTEMD
    nova_compute_unit: str = UNITS[ServiceManager.SYSTEMD]
    said_services: frozenset[str] = frozenset()
    """Which of the two the inventory has: `manager`, `unit`. The others can be found out on the host."""
    fence_command: str | None = None
    """With {host}, {address} and {action} still to be filled in."""
    power_status_command: str | None = None
    """With {host} and {address}; None: the fence command asks."""
    inquest_command: str | None = None
    """With {host} and {address}."""
    before_maintenance: str | None = None
    """As above; run on this machine once the host is empty."""
    after_maintenance: str | None = None
    """As above; run once the host serves again."""
    logs: tuple[LogSource, ...] = ()
    """Where its services log; empty: in the usual places."""
    local: bool = False
    """It is the machine nodeops runs on."""
    databases: Mapping[str, DatabaseUrl] = field(default_factory=dict)
    """By name: nova, nova_api, neutron, cinder."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every host by Nova's name of it; the empty one when there is no file."""

    name: str = ""
    """The file, as it was named."""
    places: Mapping[str, Place] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group -> Nova's names of its hosts, those of the groups below it included."""
    journal: DatabaseUrl | None = None
    warnings: tuple[str, ...] = ()

    def place(self, host: str) -> Place | None:
        """By Nova's name, matched exactly."""
        return self.places.get(host)

    def settings(self, host: str) -> HostSettings:
        """For planning; the defaults for a host that is not in the inventory."""
        place = self.places.get(host)
        return HostSettings(storage=place.storage, rate_mib=place.rate_mib) if place else HostSettings()


EMPTY = Inventory()


def load(path: Path) -> Inventory:
    """Read an inventory file. Raises `ConfigurationError` that names the file, the line and the reason."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"inventory {path}: {(error.strerror or str(error)).lower()}",
            hint="Name another file with --inventory, or none: nodeops works without one.",
        ) from None
    return parse(content, str(path))


def parse(content: bytes, name: str) -> Inventory:
    """Read an inventory's bytes; `name` stands in errors and warnings. Raises `ConfigurationError`."""
    for beginning, (words, hint) in _OTHER_FORMATS.items():
        if content.lstrip().startswith(beginning.encode()):
            raise ConfigurationError(f"inventory {name} {words}", hint=hint)
    document = ini.parse(_lines(content, name), name)
    _warn_of_unknown(document)
    typed = {host: _typed(document, host) for host in document.hosts}
    places = _by_nova_name(document, {host: _place(host, values) for host, values in typed.items()})
    names = {place.name: place.nova_host for place in places.values()}
    groups = {
        group: tuple(names[host] for host in names if group in {g.name for g in document.groups_of(host)})
        for group in document.groups
    }
    journal = _journal(document)
    return Inventory(
        name=name, places=places, groups=groups, journal=journal, warnings=tuple(document.warnings)
    )


def _lines(content: bytes, name: str) -> list[str]:
    """Comments may be in any encoding; the rest is UTF-8."""
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return [_line(name, number, line) for number, line in enumerate(content.splitlines(), start=1)]


def _line(name: str, number: int, line: bytes) -> str:
    if line.lstrip().startswith((b"#", b";")):
        return ""
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"inventory {name}, line {number}: is not UTF-8") from None


def _typed(document: Document, host: str) -> dict[str, Any]:
    """The variables nodeops reads, checked."""
    values = document.variables(host)
    return {
        name: _read(document, host, variable, values[name])
        for name, variable in BY_NAME.items()
        if name in values and _usable(document, name, values[name])
    }


def _usable(document: Document, name: str, value: Value) -> bool:
    """Ansible's own variables may be templates, which are no fault of the inventory."""
    if name.startswith(OURS) or not (isinstance(value.value, str) and "{{" in value.value):
        return True
    document.warn(value.line, f"{name} is a template, which nodeops does not evaluate; it is ignored")
    return False


def _read(document: Document, host: str, variable: Variable, value: Value) -> Any:
    try:
        return variable.read(value.value)
    except ValueError as error:
        shown = "" if "password" in str(error) else f" {value.value!r}"
        document.fail(value.line, f"{variable.name} of {host}{shown} {error}", hint=variable.hint)


def _warn_of_unknown(document: Document) -> None:
    for _, values in _all_values(document):
        for name, value in values.items():
            if name.startswith(OURS) and name not in BY_NAME:
                near = difflib.get_close_matches(name, BY_NAME, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                document.warn(value.line, f"{name} is no variable of nodeops{meant}")


def _place(host: str, values: Mapping[str, Any]) -> Place:
    manager = values.get("nodeops_service_manager", ServiceManager.SYSTEMD)
    said = {"manager": "nodeops_service_manager", "unit": "nodeops_nova_compute_unit"}
    return Place(
        name=host,
        nova_host=values.get("nodeops_nova_host", host),
        address=values.get("ansible_host", host),
        port=values.get("ansible_port"),
        user=values.get("nodeops_ssh_user", values.get("ansible_user")),
        ssh_key=values.get("nodeops_ssh_key", values.get("ansible_ssh_private_key_file")),
        ssh_jump=values.get("nodeops_ssh_jump"),
        ssh_known_hosts=values.get("nodeops_ssh_known_hosts"),
        sudo=values.get("nodeops_ssh_sudo"),
        storage=values.get("nodeops_storage", Storage.UNKNOWN),
        rate_mib=values.get("nodeops_migration_rate"),
        instances_path=values.get("nodeops_instances_path", "/var/lib/nova/instances"),
        service_manager=manager,
        nova_compute_unit=values.get("nodeops_nova_compute_unit", UNITS[manager]),
        said_services=frozenset(name for name, variable in said.items() if variable in values),
        fence_command=values.get("nodeops_fence_command"),
        power_status_command=values.get("nodeops_power_status_command"),
        inquest_command=values.get("nodeops_inquest_command"),
        before_maintenance=values.get("nodeops_before_maintenance"),
        after_maintenance=values.get("nodeops_after_maintenance"),
        logs=values.get("nodeops_logs", ()),
        local=values.get("ansible_connection", False),
        databases={
            name: values[f"nodeops_{name}_database"]
            for name in ("nova", "nova_api", "neutron", "cinder")
            if f"nodeops_{name}_database" in values
        },
    )


def _by_nova_name(document: Document, places: Mapping[str, Place]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for place in places.values():
        other = found.setdefault(place.nova_host, place)
        if other is not place:
            raise ConfigurationError(
                f"inventory {document.name}: {other.name} and {place.name} are both Nova's {place.nova_host}",
                hint="Set nodeops_nova_host of each to the name `openstack compute service list` shows.",
            )
    return found


def _journal(document: Document) -> DatabaseUrl | None:
    """The one setting of the whole inventory rather than of a host."""
    for place, values in _all_values(document):
        if _JOURNAL.name in values and place != ALL:
            document.fail(
                values[_JOURNAL.name].line,
                f"{_JOURNAL.name} stands with {place}",
                hint="Move it to [all:vars].",
            )
    written = document.groups[ALL].variables.get(_JOURNAL.name)
    if written is None:
        return None
    journal: DatabaseUrl = _read(document, ALL, _JOURNAL, written)
    return journal


def _all_values(document: Document) -> Iterable[tuple[str, Mapping[str, Value]]]:
    for group in document.groups.values():
        yield group.name, group.variables
    yield from document.hosts.items()
