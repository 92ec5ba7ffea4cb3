"""The calls that `lab populate` makes to the lab's cloud, through openstacksdk's adapters."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from nodeops.errors import ApiError
from nodeops.lab.catalogue import connect
from nodeops.lab.furniture import IMAGE, NETWORK
from nodeops.lab.layout import Layout
from nodeops.lab.population import Policy, Seen, Wanted

MICROVERSION = "2.90"
"""At least 2.74, for a server's host at boot that does not pin it to a zone."""
VOLUME_GIB = 1
DISK_GIB = 1
LARGE_MB = 16 * 1024


class LabCloud:
    """What populate asks of the lab's cloud, as its administrator.

    Every call raises `ApiError` when the service refuses it.
    """

    def __init__(self, layout: Layout) -> None:
        # Past the fault proxy: neither counted with the calls of clients nor disturbed by what is armed.
        self._connection = connect(layout, direct=True)

    def servers(self, prefix: str) -> dict[str, Seen]:
        """Return the servers whose names begin like this, by name."""
        answer = self._compute("GET", f"/servers/detail?{urlencode({'name': '^' + prefix})}")
        return {server["name"]: _seen(server) for server in answer["servers"]}

    def hosts(self) -> list[str]:
        """Return the hosts whose nova-compute is up and enabled, in the order of their names."""
        services = self._compute("GET", "/os-services?binary=nova-compute")["services"]
        return sorted(s["host"] for s in services if s["state"] == "up" and s["status"] == "enabled")

    def zone_of(self, host: str) -> str:
        zones = self._compute("GET", "/os-availability-zone/detail")["availabilityZoneInfo"]
        return next(str(zone["zoneName"]) for zone in zones if host in (zone["hosts"] or {}))

    def memory_of(self, host: str) -> int:
        """Return the MiB of memory that Placement knows of the host; 0 when it does not know the host."""
        placement = self._connection.placement
        providers = self._call(placement, "GET", f"/resource_providers?name={host}")["resource_providers"]
        if not providers:
            return 0
        inventories = self._call(placement, "GET", f"/resource_providers/{providers[0]['uuid']}/inventories")[
            "inventories"
        ]
        return int(inventories.get("MEMORY_MB", {"total": 0})["total"])

    def boot(self, wanted: Wanted, body: Mapping[str, Any], group: str | None) -> None:
        """Ask for the server on the host where it is to begin."""
        server = {"name": wanted.name, "host": wanted.first_host, "metadata": dict(wanted.metadata), **body}
        hints = {"os:scheduler_hints": {"group": group}} if group else {}
        self._compute("POST", "/servers", {"server": server, **hints})

    def act(self, server_id: str, body: Mapping[str, Any]) -> None:
        self._compute("POST", f"/servers/{server_id}/action", body)

    def delete(self, server_id: str) -> None:
        """Delete the server; one that is gone already is well."""
        try:
            self._compute("DELETE", f"/servers/{server_id}")
        except ApiError as error:
            if error.status != 404:  # noqa: PLR2004 - HTTP's not found
                raise

    def attach(self, server_id: str, volume_id: str) -> None:
        body = {"volumeAttachment": {"volumeId": volume_id}}
        self._compute("POST", f"/servers/{server_id}/os-volume_attachments", body)

    def flavor(self, ram_mb: int) -> str:
        """Return the id of the flavor with this memory, made when it is missing."""
        name = f"populate-{ram_mb}"
        found = self._compute("GET", "/flavors")["flavors"]
        held = [flavor["id"] for flavor in found if flavor["name"] == name]
        if held:
            return str(held[0])
        vcpus = 4 if ram_mb >= LARGE_MB else 1
        flavor = {"name": name, "ram": ram_mb, "vcpus": vcpus, "disk": DISK_GIB}
        return str(self._compute("POST", "/flavors", {"flavor": flavor})["flavor"]["id"])

    def group(self, name: str, policy: Policy) -> str:
        """Return the id of the server group, made when it is missing."""
        found = self._compute("GET", "/os-server-groups")["server_groups"]
        held = [group["id"] for group in found if group["name"] == name]
        if held:
            return str(held[0])
        body = {"server_group": {"name": name, "policy": policy.value}}
        return str(self._compute("POST", "/os-server-groups", body)["server_group"]["id"])

    def image(self) -> str:
        """Return the id of the lab's image."""
        found = self._call(self._connection.image, "GET", f"/images?name={IMAGE}")["images"]
        return _first(found, f"image {IMAGE}")

    def network(self) -> str:
        """Return the id of the lab's network."""
        found = self._call(self._connection.network, "GET", f"/networks?name={NETWORK}")["networks"]
        return _first(found, f"network {NETWORK}")

    def volume(self, name: str, *, bootable: bool, image: str = "") -> tuple[str, str]:
        """Return id and status of the volume of this name; a missing one is asked for, with this image."""
        storage = self._connection.block_storage
        found = self._call(storage, "GET", f"/volumes/detail?name={name}")["volumes"]
        if not found:
            content = {"imageRef": image} if image else {}
            body = {"volume": {"name": name, "size": VOLUME_GIB, **content}}
            made = self._call(storage, "POST", "/volumes", body)["volume"]
            return str(made["id"]), str(made["status"])
        volume = found[0]
        if bootable and volume["bootable"] != "true" and volume["status"] == "available":
            self._call(
                storage, "POST", f"/volumes/{volume['id']}/action", {"os-set_bootable": {"bootable": True}}
            )
        return str(volume["id"]), str(volume["status"])

    def delete_volume(self, volume_id: str) -> None:
        self._call(self._connection.block_storage, "DELETE", f"/volumes/{volume_id}")

    def _compute(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._call(self._connection.compute, method, path, body, microversion=MICROVERSION)

    def _call(
        self, adapter: Any, method: str, path: str, body: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        response = _spoken(lambda: adapter.request(path, method, json=body, raise_exc=False, **more), path)
        if not response.ok:
            raise ApiError(
                f"{method} {path.partition('?')[0]}: {response.status_code} {_words(response)}",
                status=response.status_code,
                request_id=response.headers.get("x-openstack-request-id"),
            )
        return response.json() if response.content else {}


def _spoken(call: Callable[[], Any], path: str) -> Any:
    """Turn what the libraries raise when there is no answer into an `ApiError`."""
    from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - with openstacksdk only
    from openstack.exceptions import SDKException  # noqa: PLC0415 - likewise

    try:
        return call()
    except (ClientException, SDKException) as error:
        raise ApiError(
            f"the lab's cloud does not answer: {path.partition('?')[0]}: {error}",
            hint="`nodeops lab status` shows what runs, `nodeops lab up` mends it.",
        ) from error


def _first(found: list[dict[str, Any]], what: str) -> str:
    if not found:
        raise ApiError(f"the lab has no {what}", hint="`nodeops lab up` makes it.")
    return str(found[0]["id"])


def _words(response: Any) -> str:
    """Return the message within an error answer."""
    try:
        held = response.json()
    except ValueError:
        return str(response.reason)
    inner = next(iter(held.values()), None) if isinstance(held, dict) else None
    return str(inner.get("message", inner)) if isinstance(inner, dict) else str(held)


def _seen(server: Mapping[str, Any]) -> Seen:
    return Seen(
        server_id=server["id"],
        name=server["name"],
        status=server["status"],
        task=server["OS-EXT-STS:task_state"],
        host=server["OS-EXT-SRV-ATTR:host"],
        locked=bool(server["locked"]),
        volumes=len(server["os-extended-volumes:volumes_attached"]),
        fault=server.get("fault", {}).get("message", ""),
        metadata=server["metadata"],
    )
