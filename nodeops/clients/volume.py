"""What Cinder tells of volumes and attachments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Any
from urllib.parse import quote

from nodeops.clients.wire import PAGE, Service
from nodeops.errors import ApiError
from nodeops.model import facts
from nodeops.model.facts import Attachment

VERSION = "3.27"
"""The attachments API."""
FEW = 2
"""Up to so many servers are asked for one by one; more are cheaper as one list."""


@dataclass
class Volume:
    service: Service

    def attachments_of(self, server_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """Cinder filters by one server only: the first page of all of them often says it in one call."""
        wanted = set(server_ids)
        if not wanted:
            return ()
        everything = self._first_page() if len(wanted) > FEW else None
        if everything is None:
            everything = list(chain.from_iterable(self._of_server(each) for each in sorted(wanted)))
        return tuple(attachment(body) for body in everything if body.get("instance") in wanted)

    def attachments(self) -> tuple[Attachment, ...]:
        bodies = self.service.pages(
            "attachments/detail",
            "attachments",
            subject="volume attachments",
            params={"all_tenants": 1, "limit": PAGE},
            microversion=VERSION,
        )
        return tuple(map(attachment, bodies))

    def volumes(self) -> tuple[facts.Volume, ...]:
        bodies = self.service.pages(
            "volumes/detail",
            "volumes",
            subject="volumes",
            params={"all_tenants": 1, "limit": PAGE},
            microversion=VERSION,
        )
        return tuple(map(volume, bodies))

    def volume(self, volume_id: str) -> facts.Volume | None:
        path, subject = f"volumes/{quote(volume_id)}", f"volume {volume_id}"
        try:
            return volume(self.service.get(path, subject=subject, microversion=VERSION).body["volume"])
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _first_page(self) -> list[Mapping[str, Any]] | None:
        params = {"all_tenants": 1, "limit": PAGE}
        subject = "volume attachments"
        body = self.service.get(
            "attachments/detail", subject=subject, params=params, microversion=VERSION
        ).body
        return None if body.get("attachments_links") else list(body["attachments"])

    def _of_server(self, server_id: str) -> list[Mapping[str, Any]]:
        return list(
            self.service.pages(
                "attachments/detail",
                "attachments",
                subject=f"volume attachments of server {server_id}",
                params={"all_tenants": 1, "instance_id": server_id, "limit": PAGE},
                microversion=VERSION,
            )
        )


def attachment(body: Mapping[str, Any]) -> Attachment:
    """Of the connection info only the kind is looked at: the rest may hold secrets."""
    connector, connection = body.get("connector"), body.get("connection_info")
    host = connector.get("host") if isinstance(connector, Mapping) else None
    driver = connection.get("driver_volume_type") if isinstance(connection, Mapping) else None
    return Attachment(
        id=body["id"],
        volume_id=body.get("volume_id") or "",
        server_id=body.get("instance") or "",
        status=body.get("status") or "",
        host=host,
        driver=driver or "",
    )


def volume(body: Mapping[str, Any]) -> facts.Volume:
    """The host of an attachment is shown to administrators only (`cinder/api/v3/views/volumes.py`)."""
    return facts.Volume(
        id=body["id"],
        status=body.get("status") or "",
        name=body.get("name") or "",
        multiattach=bool(body.get("multiattach")),
        bootable=body.get("bootable") in {True, "true"},
        attachments=tuple(
            Attachment(
                id=each["attachment_id"],
                volume_id=body["id"],
                server_id=each.get("server_id") or "",
                status="attached",
                host=each.get("host_name") or None,
            )
            for each in body.get("attachments") or ()
        ),
    )
