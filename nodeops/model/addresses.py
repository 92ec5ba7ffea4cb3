"""Addresses and the ports they live in: values, and what may be asked and changed.

A port outlives its server only when Nova did not make it (`preserve_on_delete` of Nova's network cache, which
the API neither shows nor changes): Nova deletes the ports that it made, when the server is deleted and when
the port is detached (`nova/network/neutron.py`, `deallocate_for_instance`, `deallocate_port_for_instance`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nodeops.model.facts import Server
from nodeops.plan import Json

OF_SERVERS = "compute:"
"""How the device owner of a server's port begins."""
KEPT_FROM = "nodeops-kept-from="
"""Tag of a port that was taken from a server, so that it outlives it; followed by the server's id."""
KEPT_OWNER = "nodeops-owner="
"""Tag with the device owner it had."""
KEPT_NAME = "nodeops-dns="
"""Tag with its DNS name, which Nova clears when it gives a port up."""
TRIAL = "nodeops-trial-"
"""How the name of a port begins that was made only to come upon an address; followed by the address."""


@dataclass(frozen=True, slots=True)
class FixedIp:
    subnet_id: str
    address: str


@dataclass(frozen=True, slots=True)
class AddressPort:
    """A port with all that is kept of it."""

    id: str
    name: str
    network_id: str
    project_id: str
    device_id: str
    """The server, or what else uses it; empty when it is free."""
    device_owner: str
    host: str
    status: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[Mapping[str, str], ...] = ()
    port_security: bool | None = None
    dns_name: str = ""
    dns_domain: str = ""
    description: str = ""
    vnic_type: str = "normal"
    qos_policy_id: str = ""
    tags: tuple[str, ...] = ()
    created: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.fixed_ips)

    @property
    def free(self) -> bool:
        return not self.device_id and not self.device_owner

    def tagged(self, prefix: str) -> str:
        """What follows this beginning of a tag; empty when there is none."""
        return next((tag.removeprefix(prefix) for tag in self.tags if tag.startswith(prefix)), "")


@dataclass(frozen=True, slots=True)
class FloatingIp:
    id: str
    address: str
    fixed_address: str
    port_id: str


@dataclass(frozen=True, slots=True)
class Net:
    id: str
    name: str
    automatic_subnets: frozenset[str] = frozenset()
    """Subnets whose addresses follow from the MAC (SLAAC): they are never asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An action that was asked of a server, and the time in which Nova worked on it."""

    action: str
    began: float
    last: float


class AddressView(Protocol):
    """Reads; every one raises `ApiError` when there is no answer."""

    def server(self, word: str) -> Server:
        """By id or exact name; raises `UnknownServerError`."""
        ...

    def server_by_id(self, server_id: str) -> Server | None: ...

    def asked(self, server_id: str) -> tuple[Asked, ...]: ...

    def port(self, port_id: str) -> AddressPort | None: ...

    def ports_with(self, address: str) -> tuple[AddressPort, ...]: ...

    def ports_of(self, server_id: str) -> tuple[AddressPort, ...]: ...

    def ports_tagged(self, tag: str) -> tuple[AddressPort, ...]: ...

    def ports_named(self, name: str, network_id: str) -> tuple[AddressPort, ...]: ...

    def network(self, word: str) -> Net:
        """By id or exact name; raises `UsageError`."""
        ...

    def floating_of(self, port_ids: Sequence[str]) -> tuple[FloatingIp, ...]:
        """Empty for a cloud without routers."""
        ...

    def floating(self, address: str) -> FloatingIp | None: ...


class AddressWorld(AddressView, Protocol):
    """With the writes. Each raises `ApiError`, `ambiguous` when it may have taken effect."""

    def create_port(self, wanted: Mapping[str, Any]) -> AddressPort: ...

    def update_port(self, port_id: str, wanted: Mapping[str, Any]) -> AddressPort: ...

    def delete_port(self, port_id: str) -> str: ...

    def tag_port(self, port_id: str, tags: Sequence[str]) -> None:
        """Replace all tags."""
        ...

    def attach(self, server_id: str, port_id: str) -> str:
        """Nova answers when the guest has it."""
        ...

    def detach(self, server_id: str, port_id: str) -> str:
        """Nova answers before it has begun."""
        ...

    def associate(self, floating_id: str, port_id: str, fixed_address: str) -> None: ...


def image_of(port: AddressPort) -> dict[str, Json]:
    """What is written down of a port before anything is changed."""
    return {
        "id": port.id,
        "name": port.name,
        "network_id": port.network_id,
        "project_id": port.project_id,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "mac": port.mac,
        "fixed_ips": [[each.subnet_id, each.address] for each in port.fixed_ips],
        "security_groups": list(port.security_groups),
        "allowed_address_pairs": [dict(pair) for pair in port.allowed_address_pairs],
        "port_security": port.port_security,
        "dns_name": port.dns_name,
        "dns_domain": port.dns_domain,
        "description": port.description,
        "vnic_type": port.vnic_type,
        "qos_policy_id": port.qos_policy_id,
        "tags": list(port.tags),
    }


def port_of(image: Mapping[str, Any]) -> AddressPort:
    """The port that was written down so."""
    known: dict[str, Any] = dict(image)
    known["fixed_ips"] = tuple(FixedIp(subnet, address) for subnet, address in known["fixed_ips"])
    for key in ("security_groups", "allowed_address_pairs", "tags"):
        known[key] = tuple(known[key])
    return AddressPort(host="", status="", **known)


def made_by_nova(port: AddressPort, server: Server, asked: Sequence[Asked], created: float) -> bool:
    """Whether Nova made it and will delete it; judged by when it was made, and in doubt yes.

    `created` is the port's time of creation in seconds, 0 when it is not known.
    """
    if not created:
        return True
    making = [each for each in asked if each.action in {"create", "attach_interface"}]
    if not making or not port.device_id or port.device_id != server.id:
        return True
    # Times are whole seconds, and another machine's.
    return any(each.began - 1 <= created <= each.last + 1 for each in making)


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a port has to be put back after Nova handled it."""

    port: AddressPort
    floating: tuple[FloatingIp, ...] = ()
    automatic: frozenset[str] = field(default_factory=frozenset)

    def wanted(self) -> dict[str, Any]:
        """The body that makes an equal port, free of any server."""
        port = self.port
        fixed = [
            {"subnet_id": each.subnet_id}
            | ({} if each.subnet_id in self.automatic else {"ip_address": each.address})
            for each in port.fixed_ips
        ]
        body: dict[str, Any] = {
            "network_id": port.network_id,
            "project_id": port.project_id,
            "name": port.name,
            "description": port.description,
            "mac_address": port.mac,
            "fixed_ips": fixed,
            "binding:vnic_type": port.vnic_type,
        }
        if port.port_security is not False:
            body["security_groups"] = list(port.security_groups)
        if port.port_security is not None:
            body["port_security_enabled"] = port.port_security
        if port.allowed_address_pairs:
            body["allowed_address_pairs"] = [dict(pair) for pair in port.allowed_address_pairs]
        if port.dns_domain:
            body["dns_domain"] = port.dns_domain
        if port.qos_policy_id:
            body["qos_policy_id"] = port.qos_policy_id
        return body
