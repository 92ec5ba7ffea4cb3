"""What Nova tells. Explicit microversions: the oldest that has the field, so that Zed (2.93) will do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nodeops.clients import compute_json
from nodeops.clients.explanation import from_action, from_migration
from nodeops.clients.wire import PAGE, Params, Service
from nodeops.errors import ApiError, ForbiddenError, UnsupportedError
from nodeops.model.facts import (
    Aggregate,
    AttachedVolume,
    Explanation,
    Host,
    Migration,
    Progress,
    Server,
    ServerGroup,
)

OLDEST = (2, 93)
"""Zed; older clouds are refused."""
NEWEST = (2, 100)
"""The newest whose fields are known here: 2.96 the pinned zone, 2.98 image properties, 2.100 hints."""
SERVICES = "2.69"
"""Services of a cell that cannot be reached are listed too, with status UNKNOWN."""
HYPERVISORS = "2.87"
"""The last with vCPU, RAM and disk figures."""
MIGRATIONS = "2.80"
GROUPS = "2.64"
ACTIONS = "2.84"
"""With the exception's own words in `details`."""
VOLUMES = "2.89"
"""With the attachment's id."""
UNFINISHED = (
    *("accepted", "pre-migrating", "queued", "preparing", "running", "migrating", "post-migrating"),
    *("finished", "confirming", "reverting"),
)
"""Nova filters by one status only; every other one has ended (`nova/db/main/api.py`)."""
RECENT = timedelta(days=1)
"""How far back migrations of a host are asked for, unless they wait for a confirmation."""


@dataclass
class Compute:
    service: Service
    now: Callable[[], float]
    """The cloud's time, seconds since the epoch."""
    _highest: str = field(default="", init=False)
    _nodes: dict[str, Host] = field(default_factory=dict, init=False)

    @property
    def highest(self) -> str:
        """The highest microversion the cloud offers."""
        if not self._highest:
            subject = "versions of the compute API"
            body = self.service.get("", subject=subject).body
            version = body.get("version") if isinstance(body, Mapping) else None
            if not isinstance(version, Mapping) or not version.get("version"):
                raise UnsupportedError(
                    f"{subject}: {self.service.base} does not tell its microversions",
                    hint="nodeops needs OpenStack Zed (compute 2.93) or newer.",
                )
            self._highest = str(version["version"])
        return self._highest

    @property
    def microversion(self) -> str:
        """For servers: the highest that both sides know. Raises `UnsupportedError` for a cloud before Zed."""
        offered = as_pair(self.highest)
        if offered < OLDEST:
            raise UnsupportedError(
                f"compute API: this cloud offers {self.highest}, nodeops needs 2.93",
                hint="The cloud must be OpenStack Zed or newer.",
            )
        return ".".join(map(str, min(offered, NEWEST)))

    def hosts(self) -> tuple[Host, ...]:
        services = self._services(host=None)
        by_host: dict[str, list[Mapping[str, Any]]] = {}
        for body in self.service.pages(
            "os-hypervisors/detail",
            "hypervisors",
            subject="hypervisors",
            params={"limit": PAGE},
            microversion=HYPERVISORS,
        ):
            by_host.setdefault(body["service"]["host"], []).append(body)
        services.sort(key=lambda body: body["host"])
        found = tuple(compute_json.host(body, by_host.get(body["host"], ())) for body in services)
        self._nodes = {host.name: host for host in found}
        return found

    def host(self, name: str) -> Host | None:
        for body in self._services(host=name):
            if body["host"] == name:
                known = self._nodes.get(name)
                node = {"hypervisor_hostname": known.node, "id": known.provider_id} if known else {}
                return compute_json.host(body, (node,))
        return None

    def _services(self, host: str | None) -> list[Mapping[str, Any]]:
        params = {"binary": "nova-compute"} | ({"host": host} if host else {})
        subject = f"compute service of host {host}" if host else "compute services"
        answer = self.service.get("os-services", subject=subject, params=params, microversion=SERVICES)
        # The binary is the only filter that holds for services of a cell that cannot be reached.
        return [
            body for body in answer.body["services"] if body.get("binary", "nova-compute") == "nova-compute"
        ]

    def servers_on(self, host: str) -> tuple[Server, ...]:
        listed = self._servers({"host": host}, f"servers on host {host}")
        return tuple(server for server in listed if server.host == host)

    def servers(self) -> tuple[Server, ...]:
        return tuple(self._servers({}, "servers"))

    def _servers(self, params: Params, subject: str) -> Iterator[Server]:
        for body in self.service.pages(
            "servers/detail",
            "servers",
            subject=subject,
            params={"all_tenants": 1, **params, "limit": PAGE},
            microversion=self.microversion,
        ):
            # Nova drops the filter without a word for accounts that may not use it.
            if "OS-EXT-SRV-ATTR:host" not in body:
                raise _not_shown(subject, body)
            yield compute_json.server(body)

    def server(self, server_id: str) -> Server | None:
        subject = f"server {server_id}"
        body = self._one(f"servers/{quote(server_id)}", "server", subject, self.microversion)
        if body is None:
            return None
        if "OS-EXT-SRV-ATTR:host" not in body:
            raise _not_shown(subject, body)
        return compute_json.server(body)

    def migrations_from(self, host: str, *, server_id: str | None = None) -> tuple[Migration, ...]:
        """Those of the last day and those that wait for a confirmation; of one server: all.

        `host=` would match the target too and switch `source_compute` off (`nova/db/main/api.py`).
        """
        params: dict[str, str | int] = {"source_compute": host}
        subject = f"migrations from host {host}"
        if server_id is not None:
            return self._migrations(params | {"instance_uuid": server_id}, subject)
        since = datetime.fromtimestamp(self.now(), UTC) - RECENT
        recent = self._migrations(params | {"changes-since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}, subject)
        waiting = self._migrations(params | {"status": "finished"}, subject)
        unique = {migration.id: migration for migration in (*waiting, *recent)}
        return tuple(sorted(unique.values(), key=lambda migration: -migration.id))

    def migrations_of(self, server_id: str) -> tuple[Migration, ...]:
        return self._migrations({"instance_uuid": server_id}, f"migrations of server {server_id}")

    def evacuations_from(self, host: str) -> tuple[Migration, ...]:
        params: Params = {"source_compute": host, "migration_type": "evacuation"}
        return self._migrations(params, f"evacuations from host {host}")

    def unfinished_migrations(self) -> tuple[Migration, ...]:
        queries: list[Params] = [{"status": status} for status in UNFINISHED]
        queries.append({"status": "done", "migration_type": "evacuation"})
        found = {each.id: each for query in queries for each in self._migrations(query, "migrations")}
        return tuple(sorted(found.values(), key=lambda migration: -migration.id))

    def volumes_of(self, server_id: str) -> tuple[AttachedVolume, ...]:
        path, subject = f"servers/{quote(server_id)}/os-volume_attachments", f"volumes of server {server_id}"
        bodies = self._one(path, "volumeAttachments", subject, VOLUMES)
        return tuple(map(compute_json.attached_volume, bodies or ()))

    def _migrations(self, params: Params, subject: str) -> tuple[Migration, ...]:
        bodies = self.service.pages(
            "os-migrations",
            "migrations",
            subject=subject,
            params={**params, "limit": PAGE},
            microversion=MIGRATIONS,
        )
        return tuple(map(compute_json.migration, bodies))

    def progress(self, server_id: str) -> Progress | None:
        """Only live migrations that are under way are listed (`nova/api/.../server_migrations.py`)."""
        subject = f"live migration of server {server_id}"
        bodies = self._one(f"servers/{quote(server_id)}/migrations", "migrations", subject, MIGRATIONS)
        return compute_json.progress(bodies[0]) if bodies else None

    def explain(self, server_id: str, request_id: str) -> Explanation | None:
        """The failed event of that request, else the server's fault, else how its last migration ended."""
        if request_id:
            path = f"servers/{quote(server_id)}/os-instance-actions/{quote(request_id)}"
            action = self._one(path, "instanceAction", f"actions of server {server_id}", ACTIONS)
            found = from_action(action, request_id) if action else None
            if found is not None:
                return found
        server = self.server(server_id)
        if server is not None and server.fault is not None and server.fault.message:
            return Explanation(server.fault.message.rstrip("."), request_id, host=server.host or "")
        migrations = self.migrations_of(server_id)
        return from_migration(migrations[0], request_id) if migrations else None

    def groups(self) -> tuple[ServerGroup, ...]:
        """Server groups are paged by offset and have no links."""
        found: dict[str, ServerGroup] = {}
        while True:
            answer = self.service.get(
                "os-server-groups",
                subject="server groups",
                params={"all_projects": "true", "limit": PAGE, "offset": len(found)},
                microversion=GROUPS,
            )
            page = [compute_json.group(body) for body in answer.body["server_groups"]]
            new = {group.id: group for group in page if group.id not in found}
            found |= new
            if len(page) < PAGE or not new:
                return tuple(found.values())

    def aggregates(self) -> tuple[Aggregate, ...]:
        body = self.service.get("os-aggregates", subject="host aggregates", microversion=SERVICES).body
        return tuple(map(compute_json.aggregate, body["aggregates"]))

    def _one(self, path: str, key: str, subject: str, microversion: str) -> Any:
        """What is under the key, or None when there is no such thing."""
        try:
            return self.service.get(path, subject=subject, microversion=microversion).body[key]
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def as_pair(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def _not_shown(subject: str, body: Mapping[str, Any]) -> ApiError:
    if body.get("status") == "UNKNOWN":
        return ApiError(
            f"{subject}: nova cannot reach the cell of server {body.get('id')}",
            hint="Look at the cell's database and message queue; until then its servers cannot be seen.",
        )
    return ForbiddenError(
        f"{subject}: nova does not show this account which host a server is on",
        hint="Use an account with the admin role, or allow os_compute_api:os-extended-server-attributes.",
        status=HTTPStatus.FORBIDDEN,
    )
