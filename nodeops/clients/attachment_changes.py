"""What is asked of Cinder: attachments are made, connected, completed and deleted, as Nova does it.

A new attachment with a connector may stand beside the old one of the same server
(`cinder/volume/api.py`, `attachment_create`). What a connection needs may hold secrets: it is handed on to
the database that Nova reads it from, and to nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.wire import Answer, Service, Write
from nodeops.errors import ApiError

CHANGES = "3.44"
"""The first that completes attachments."""


@dataclass
class AttachmentChanges:
    service: Service

    def create_attachment(
        self, volume_id: str, server_id: str, connector: Mapping[str, Any] | None, device: str
    ) -> tuple[str, Mapping[str, Any]]:
        wanted: dict[str, Any] = {"volume_uuid": volume_id, "instance_uuid": server_id}
        if connector is not None:
            wanted["connector"] = {"mountpoint": device, **connector}
        subject = f"attachment of volume {volume_id} to server {server_id}"
        answer = self._send("POST", "attachments", subject, {"attachment": wanted})
        made = answer.part("attachment", subject)
        return str(made["id"]), _connection(made)

    def connect_attachment(self, attachment_id: str, connector: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refused while another attachment of the volume is connected, unless it is a multiattach volume."""
        subject = f"connecting of attachment {attachment_id}"
        body = {"attachment": {"connector": dict(connector)}}
        answer = self._send("PUT", f"attachments/{quote(attachment_id)}", subject, body)
        return _connection(answer.part("attachment", subject))

    def complete_attachment(self, attachment_id: str) -> str:
        path = f"attachments/{quote(attachment_id)}/action"
        subject = f"completion of attachment {attachment_id}"
        return self._send("POST", path, subject, {"os-complete": {}}).request_id

    def delete_attachment(self, attachment_id: str) -> str:
        """An attachment that does not exist is what was wanted: the answer is then an empty request id."""
        path = f"attachments/{quote(attachment_id)}"
        try:
            return self._send("DELETE", path, f"deletion of attachment {attachment_id}").request_id
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ""
            raise

    def _send(self, method: Write, path: str, subject: str, body: Any = None) -> Answer:
        return self.service.write(method, path, subject=subject, body=body, microversion=CHANGES)


def _connection(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found = body.get("connection_info")
    return dict(found) if isinstance(found, Mapping) else {}
