"""`RequestRecords` on Nova: instance actions with their events, and the migrations they began."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute import ACTIONS
from nodeops.clients.explanation import words_of
from nodeops.clients.server_states import ServerStates
from nodeops.errors import ApiError
from nodeops.model.facts import Migration
from nodeops.model.states import moment
from nodeops.model.tracing import Person, RequestEvent, RequestRecord

BEFORE, AFTER = 2.0, 2.0
"""Seconds by which a migration's row may be older than its action, whose times have whole seconds."""
LEAST_SKEW = 2.0


class NovaRequests:
    """Implements `RequestRecords`; what was asked once is not asked again."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._nova = cloud.compute.service
        self._migrations = cache(cloud.migrations_of)
        self._server = cache(cloud.server)
        self.request = cache(self._request)

    @property
    def _skew(self) -> float:
        """Of the cloud's clock to ours; less than the second its answers are told to is none."""
        ahead = self._cloud.now() - time.time()
        return ahead if abs(ahead) > LEAST_SKEW else 0.0

    def computes(self) -> frozenset[str]:
        return frozenset(host.name for host in self._cloud.hosts())

    def server(self, word: str) -> Person:
        server = ServerStates(self._cloud).named((word,))[0].server
        return Person(server.id, server.name, server.host or "")

    def newest(self, server_id: str, number: int) -> tuple[RequestRecord, ...]:
        path = f"servers/{quote(server_id)}/os-instance-actions"
        body = self._get(path, server_id, {"limit": number})
        return tuple(record(each, self._skew) for each in (body or {}).get("instanceActions") or ())

    def _request(self, server_id: str, request_id: str) -> RequestRecord | None:
        path = f"servers/{quote(server_id)}/os-instance-actions/{quote(request_id)}"
        body = self._get(path, server_id, {})
        if not body:
            return None
        found = record(body["instanceAction"], self._skew)
        migrations = tuple(each for each in self._migrations(server_id) if _during(each, found, self._skew))
        server = self._server(server_id)
        fault = server.fault if server else None
        late = fault is not None and moment(fault.created) - self._skew >= found.started - BEFORE
        return replace(
            found,
            server_name=server.name if server else "",
            migrations=migrations,
            fault=fault.message if fault and late else "",
        )

    def _get(self, path: str, server_id: str, params: Mapping[str, int]) -> Any:
        """None when Nova has no such thing."""
        subject = f"actions of server {server_id}"
        try:
            return self._nova.get(path, subject=subject, params=params, microversion=ACTIONS).body
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def _during(migration: Migration, request: RequestRecord, skew: float) -> bool:
    begun = moment(migration.created) - skew
    last = request.updated if request.ended is None else max(request.ended, request.updated)
    return request.started - BEFORE <= begun <= max(last, request.started) + AFTER


def record(body: Mapping[str, Any], skew: float = 0.0) -> RequestRecord:
    """One of `/servers/{id}/os-instance-actions`, by our clock; a list has no events in it."""
    begun = body.get("start_time") or ""
    events = (_event(each, skew) for each in body.get("events") or ())
    return RequestRecord(
        id=body.get("request_id") or "",
        server_id=body.get("instance_uuid") or "",
        action=body.get("action") or "",
        started=moment(begun) - skew,
        updated=moment(body.get("updated_at") or begun) - skew,
        message=body.get("message") or "",
        events=tuple(sorted(events, key=lambda each: each.started)),
    )


def _event(body: Mapping[str, Any], skew: float) -> RequestEvent:
    result = str(body.get("result") or "")
    return RequestEvent(
        name=str(body.get("event") or ""),
        host=str(body.get("host") or ""),
        started=moment(body.get("start_time") or "") - skew,
        ended=moment(body["finish_time"]) - skew if body.get("finish_time") else None,
        result=result,
        words=words_of(body) if result not in {"", "Success"} else "",
    )
