"""`StateRecords` on Nova."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients import compute_json
from nodeops.clients.cloud import Cloud
from nodeops.clients.compute import ACTIONS, MIGRATIONS, SERVICES
from nodeops.clients.server_states import ServerStates
from nodeops.clients.wire import PAGE, Params
from nodeops.errors import ApiError
from nodeops.model.facts import Host, Migration, Server
from nodeops.model.states import Deed, moment

RECENT = timedelta(days=1)


class NovaRecords:
    """Implements `StateRecords`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._nova = cloud.compute.service

    def now(self) -> float:
        return self._cloud.now()

    def hosts(self) -> tuple[Host, ...]:
        answer = self._nova.get(
            "os-services",
            subject="compute services",
            params={"binary": "nova-compute"},
            microversion=SERVICES,
        )
        return tuple(
            compute_json.host(body)
            for body in answer.body["services"]
            if body.get("binary") == "nova-compute"
        )

    def servers(self, host: str | None) -> tuple[Server, ...]:
        if host is not None:
            return self._cloud.servers_on(host)
        bodies = self._nova.pages(
            "servers/detail",
            "servers",
            subject="all servers",
            params={"all_tenants": 1, "limit": PAGE},
            microversion=self._cloud.compute.microversion,
        )
        return tuple(compute_json.server(body) for body in bodies if body.get("status") != "UNKNOWN")

    def migrations(self, host: str | None) -> tuple[Migration, ...]:
        since = datetime.fromtimestamp(self.now(), UTC) - RECENT
        params: dict[str, str | int] = {
            "changes-since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "limit": PAGE,
        }
        bodies = self._nova.pages(
            "os-migrations",
            "migrations",
            subject="migrations",
            params=params | ({"host": host} if host else {}),
            microversion=MIGRATIONS,
        )
        return tuple(map(compute_json.migration, bodies))

    def deed(self, server_id: str) -> Deed | None:
        """Events are told only by the action itself (`nova/api/openstack/compute/instance_actions.py`)."""
        path = f"servers/{quote(server_id)}/os-instance-actions"
        subject = f"actions of server {server_id}"
        try:
            listed = self._nova.get(path, subject=subject, params={"limit": 1}, microversion=ACTIONS).body
            actions = listed.get("instanceActions") or ()
            if not actions:
                return None
            path = f"{path}/{quote(actions[0]['request_id'])}"
            return deed(self._nova.get(path, subject=subject, microversion=ACTIONS).body["instanceAction"])
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def imaged(self) -> frozenset[str]:
        return frozenset(image.server_id for image in ServerStates(self._cloud).images())

    def server(self, server_id: str) -> Server | None:
        """Deleted ones too, as long as their rows are there: those are shown only by a list of changes."""
        found = self._cloud.server(server_id)
        if found is not None:
            return found
        params: Params = {"all_tenants": 1, "uuid": server_id, "changes-since": "1970-01-01T00:00:00Z"}
        bodies = self._nova.pages(
            "servers/detail",
            "servers",
            subject=f"deleted server {server_id}",
            params=params,
            microversion=self._cloud.compute.microversion,
        )
        return next((compute_json.server(body) for body in bodies if body["id"] == server_id), None)


def deed(body: Mapping[str, Any]) -> Deed:
    """One of `/servers/{id}/os-instance-actions/{request id}`."""
    events = body.get("events") or ()
    unended = [event for event in events if not event.get("finish_time")]
    # Nova writes the host of an event down from 2.62 on, for administrators.
    last = max(unended, key=lambda event: event.get("start_time") or "", default=None)
    return Deed(
        action=body.get("action") or "",
        request_id=body.get("request_id") or "",
        started=moment(body.get("start_time") or ""),
        open_on=None if last is None else str(last.get("host") or ""),
        open_event="" if last is None else str(last.get("event") or ""),
        failed=any(event.get("result") not in {None, "Success"} for event in events),
    )
