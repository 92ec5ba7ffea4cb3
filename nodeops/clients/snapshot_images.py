"""`SnapshotWorld` on Nova, Glance and Cinder."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute_changes import CHANGES
from nodeops.clients.compute_json import strings
from nodeops.clients.image import BASE
from nodeops.clients.server_states import ServerStates
from nodeops.clients.volume import VERSION
from nodeops.clients.wire import PAGE, Params
from nodeops.errors import ApiError
from nodeops.model.facts import Server
from nodeops.model.following import Sighting
from nodeops.model.snapshots import OF_SERVER, Image, SnapshotState, Subject

Body = Mapping[str, Any]


class SnapshotImages:
    """Implements `SnapshotWorld`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._states = ServerStates(cloud)
        self._nova = cloud.compute.service
        self._glance = cloud.image.service
        self._cinder = cloud.block_storage.service

    # -- reads

    def now(self) -> float:
        return self._cloud.now()

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        return self._states.named(words)

    def on(self, host: str) -> tuple[Sighting, ...]:
        return self._states.on(host)

    def changed(self, since: float) -> tuple[Sighting, ...]:
        return self._states.changed(since)

    def subject(self, server: Server) -> Subject:
        """Nova keeps the properties of the image as it was at boot and tells them since 2.98.

        Before that Glance's are the next best; of a root volume Cinder has kept them.
        """
        path = f"servers/{quote(server.id)}/ips"
        body = self._nova.get(path, subject=f"addresses of server {server.id}", microversion=CHANGES).body
        addresses = tuple(each["addr"] for network in body["addresses"].values() for each in network)
        return Subject(server, self._properties(server), addresses)

    def image(self, image_id: str) -> Image | None:
        found = self._found(self._glance, f"images/{quote(image_id)}", f"image {image_id}")
        return None if found is None else image(found)

    def images_of(self, server_id: str) -> tuple[Image, ...]:
        params: Params = {OF_SERVER: server_id, "sort": "created_at:desc", "limit": PAGE}
        subject = f"images of server {server_id}"
        return tuple(map(image, self._glance.pages("images", "images", subject=subject, params=params)))

    def volume_snapshots(self, snapshot_ids: Sequence[str]) -> tuple[SnapshotState, ...]:
        paths = {each: f"snapshots/{quote(each)}" for each in snapshot_ids}
        found = (self._found(self._cinder, path, f"snapshot {each}") for each, path in paths.items())
        return tuple(_volume_snapshot(body["snapshot"]) for body in found if body is not None)

    # -- writes

    def create_image(self, server_id: str, name: str, properties: Mapping[str, str]) -> tuple[str, str]:
        subject = f"image of server {server_id}"
        body = {"createImage": {"name": name, "metadata": dict(properties)}}
        path = f"servers/{quote(server_id)}/action"
        answer = self._nova.write("POST", path, subject=subject, body=body, microversion=CHANGES)
        image_id = answer.body.get("image_id") if isinstance(answer.body, Mapping) else None
        if not image_id:
            raise ApiError(
                f"{subject}: the answer has no image_id",
                hint="Look for it with openstack image list.",
                request_id=answer.request_id or None,
                ambiguous=True,
            )
        return str(image_id), answer.request_id

    def delete_image(self, image_id: str) -> None:
        self._glance.write("DELETE", f"images/{quote(image_id)}", subject=f"deletion of image {image_id}")

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        path, subject = f"snapshots/{quote(snapshot_id)}", f"deletion of volume snapshot {snapshot_id}"
        self._cinder.write("DELETE", path, subject=subject, microversion=VERSION)

    # -- inside

    def _properties(self, server: Server) -> Mapping[str, str]:
        if server.image_properties:
            return server.image_properties
        if server.image_id is not None:
            return self._cloud.image_properties(server.image_id)
        root = self._root_volume(server)
        found = root and self._found(self._cinder, f"volumes/{quote(root)}", f"volume {root}", VERSION)
        return strings(found["volume"].get("volume_image_metadata") or {}) if found else {}

    def _root_volume(self, server: Server) -> str:
        """By the device; Nova lists volumes in the order of their devices else."""
        attached = self._cloud.volumes_of(server.id)
        named = [each.volume_id for each in attached if each.device and each.device == server.root_device]
        return next(iter([*named, *(each.volume_id for each in attached)]), "")

    @staticmethod
    def _found(service: Any, path: str, subject: str, microversion: str = "") -> Any:
        """The body, None for what does not exist."""
        try:
            return service.get(path, subject=subject, microversion=microversion).body
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def image(body: Body) -> Image:
    """One of Glance's; of a volume-backed server it has its snapshots in a property, as JSON."""
    return Image(
        id=body["id"],
        name=body.get("name") or "",
        status=body.get("status") or "",
        size=int(body.get("size") or 0),
        created=body.get("created_at") or "",
        protected=bool(body.get("protected")),
        properties={key: str(value) for key, value in body.items() if key not in BASE and value is not None},
        volume_snapshots=_snapshot_ids(body.get("block_device_mapping")),
    )


def _snapshot_ids(mapping: Any) -> tuple[str, ...]:
    try:
        devices = json.loads(mapping) if isinstance(mapping, str) else mapping or ()
    except ValueError:
        return ()
    return tuple(each["snapshot_id"] for each in devices if each.get("snapshot_id"))


def _volume_snapshot(body: Body) -> SnapshotState:
    return SnapshotState(body["id"], body.get("status") or "", int(body.get("size") or 0))
