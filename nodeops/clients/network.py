"""What Neutron tells of ports and where they are bound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from nodeops.clients.wire import PAGE, Params, Service
from nodeops.errors import ForbiddenError
from nodeops.facts import Port

IDS_PER_CALL = 100
"""Of 47 characters each in the query: web servers take 8 KiB of request line."""
FIELDS = (
    *("id", "device_id", "status", "network_id", "resource_request"),
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
    )
