"""`AddressWorld` in memory: what Neutron and Nova do to ports, as far as it matters to an address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.errors import ApiError, ForbiddenError, UnknownServerError
from nodeops.model.addresses import AddressPort, Asked, FixedIp, FloatingIp, Net
from nodeops.model.facts import Server
from tests.fake_clock import EPOCH
from tests.fake_nova import FakeNova
from tests.fake_world import Crash

BOOTED, EARLIER = "2026-11-18T10:00:00Z", "2026-11-18T09:00:00Z"
PROJECT = "project-1"
HOSTNAMES = "host-of-"


@dataclass
class FakeAddresses:
    """Servers `s1` and `s2`; fail the n-th write by `faults`."""

    nova: FakeNova
    port_list: dict[str, AddressPort] = field(default_factory=dict)
    nova_s: set[str] = field(default_factory=set)
    """Ports that Nova deletes with the server, and when they are detached."""
    floating_list: dict[str, FloatingIp] = field(default_factory=dict)
    may_ask: bool = True
    """Whether the policy lets this account ask for an address."""
    pool: list[str] = field(default_factory=lambda: [f"10.0.0.{last}" for last in range(100, 200)])
    """Addresses in the order in which Neutron gives them."""
    quota: int = 1000
    writes: list[str] = field(default_factory=list)
    faults: dict[str, Callable[[], None]] = field(default_factory=dict)
    """By the name of the write: called before its effect; may raise."""
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    """As above, after its effect."""
    automatic: frozenset[str] = frozenset()
    made: int = 0

    def add(self, port_id: str, address: str, server: str = "", *, nova_s: bool = False, **more: Any) -> None:
        port = AddressPort(
            id=port_id,
            name="",
            network_id="net-1",
            project_id=PROJECT,
            device_id=server,
            device_owner="compute:nova" if server else "",
            host="c01" if server else "",
            status="ACTIVE" if server else "DOWN",
            mac=f"fa:16:3e:00:00:{len(self.port_list):02x}",
            fixed_ips=(FixedIp("subnet-1", address),),
            security_groups=("default",),
            created=BOOTED if nova_s else EARLIER,
        )
        self.port_list[port_id] = replace(port, **more)
        if nova_s:
            self.nova_s.add(port_id)

    def delete_server(self, server_id: str) -> None:
        """As Nova does it: it deletes the ports it finds of the server, and frees those made beforehand."""
        for port in self.ports_of(server_id):
            if port.id in self.nova_s:
                self._drop(port.id)
            else:
                self.port_list[port.id] = replace(port, device_id="", device_owner="", host="", dns_name="")
        self.nova.delete(server_id)

    # -- reads

    def server(self, word: str) -> Server:
        for server in self.nova.servers.values():
            if word in {server.id, server.name}:
                return server
        raise UnknownServerError(f"server {word}: does not exist")

    def server_by_id(self, server_id: str) -> Server | None:
        return self.nova.servers.get(server_id)

    def asked(self, server_id: str) -> tuple[Asked, ...]:  # noqa: ARG002 - the same of every server
        return (Asked("create", EPOCH - 4000.0, EPOCH - 3990.0),)

    def port(self, port_id: str) -> AddressPort | None:
        self.nova.advance()
        return self.port_list.get(port_id)

    def ports_with(self, address: str) -> tuple[AddressPort, ...]:
        return tuple(port for port in self.port_list.values() if address in port.addresses)

    def ports_of(self, server_id: str) -> tuple[AddressPort, ...]:
        return tuple(port for port in self.port_list.values() if port.device_id == server_id)

    def ports_tagged(self, tag: str) -> tuple[AddressPort, ...]:
        return tuple(port for port in self.port_list.values() if tag in port.tags)

    def ports_named(self, name: str, network_id: str) -> tuple[AddressPort, ...]:
        return tuple(
            port for port in self.port_list.values() if (port.name, port.network_id) == (name, network_id)
        )

    def network(self, word: str) -> Net:
        return Net("net-1", word, self.automatic)

    def floating_of(self, port_ids: Sequence[str]) -> tuple[FloatingIp, ...]:
        return tuple(each for each in self.floating_list.values() if each.port_id in port_ids)

    def floating(self, address: str) -> FloatingIp | None:
        return next((each for each in self.floating_list.values() if each.address == address), None)

    # -- writes

    def create_port(self, wanted: Mapping[str, Any]) -> AddressPort:
        self._strike("create_port", self.faults)
        fixed = wanted.get("fixed_ips") or [{}]
        asked = fixed[0].get("ip_address")
        if asked and not self.may_ask and "mac_address" not in wanted:
            raise ForbiddenError("neutron answered 403: rule create_port:fixed_ips", status=403)
        if len(self.port_list) >= self.quota:
            raise ApiError("neutron answered 409: quota", status=409)
        address = asked or self._next()
        if self.ports_with(address):
            raise ApiError(f"neutron answered 409: {address} already allocated", status=409)
        self.made += 1
        port_id = f"made-{self.made}"
        self.add(port_id, address, name=wanted.get("name", ""), dns_name=wanted.get("dns_name", ""))
        made = replace(
            self.port_list[port_id],
            mac=wanted.get("mac_address", self.port_list[port_id].mac),
            project_id=wanted.get("project_id", PROJECT),
            security_groups=tuple(wanted.get("security_groups", ("default",))),
            allowed_address_pairs=tuple(wanted.get("allowed_address_pairs", ())),
        )
        self.port_list[port_id] = made
        self._strike("create_port", self.after)
        return made

    def update_port(self, port_id: str, wanted: Mapping[str, Any]) -> AddressPort:
        self._strike("update_port", self.faults)
        self.port_list[port_id] = replace(self.port_list[port_id], **wanted)
        return self.port_list[port_id]

    def delete_port(self, port_id: str) -> str:
        self._strike("delete_port", self.faults)
        self._drop(port_id)
        return "req"

    def tag_port(self, port_id: str, tags: Sequence[str]) -> None:
        self.writes.append("tag_port")
        self.port_list[port_id] = replace(self.port_list[port_id], tags=tuple(tags))

    def attach(self, server_id: str, port_id: str) -> str:
        self._strike("attach", self.faults)
        port = self.port_list[port_id]
        if port.device_id:
            raise ApiError("nova answered 409: port is in use", status=409)
        if port.dns_name and port.dns_name != HOSTNAMES + server_id:
            raise ApiError("nova answered 400: the dns name is another", status=400)
        self.port_list[port_id] = replace(
            port, device_id=server_id, device_owner="compute:nova", dns_name=HOSTNAMES + server_id
        )
        self._strike("attach", self.after)
        return "req"

    def detach(self, server_id: str, port_id: str) -> str:  # noqa: ARG002 - the port knows
        self._strike("detach", self.faults)

        def detached() -> None:
            if port_id in self.nova_s:
                self._drop(port_id)
            else:
                self.port_list[port_id] = replace(
                    self.port_list[port_id], device_id="", device_owner="", host="", dns_name=""
                )

        self.nova.at(1.0, detached)
        self._strike("detach", self.after)
        return "req"

    def associate(self, floating_id: str, port_id: str, fixed_address: str) -> None:  # noqa: ARG002 - one each
        self.writes.append("associate")
        self.floating_list[floating_id] = replace(self.floating_list[floating_id], port_id=port_id)

    # -- inside

    def _strike(self, name: str, faults: dict[str, Callable[[], None]]) -> None:
        if faults is self.faults:
            self.writes.append(name)
        if name in faults:
            faults[name]()

    def _drop(self, port_id: str) -> None:
        self.port_list.pop(port_id, None)
        for key, each in self.floating_list.items():
            if each.port_id == port_id:
                self.floating_list[key] = replace(each, port_id="")

    def _next(self) -> str:
        return next(address for address in self.pool if not self.ports_with(address))


def refuse(message: str = "nova answered 400: no", status: int = 400) -> Callable[[], None]:
    def raise_it() -> None:
        raise ApiError(message, status=status)

    return raise_it


def lose_answer() -> None:
    raise ApiError("connection lost", ambiguous=True)


def crash() -> None:
    raise Crash
