"""Where ports are bound: where their server is, unless something was left behind or bound by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nodeops.model.facts import NetworkAgent, Port, PortBinding, Server
from tests.fake_refusal import refuse

if TYPE_CHECKING:
    from tests.fake_nova import FakeNova


@dataclass
class FakeNeutron:
    nova: "FakeNova"
    bound: dict[str, Port] = field(default_factory=dict)
    """Ports that are not simply bound where their server is, by id."""
    inactive: set[tuple[str, str]] = field(default_factory=set)
    """(port, host): INACTIVE bindings."""
    dead_agents: set[str] = field(default_factory=set)
    """Hosts whose agent is dead though nova-compute is up."""

    def ports(self) -> tuple[Port, ...]:
        strays = [port for port in self.bound.values() if port.server_id not in self.nova.servers]
        return (*self._of_servers(), *strays)

    def bound_to(self, host: str) -> tuple[Port, ...]:
        return tuple(p for p in self.ports() if p.host == host or (p.id, host) in self.inactive)

    def agents_on(self, host: str) -> tuple[NetworkAgent, ...]:
        if host not in self.nova.hosts:
            return ()
        alive = self._alive(host)
        return (
            NetworkAgent(f"agent-{host}", "Open vSwitch agent", "neutron-openvswitch-agent", host, alive),
        )

    def bind(self, port_id: str, host: str, device_owner: str | None) -> PortBinding:
        """`neutron/plugins/ml2/plugin.py`, `update_port`: 200 whether a driver could bind or not."""
        port = self.get(port_id)
        vif_type = "ovs" if self._alive(host) else "binding_failed"
        if not host:
            vif_type = "unbound"
        server = self.nova.servers.get(port.server_id)
        there = vif_type == "ovs" and server is not None and server.host == host
        if port.host == host and port.vif_type not in {"unbound", "binding_failed"}:
            # The row names this host already: nothing is bound anew, whether the agent lives or not.
            bound = replace(port, device_owner=device_owner or port.device_owner)
        else:
            bound = replace(
                port,
                host=host,
                vif_type=vif_type,
                status="ACTIVE" if there else "DOWN",
                device_owner=device_owner or port.device_owner,
            )
        self.inactive.discard((port_id, host))
        self.keep(bound)
        self.nova.arrived.append(("bind_port", port_id))
        return PortBinding(port_id, bound.host, bound.vif_type, bound.status, bound.device_owner)

    def delete_binding(self, port_id: str, host: str) -> None:
        port = self.get(port_id)
        if (port_id, host) in self.inactive:
            self.inactive.discard((port_id, host))
        elif port.host == host:
            self.keep(replace(port, host="", vif_type="unbound", status="DOWN"))
        else:
            raise refuse(404, f"Binding for port {port_id} on host {host} could not be found.")
        self.nova.arrived.append(("delete_binding", port_id))

    def get(self, port_id: str) -> Port:
        for port in self.ports():
            if port.id == port_id:
                return port
        raise refuse(404, f"Port {port_id} could not be found.")

    def keep(self, port: Port) -> None:
        """Remember only what cannot be told from the server itself."""
        server = self.nova.servers.get(port.server_id)
        self.bound.pop(port.id, None)
        if server is None or server.host is None or port != _of(server):
            self.bound[port.id] = port

    def freeze(self, server: Server) -> None:
        """Its port stays where it is, whatever becomes of the server's row."""
        if server.host is not None:
            self.bound.setdefault(f"port-{server.id}", _of(server))

    def moved(self, after: Server) -> None:
        """Nova binds the ports of a server that it moves."""
        self.bound.pop(f"port-{after.id}", None)

    def _of_servers(self) -> Iterator[Port]:
        for server in self.nova.servers.values():
            bound = self.bound.get(f"port-{server.id}")
            if bound is not None:
                yield bound
            elif server.host is not None:
                yield _of(server)

    def _alive(self, host: str) -> bool:
        return host in self.nova.hosts and self.nova.hosts[host].up and host not in self.dead_agents


def _of(server: Server) -> Port:
    owner = f"compute:{server.zone}"
    return Port(f"port-{server.id}", server.id, server.host or "", "ACTIVE", "ovs", device_owner=owner)
