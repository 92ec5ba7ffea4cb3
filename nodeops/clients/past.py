"""`Past` on Nova: what was asked of servers, what their hypervisor says, their consoles and addresses."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute import ACTIONS
from nodeops.errors import ApiError
from nodeops.model.recovering import Asked
from nodeops.model.states import moment

MOST_ACTIONS = 100
DIAGNOSTICS = "2.48"
"""From which they have one form for all hypervisors."""
UPTIME = "2.88"
"""From which a hypervisor's own view tells it."""
CONSOLE_LINES = 400
RUNNING = frozenset({"running", "paused"})
_UP = re.compile(
    r"up\s+(?:(?P<days>\d+)\s+days?,\s*)?(?:(?P<hours>\d+):(?P<minutes>\d\d)|(?P<alone>\d+)\s+(?P<unit>min|hours?|days?))"
)
_NOT_SO = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})


class NovaPast:
    """Implements `Past`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._nova = cloud.compute.service

    def asked(self, server_id: str) -> tuple[Asked, ...]:
        answer = self._nova.get(
            f"servers/{quote(server_id)}/os-instance-actions",
            subject=f"actions of server {server_id}",
            params={"limit": MOST_ACTIONS},
            microversion=ACTIONS,
        )
        found = [asked(body) for body in answer.body.get("instanceActions") or ()]
        return tuple(sorted(found, key=lambda each: each.started, reverse=True))

    def runs(self, server_id: str) -> bool | None:
        """By its diagnostics: nova-compute asks the hypervisor before it answers.

        409 for a guest that is off (`nova/compute/manager.py`, `get_instance_diagnostics`), or whose record
        has no host; None when the driver does not tell.
        """
        try:
            answer = self._nova.get(
                f"servers/{quote(server_id)}/diagnostics",
                subject=f"diagnostics of server {server_id}",
                microversion=DIAGNOSTICS,
            )
        except ApiError as error:
            if error.status in _NOT_SO:
                return False
            if error.ambiguous or (error.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return None
            raise
        return answer.body.get("state") in RUNNING

    def booted(self, provider_id: str) -> float | None:
        answer = self._nova.get(
            f"os-hypervisors/{quote(provider_id)}",
            subject=f"hypervisor {provider_id}",
            microversion=UPTIME,
        )
        body: Mapping[str, Any] = answer.body.get("hypervisor") or {}
        seconds = up_seconds(str(body.get("uptime") or ""))
        return None if seconds is None else self._cloud.now() - seconds

    def console(self, server_id: str) -> str | None:
        """A POST that changes nothing; 404 and 409 for a server that has none now."""
        try:
            answer = self._nova.write(
                "POST",
                f"servers/{quote(server_id)}/action",
                subject=f"console of server {server_id}",
                body={"os-getConsoleOutput": {"length": CONSOLE_LINES}},
            )
        except ApiError as error:
            if error.status in {*_NOT_SO, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED}:
                return None
            raise
        found = answer.body.get("output") if isinstance(answer.body, Mapping) else None
        return str(found) if found else None

    def addresses(self, server_id: str) -> tuple[str, ...]:
        body = self._nova.get(
            f"servers/{quote(server_id)}/ips", subject=f"addresses of server {server_id}"
        ).body
        every = [each for network in (body.get("addresses") or {}).values() for each in network]
        return tuple(str(each["addr"]) for each in every)


def asked(body: Mapping[str, Any]) -> Asked:
    """One of `/servers/{id}/os-instance-actions`."""
    return Asked(
        action=body.get("action") or "",
        request_id=body.get("request_id") or "",
        started=moment(body.get("start_time") or ""),
        user_id=body.get("user_id") or None,
        failed=bool(body.get("message")),
    )


def up_seconds(text: str) -> float | None:
    """What `uptime` prints: ` 16:06:30 up 3 days, 2:05, 1 user …`; the end of its last minute."""
    found = _UP.search(text)
    if found is None:
        return None
    days = int(found["days"] or 0)
    if found["hours"] is not None:
        minutes = int(found["hours"]) * 60 + int(found["minutes"])
    else:
        unit = {"m": 1, "h": 60, "d": 24 * 60}[found["unit"][0]]
        minutes = int(found["alone"]) * unit
    return ((days * 24 * 60) + minutes + 1) * 60.0
