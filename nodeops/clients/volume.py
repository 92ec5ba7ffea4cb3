"""What Cinder tells of attachments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nodeops.clients.wire import PAGE, Service
from nodeops.facts import Attachment

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
    """The connection info, where it is shown at all, is not looked at: it may hold secrets."""
    connector = body.get("connector")
    host = connector.get("host") if isinstance(connector, Mapping) else None
    return Attachment(
        id=body["id"],
        volume_id=body.get("volume_id") or "",
        server_id=body.get("instance") or "",
        status=body.get("status") or "",
        host=host,
    )
