"""What is known of the volumes of a server, or of all servers of a host; reading only."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from nodeops.errors import ApiError, ConfigurationError, UnknownServerError
from nodeops.gather.hosts import find_host
from nodeops.gather.optional import Unseen
from nodeops.model.facts import AttachedVolume, Attachment, Server
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.records import ServerRecord
from nodeops.model.world import View

FEW = 20
"""Up to so many volumes are asked for one by one; more are cheaper as one list."""


def find_server(view: View, wanted: str) -> Server:
    """By id, or by a name that only one has. Raises `UnknownServerError`."""
    try:
        found = view.server(wanted)
    except ApiError as error:
        if error.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
            raise
        found = None
    if found is not None:
        return found
    named = [server for server in view.servers() if server.name == wanted]
    if len(named) == 1:
        return named[0]
    if not named:
        words = f"{wanted}: no compute host and no server has this name or id"
        raise UnknownServerError(words, hint="nodeops status lists the hosts and their servers.")
    ids = ", ".join(server.id for server in named)
    raise UnknownServerError(f"server {wanted}: {len(named)} have this name", hint=f"Use an id: {ids}.")


def gather_reattach(
    view: View,
    host: str,
    server_id: str | None = None,
    *,
    promised: Iterable[AttachedVolume] = (),
    cloud: str = "",
) -> ReattachFacts:
    """Raises `UnknownHostError`, `UnknownServerError`, and `ApiError` when Cinder or Nova cannot be asked."""
    unseen = Unseen()
    known = find_host(host, view.hosts())
    if server_id is None:
        servers = view.servers_on(host)
    else:
        one = view.server(server_id)
        if one is None:
            raise UnknownServerError(f"server {server_id}: does not exist any more")
        servers = (one,)
    attachments = view.attachments_of([server.id for server in servers])
    concerned = {each.server_id for each in attachments} | {each.id for each in servers if each.volume_ids}
    named = {each: view.volumes_of(each) for each in sorted(concerned)}
    records, connector = _records(view, host, unseen)
    ids = {server.id for server in servers}
    return ReattachFacts(
        cloud=cloud,
        host=known,
        server_id=server_id,
        servers=servers,
        named=named,
        attachments=_with_hosts(view, attachments, unseen),
        promised=tuple(each for each in promised if each.server_id in ids),
        records={key: record for key, record in records.items() if key in ids},
        connector=connector,
        unseen=tuple(unseen.words),
    )


def _with_hosts(view: View, attachments: tuple[Attachment, ...], unseen: Unseen) -> tuple[Attachment, ...]:
    """Only the volume itself tells the host of its attachments."""
    ids = sorted({each.volume_id for each in attachments})
    if len(ids) > FEW:
        volumes = unseen.ask("volumes", view.volumes) or ()
    else:
        volumes = tuple(filter(None, (unseen.ask(f"volume {each}", view.volume, each) for each in ids)))
    hosts = {each.id: each.host for volume in volumes for each in volume.attachments}
    return tuple(replace(each, host=hosts.get(each.id) or each.host) for each in attachments)


def _records(
    view: View, host: str, unseen: Unseen
) -> tuple[Mapping[str, ServerRecord], Mapping[str, Any] | None]:
    try:
        rows = view.records.host_records(host, None)
        connectors = view.records.connectors(host)
    except ConfigurationError:
        return {}, None
    except ApiError as error:
        unseen.words.append(f"records of {host}: {error.message}")
        return {}, None
    mine = [each for each in connectors if each.get("host") == host]
    return {record.id: record for record in rows.servers}, mine[0] if mine else None
