"""`StatesView` on Nova and Glance: servers are followed by what changed, so that a tick is one list call."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

from nodeops.clients import compute_json
from nodeops.clients.cloud import Cloud
from nodeops.clients.wire import PAGE, Params
from nodeops.errors import ApiError, UnknownServerError
from nodeops.model.following import ImageProgress, Sighting

LEFT_OUT = frozenset({"DELETED", "SOFT_DELETED"})
NAMES = 50
IMAGES = 100
"""Unfinished images that are looked at; more are not being made at once."""


class ServerStates:
    """Implements `StatesView`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._nova = cloud.compute

    def now(self) -> float:
        return self._cloud.now()

    def named(self, words: Sequence[str]) -> tuple[Sighting, ...]:
        found = {each.server.id: each for each in map(self._one, dict.fromkeys(words))}
        return tuple(found.values())

    def on(self, host: str) -> tuple[Sighting, ...]:
        listed = self._list({"host": host}, f"servers on host {host}")
        return tuple(each for each in listed if each.server.host == host)

    def names(self, beginning: str) -> list[str]:
        """Some servers whose names begin so."""
        body = self._nova.service.get(
            "servers",
            subject="names of servers",
            params={"all_tenants": 1, "limit": NAMES, "name": "^" + _literally(beginning)},
            microversion=self._nova.microversion,
        ).body
        return sorted(each["name"] for each in body["servers"] if each["name"].startswith(beginning))

    def changed(self, since: float) -> tuple[Sighting, ...]:
        """Deleted servers are listed because of the filter (`nova/api/openstack/compute/servers.py`)."""
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return tuple(self._list({"changes-since": moment}, "servers that changed"))

    def percent(self, server_id: str) -> int | None:
        progress = self._cloud.progress(server_id)
        if progress is None or not progress.total:
            return None
        return round(100 * (progress.total - progress.remaining) / progress.total)

    def images(self) -> tuple[ImageProgress, ...]:
        """Glance tells no bytes of an upload; the server is a property of the image."""
        params: Params = {"status": "in:queued,saving", "sort": "created_at:desc", "limit": IMAGES}
        body = self._cloud.image.service.get("images", subject="unfinished images", params=params).body
        found = [image for image in body.get("images") or () if image.get("instance_uuid")]
        return tuple(
            ImageProgress(image["instance_uuid"], image.get("name") or image["id"], image["status"])
            for image in found
        )

    def _one(self, word: str) -> Sighting:
        if _is_id(word):
            return self._by_id(word)
        # Nova takes the name as a regular expression of the database; ours must match all of it.
        pattern = f"^{_literally(word)}$"
        named = [
            each
            for each in self._list({"name": pattern}, f"server {word}")
            if each.server.name == word and each.server.status not in LEFT_OUT
        ]
        if not named:
            raise UnknownServerError(
                f"server {word}: no server has this name or id", hint="nodeops status HOST lists a host's."
            )
        if len(named) > 1:
            ids = ", ".join(each.server.id for each in named[:3])
            raise UnknownServerError(
                f"server {word}: {len(named)} servers have this name", hint=f"Name one by its id: {ids}."
            )
        return named[0]

    def _by_id(self, server_id: str) -> Sighting:
        path, subject = f"servers/{quote(server_id)}", f"server {server_id}"
        try:
            answer = self._nova.service.get(path, subject=subject, microversion=self._nova.microversion)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise UnknownServerError(
                    f"server {server_id}: does not exist", hint="It may have been deleted; look at its id."
                ) from None
            raise
        return sighting(answer.body["server"])

    def _list(self, filters: Mapping[str, str], subject: str) -> Iterator[Sighting]:
        bodies = self._nova.service.pages(
            "servers/detail",
            "servers",
            subject=subject,
            params={"all_tenants": 1, "limit": PAGE, **filters},
            microversion=self._nova.microversion,
        )
        return map(sighting, bodies)


def sighting(body: Mapping[str, Any]) -> Sighting:
    """One of `/servers/detail`; its `progress` is what the last move left, so it counts only during one."""
    server = compute_json.server(body)
    gone = server.status == "DELETED" or server.vm_state == "deleted"
    percent = int(body.get("progress") or 0)
    moving = server.task_state == "migrating" and percent > 0
    return Sighting(server, percent if moving else None, gone)


def _literally(word: str) -> str:
    """So that a regular expression of the database means this word."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", word)


def _is_id(word: str) -> bool:
    try:
        return str(UUID(word)) == word.lower()
    except ValueError:
        return False
