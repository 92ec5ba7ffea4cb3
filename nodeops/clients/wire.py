"""One OpenStack service as seen through HTTP: reads that are repeated with bounds, writes that never are."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import exceptions as keystone_errors

from nodeops.clients import http_errors
from nodeops.clients.connection import Connection
from nodeops.errors import ApiError, UnsupportedError

READ_PAUSES = (0.3, 1.0, 3.0)
"""Seconds before each further attempt of a read."""
LONGEST_PAUSE = 10.0
"""A longer Retry-After is not waited for; whoever reads again later decides."""
WORTH_REPEATING = frozenset({429, 500, 502, 503, 504})
PAGE = 1000
"""Nova's, Cinder's and Neutron's usual `max_limit`; each cuts it down to its own."""

Params = Mapping[str, str | int | Sequence[str]]
Write = Literal["POST", "PUT", "DELETE", "PATCH"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A service, by the names the catalog may have for it and the path its API lives under."""

    name: str
    """In words for the operator."""
    types: tuple[str, ...]
    """Catalog types, best first (service-types authority)."""
    path: str = ""
    """Appended where the catalog's address carries no version; `{project_id}` is filled in."""
    microversion_type: str = ""
    """What the microversion header calls it."""
    versions: tuple[str, ...] = ()
    """Version segments of addresses that are right as they stand."""


COMPUTE = Kind("nova", ("compute",), "v2.1", "compute", ("v2.1",))
PLACEMENT = Kind("placement", ("placement",), "", "placement")
NETWORK = Kind("neutron", ("network",), "v2.0", "", ("v2.0",))
VOLUME = Kind(
    "cinder", ("block-storage", "volumev3", "block-store", "volume"), "v3/{project_id}", "volume", ("v3",)
)
IMAGE = Kind("glance", ("image",), "v2", "", ("v2",))


@dataclass(frozen=True, slots=True)
class Answer:
    body: Any
    request_id: str

    def part(self, key: str, subject: str) -> Mapping[str, Any]:
        """What a write told under this key. Without it nobody knows what the write has made: ambiguous."""
        found = self.body.get(key) if isinstance(self.body, Mapping) else None
        if not isinstance(found, Mapping):
            raise ApiError(
                f"{subject}: the answer has no {key}",
                hint="Look at what was made, and search the service's logs for the request id.",
                request_id=self.request_id or None,
                ambiguous=True,
            )
        return found


@dataclass
class Service:
    """Calls to one service. Raises `UnsupportedError` when the cloud has no such service."""

    connection: Connection
    kind: Kind
    sleep: Callable[[float], None] = time.sleep
    _base: str = field(default="", init=False)

    def get(self, path: str, *, subject: str, params: Params | None = None, microversion: str = "") -> Answer:
        """Read; repeated a few times while the service or the way to it is disturbed."""
        pauses = list(READ_PAUSES)
        while True:
            try:
                response = self._send("GET", path, params, None, microversion)
            except keystone_errors.ConnectionError as error:
                error_seen: ApiError = http_errors.from_connection(
                    self.kind.name, subject, error, write=False
                )
                if http_errors.timed_out(error):
                    # What stayed silent for so long is asked once more, not three times.
                    del pauses[1:]
                pause = 0.0
            except ApiError as error:
                # Keystone's, while a token was asked for.
                if error.status not in WORTH_REPEATING | {None}:
                    raise
                error_seen, pause = error, 0.0
            else:
                if response.status_code < HTTPStatus.BAD_REQUEST:
                    return Answer(self._json(response, subject), http_errors.request_id_of(response))
                error_seen = self._refusal(response, subject, microversion, write=False)
                if response.status_code not in WORTH_REPEATING:
                    raise error_seen
                pause = _retry_after(response)
            if not pauses or pause > LONGEST_PAUSE:
                raise error_seen
            self.sleep(max(pause, pauses.pop(0)))

    def write(
        self, method: Write, path: str, *, subject: str, body: Any = None, microversion: str = ""
    ) -> Answer:
        """Change something; sent once. The only repetition is after a 401, which had no effect.

        The answer's body is None when it is empty or no JSON: the change has been made all the same.
        """
        try:
            response = self._send(method, path, None, body, microversion)
        except keystone_errors.ConnectionError as error:
            raise http_errors.from_connection(self.kind.name, subject, error, write=True) from None
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(response, subject, microversion, write=True)
        return Answer(_told(response), http_errors.request_id_of(response))

    def pages(
        self, path: str, key: str, *, subject: str, params: Params | None = None, microversion: str = ""
    ) -> Iterator[Mapping[str, Any]]:
        """Every item of a list, page after page, by the service's own "next" links."""
        asked: Params = dict(params or {})
        while True:
            body = self.get(path, subject=subject, params=asked, microversion=microversion).body
            items = body.get(key) if isinstance(body, Mapping) else None
            if not isinstance(items, list):
                raise ApiError(f"{subject}: {self.kind.name} gave an answer without {key}")
            yield from items
            following = _next(body, key, asked) if items else None
            if following is None:
                return
            asked = following

    @property
    def base(self) -> str:
        """The API's address, ended by a slash."""
        if not self._base:
            self._base = self._find_base()
        return self._base

    def _send(
        self, method: str, path: str, params: Params | None, body: Any, microversion: str
    ) -> requests.Response:
        options: dict[str, Any] = {"params": params, "json": body}
        if microversion:
            options["microversion"] = microversion
            options["microversion_service_type"] = self.kind.microversion_type
        session = self.connection.session
        for renewed in (False, True):
            headers = self.connection.headers() | {"Accept": "application/json"}
            response: requests.Response = session.request(
                self.base + path,
                method,
                headers=headers,
                authenticated=False,
                raise_exc=False,
                **options,
            )
            if response.status_code != HTTPStatus.UNAUTHORIZED or renewed or not self.connection.renew():
                break
        return response

    def _refusal(
        self, response: requests.Response, subject: str, microversion: str, *, write: bool
    ) -> ApiError:
        if response.status_code == HTTPStatus.NOT_ACCEPTABLE and microversion:
            raise http_errors.too_old(self.kind.name, subject, microversion, response)
        return http_errors.from_response(self.kind.name, subject, response, write=write)

    def _json(self, response: requests.Response, subject: str) -> Any:
        try:
            return response.json()
        except ValueError:
            raise ApiError(
                f"{subject}: {self.kind.name} at {self.base} gave no JSON",
                hint="Is that address of the catalog the API itself?",
                status=response.status_code,
            ) from None

    def _find_base(self) -> str:
        url = self._configured() or self._in_catalog()
        segments = [segment for segment in urlsplit(url).path.split("/") if segment]
        versioned = [segment for segment in segments if re.fullmatch(r"v\d+(\.\d+)?", segment)]
        wanted = not self.kind.versions or bool(set(versioned) & set(self.kind.versions))
        if not wanted:
            # An address of another version (compute v2) is replaced by the one beside it.
            root = url.split(f"/{versioned[-1]}")[0] if versioned else url
            url = f"{root.rstrip('/')}/{self.kind.path.format(project_id=self._project_id())}"
        return url.rstrip("/") + "/"

    def _configured(self) -> str:
        url = self.connection.region.get_endpoint(self.kind.types[0]) or ""
        return str(url).replace("%(project_id)s", self._project_id()) if url else ""

    def _project_id(self) -> str:
        if "{project_id}" not in self.kind.path:
            return ""
        return str(self.connection.session.get_project_id() or "")

    def _in_catalog(self) -> str:
        region = self.connection.region
        access = self.connection.access()
        if access is None:
            raise UnsupportedError(
                f"{self.kind.name}: this way to authenticate has no service catalog",
                hint=f"Give {self.kind.types[0].replace('-', '_')}_endpoint_override in clouds.yaml.",
            )
        interface = region.get_interface(self.kind.types[0])
        found = access.service_catalog.get_endpoints_data(
            service_type=region.get_service_type(self.kind.types[0]),
            interface=interface,
            region_name=region.get_region_name(self.kind.types[0]),
        )
        urls = {kind: [point.url for point in points] for kind, points in found.items() if points}
        for kind in (*self.kind.types, *urls):
            if urls.get(kind):
                return str(urls[kind][0])
        where = region.get_region_name(self.kind.types[0]) or "any region"
        raise UnsupportedError(
            f"{self.kind.name}: the service catalog has no {interface} endpoint of type "
            f"{' or '.join(self.kind.types)} in {where}",
            hint="Look at openstack catalog list, --os-region-name and --os-interface.",
        )


def _next(body: Mapping[str, Any], key: str, asked: Params) -> Params | None:
    """The query of the next page. Only its query is taken: the link's host may be one we cannot reach."""
    links = body.get(f"{key}_links")
    if links is None:
        links = [{"rel": "next", "href": body["next"]}] if body.get("next") else []
    for link in links:
        if link.get("rel") == "next":
            marker = dict(parse_qsl(urlsplit(str(link.get("href", ""))).query))
            if marker.get("marker") not in {None, asked.get("marker")}:
                return {**asked, "marker": marker["marker"]}
    return None


def _told(response: requests.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        return None


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
