"""`AddressWorld` on Neutron and Nova."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute import ACTIONS
from nodeops.clients.compute_changes import CHANGES
from nodeops.clients.server_states import ServerStates
from nodeops.clients.wire import PAGE, Params
from nodeops.errors import ApiError, UsageError
from nodeops.model.addresses import AddressPort, Asked, FixedIp, FloatingIp, Net
from nodeops.model.facts import Server
from nodeops.model.states import moment

AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})
"""`neutron_lib.constants`: address modes in which the address follows from the MAC."""


class NetworkAddresses:
    """Implements `AddressWorld`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._nova = cloud.compute.service
        self._neutron = cloud.network.service

    # -- reads

    def server(self, word: str) -> Server:
        (found,) = ServerStates(self._cloud).named([word])
        return found.server

    def server_by_id(self, server_id: str) -> Server | None:
        return self._cloud.server(server_id)

    def asked(self, server_id: str) -> tuple[Asked, ...]:
        path, subject = f"servers/{quote(server_id)}/os-instance-actions", f"actions of server {server_id}"
        body = self._nova.get(path, subject=subject, params={"limit": PAGE}, microversion=ACTIONS).body
        return tuple(
            Asked(
                each.get("action") or "",
                moment(each.get("start_time") or ""),
                moment(each.get("updated_at") or each.get("start_time") or ""),
            )
            for each in body["instanceActions"]
        )

    def port(self, port_id: str) -> AddressPort | None:
        try:
            body = self._neutron.get(f"ports/{quote(port_id)}", subject=f"port {port_id}").body
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return port(body["port"])

    def ports_with(self, address: str) -> tuple[AddressPort, ...]:
        return tuple(self._ports({"fixed_ips": f"ip_address={address}"}, f"ports with address {address}"))

    def ports_of(self, server_id: str) -> tuple[AddressPort, ...]:
        return tuple(self._ports({"device_id": server_id}, f"ports of server {server_id}"))

    def ports_tagged(self, tag: str) -> tuple[AddressPort, ...]:
        return tuple(self._ports({"tags": tag}, f"ports tagged {tag}"))

    def ports_named(self, name: str, network_id: str) -> tuple[AddressPort, ...]:
        return tuple(self._ports({"name": name, "network_id": network_id}, f"ports named {name}"))

    def network(self, word: str) -> Net:
        subject = f"network {word}"
        for key in ("id", "name"):
            found = list(self._neutron.pages("networks", "networks", subject=subject, params={key: word}))
            if len(found) > 1:
                ids = ", ".join(str(body["id"]) for body in found[:3])
                raise UsageError(
                    f"{subject}: {len(found)} networks have this name", hint=f"Use an id: {ids}."
                )
            if found:
                return self._net(found[0])
        raise UsageError(
            f"{subject}: no network has this name or id", hint="openstack network list has them."
        )

    def _net(self, body: Mapping[str, Any]) -> Net:
        params: Params = {"network_id": body["id"]}
        subnets = self._neutron.pages("subnets", "subnets", subject=f"subnets of {body['id']}", params=params)
        automatic = {each["id"] for each in subnets if each.get("ipv6_address_mode") in AUTOMATIC}
        return Net(body["id"], body.get("name") or "", frozenset(automatic))

    def floating_of(self, port_ids: Sequence[str]) -> tuple[FloatingIp, ...]:
        return tuple(self._floating({"port_id": list(port_ids)}) if port_ids else ())

    def floating(self, address: str) -> FloatingIp | None:
        return next(self._floating({"floating_ip_address": address}), None)

    # -- writes

    def create_port(self, wanted: Mapping[str, Any]) -> AddressPort:
        subject = f"creation of a port on network {wanted['network_id']}"
        answer = self._neutron.write("POST", "ports", subject=subject, body={"port": dict(wanted)})
        return port(answer.part("port", subject))

    def update_port(self, port_id: str, wanted: Mapping[str, Any]) -> AddressPort:
        subject = f"change of port {port_id}"
        path, body = f"ports/{quote(port_id)}", {"port": dict(wanted)}
        return port(self._neutron.write("PUT", path, subject=subject, body=body).part("port", subject))

    def delete_port(self, port_id: str) -> str:
        """404 is no error: it is what was wanted."""
        try:
            path = f"ports/{quote(port_id)}"
            return self._neutron.write("DELETE", path, subject=f"deletion of port {port_id}").request_id
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return error.request_id or ""
            raise

    def tag_port(self, port_id: str, tags: Sequence[str]) -> None:
        path, body = f"ports/{quote(port_id)}/tags", {"tags": list(tags)}
        self._neutron.write("PUT", path, subject=f"tags of port {port_id}", body=body)

    def attach(self, server_id: str, port_id: str) -> str:
        path = f"servers/{quote(server_id)}/os-interface"
        subject = f"attachment of port {port_id} to server {server_id}"
        body = {"interfaceAttachment": {"port_id": port_id}}
        return self._nova.write("POST", path, subject=subject, body=body, microversion=CHANGES).request_id

    def detach(self, server_id: str, port_id: str) -> str:
        path = f"servers/{quote(server_id)}/os-interface/{quote(port_id)}"
        subject = f"detachment of port {port_id} from server {server_id}"
        return self._nova.write("DELETE", path, subject=subject, microversion=CHANGES).request_id

    def associate(self, floating_id: str, port_id: str, fixed_address: str) -> None:
        body = {"floatingip": {"port_id": port_id, "fixed_ip_address": fixed_address}}
        subject = f"floating address {floating_id}"
        self._neutron.write("PUT", f"floatingips/{quote(floating_id)}", subject=subject, body=body)

    # -- inside

    def _ports(self, params: Params, subject: str) -> Iterator[AddressPort]:
        asked = {**params, "limit": PAGE}
        return map(port, self._neutron.pages("ports", "ports", subject=subject, params=asked))

    def _floating(self, params: Params) -> Iterator[FloatingIp]:
        try:
            for body in self._neutron.pages(
                "floatingips", "floatingips", subject="floating addresses", params=params
            ):
                yield FloatingIp(
                    body["id"],
                    body.get("floating_ip_address") or "",
                    body.get("fixed_ip_address") or "",
                    body.get("port_id") or "",
                )
        except ApiError as error:
            # A cloud without routers has no such resource.
            if error.status != HTTPStatus.NOT_FOUND:
                raise


def port(body: Mapping[str, Any]) -> AddressPort:
    pairs = body.get("allowed_address_pairs") or ()
    return AddressPort(
        id=body["id"],
        name=body.get("name") or "",
        network_id=body.get("network_id") or "",
        project_id=body.get("project_id") or body.get("tenant_id") or "",
        device_id=body.get("device_id") or "",
        device_owner=body.get("device_owner") or "",
        host=body.get("binding:host_id") or "",
        status=body.get("status") or "",
        mac=body.get("mac_address") or "",
        fixed_ips=tuple(
            FixedIp(each["subnet_id"], each["ip_address"]) for each in body.get("fixed_ips") or ()
        ),
        security_groups=tuple(body.get("security_groups") or ()),
        allowed_address_pairs=tuple({key: str(value) for key, value in pair.items()} for pair in pairs),
        port_security=body.get("port_security_enabled"),
        dns_name=body.get("dns_name") or "",
        dns_domain=body.get("dns_domain") or "",
        description=body.get("description") or "",
        vnic_type=body.get("binding:vnic_type") or "normal",
        qos_policy_id=body.get("qos_policy_id") or "",
        tags=tuple(body.get("tags") or ()),
        created=body.get("created_at") or "",
    )
