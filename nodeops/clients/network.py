"""What Neutron tells of ports and where they are bound, and the binding of a port elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.wire import PAGE, Params, Service
from nodeops.errors import ForbiddenError
from nodeops.model.facts import NetworkAgent, Port, PortBinding

OF_SERVERS = "compute:"
"""How the device owner of a server's port begins."""
IDS_PER_CALL = 100
"""Of 47 characters each in the query: web servers take 8 KiB of request line."""
FIELDS = (
    *("id", "device_id", "device_owner", "status", "admin_state_up", "network_id", "resource_request"),
    *("binding:host_id", "binding:vif_type", "binding:vnic_type"),
)


@dataclass
class Network:
    service: Service

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]:
        found: list[Port] = []
        for start in range(0, len(server_ids), IDS_PER_CALL):
            ids = server_ids[start : start + IDS_PER_CALL]
            found += self._ports({"device_id": list(ids)}, f"ports of {len(ids)} servers")
        return tuple(found)

    def ports_bound_to(self, host: str) -> tuple[Port, ...]:
        return tuple(self._ports({"binding:host_id": host}, f"ports bound to host {host}"))

    def ports(self) -> tuple[Port, ...]:
        """Neutron has no filter for the beginning of a device owner."""
        every = self._ports({}, "ports")
        return tuple(port for port in every if port.device_owner.startswith(OF_SERVERS))

    def agents_on(self, host: str) -> tuple[NetworkAgent, ...]:
        answer = self.service.get("agents", subject=f"network agents on host {host}", params={"host": host})
        return tuple(agent(body) for body in answer.body["agents"] if body.get("host") == host)

    def bind_port(self, port_id: str, host: str, device_owner: str | None = None) -> PortBinding:
        """As Nova itself does it (`nova/network/neutron.py`, `_update_port_binding_for_instance`).

        `binding:profile` is never sent: from 2024.1 on only services may change it.
        """
        wanted = {"binding:host_id": host} | ({"device_owner": device_owner} if device_owner else {})
        subject = f"binding of port {port_id} on {host or 'no host'}"
        answer = self.service.write("PUT", f"ports/{quote(port_id)}", subject=subject, body={"port": wanted})
        body = answer.part("port", subject)
        return PortBinding(
            port_id=port_id,
            host=body.get("binding:host_id") or "",
            vif_type=body.get("binding:vif_type") or "",
            status=body.get("status") or "",
            device_owner=body.get("device_owner") or "",
        )

    def delete_binding(self, port_id: str, host: str) -> str:
        """Neutron deletes the ACTIVE one as well: ask where the port is bound first."""
        subject = f"deletion of the binding of port {port_id} on {host}"
        path = f"ports/{quote(port_id)}/bindings/{quote(host)}"
        return self.service.write("DELETE", path, subject=subject).request_id

    def _ports(self, params: Params, subject: str) -> Iterator[Port]:
        asked = {**params, "fields": list(FIELDS), "limit": PAGE}
        for body in self.service.pages("ports", "ports", subject=subject, params=asked):
            if "binding:host_id" not in body:
                raise ForbiddenError(
                    f"{subject}: neutron does not show this account where a port is bound",
                    hint="Use an account with the admin role, or allow get_port:binding:host_id.",
                    status=HTTPStatus.FORBIDDEN,
                )
            yield port(body)


def port(body: Mapping[str, Any]) -> Port:
    return Port(
        id=body["id"],
        server_id=body.get("device_id") or "",
        host=body["binding:host_id"] or "",
        status=body.get("status") or "",
        vif_type=body.get("binding:vif_type") or "",
        vnic_type=body.get("binding:vnic_type") or "normal",
        has_resource_request=bool(body.get("resource_request")),
        network_id=body.get("network_id") or "",
        device_owner=body.get("device_owner") or "",
        enabled=bool(body.get("admin_state_up", True)),
    )


def agent(body: Mapping[str, Any]) -> NetworkAgent:
    return NetworkAgent(
        id=body["id"],
        type=body.get("agent_type") or "",
        binary=body.get("binary") or "",
        host=body.get("host") or "",
        alive=bool(body.get("alive")),
        last_seen=body.get("heartbeat_timestamp") or "",
    )
