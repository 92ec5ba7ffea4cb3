"""The proxy: every client's call is judged, perhaps spoiled, forwarded, and written to the access log."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from aiohttp import ClientError, ClientSession, web

from nodeops.lab.api_calls import Call, log_file
from nodeops.lab.api_faults import AFTER, ApiFault, Kind, Received
from nodeops.lab.proxy.armed import Armed
from nodeops.lab.proxy.error_bodies import error_body
from nodeops.lab.proxy.forward import (
    LARGEST_HEADER_BYTES,
    Answer,
    ask,
    give_back,
    make_session,
    small_body,
)
from nodeops.lab.proxy.routes import LOOPBACK, Route

HOLD_TICK_SECONDS = 0.1
SHUTDOWN_SECONDS = 1.0
REQUEST_ID = "x-openstack-request-id"
UNREACHABLE = 503
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it came in, with what the log needs of it."""

    request: web.BaseRequest
    received: Received
    body: bytes | None
    began: float
    time: str


class ServiceProxy:
    """Handles the calls to one service."""

    def __init__(
        self, route: Route, keystone: str, session: ClientSession, armed: Armed, log: TextIO
    ) -> None:
        self._route = route
        self._keystone = keystone
        self._session = session
        self._armed = armed
        self._log = log

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        arrival = await self._arrive(request)
        verdict = self._armed.judge(arrival.received, request.headers.get("X-Auth-Token"))
        if verdict.delay:
            await asyncio.sleep(verdict.delay)
        if verdict.fault is not None and verdict.fault.kind not in AFTER:
            return await self._spoil(arrival, verdict.fault, None)
        try:
            answer = await ask(self._session, self._route.direct, request, arrival.body)
        except ClientError as error:
            return self._unreachable(arrival, error)
        if verdict.fault is not None:
            answer.response.release()
            return await self._spoil(arrival, verdict.fault, answer)
        self._note(arrival, answer.status, answer, fault=verdict.late_by)
        return await give_back(request, answer)

    async def _arrive(self, request: web.BaseRequest) -> Arrival:
        began, now = time.perf_counter(), datetime.now(UTC).isoformat(timespec="milliseconds")
        path = request.raw_path.partition("?")[0]
        body = await small_body(request)
        action = _action(body) if request.method == "POST" and path.endswith("/action") else None
        agent = request.headers.get("User-Agent", "")
        received = Received(self._route.service, request.method, path, action, agent)
        return Arrival(request, received, body, began, now)

    async def _spoil(self, arrival: Arrival, fault: ApiFault, answer: Answer | None) -> web.StreamResponse:
        if fault.kind in {Kind.STATUS, Kind.STATUS_AFTER}:
            return self._error(arrival, fault.status, fault, answer)
        if fault.kind is Kind.EXPIRED_TOKEN:
            return self._error(arrival, UNAUTHORIZED, fault, answer)
        self._note(arrival, None, answer, fault=fault)
        if fault.kind in {Kind.HANG, Kind.HANG_AFTER}:
            await self._hold(arrival.request, fault)
        return _drop(arrival.request)

    async def _hold(self, request: web.BaseRequest, fault: ApiFault) -> None:
        end = time.monotonic() + fault.duration
        # Cleared in a file, by another process: there is no event to wait for.
        while time.monotonic() < end and _connected(request) and self._armed.holds(fault):  # noqa: ASYNC110
            await asyncio.sleep(HOLD_TICK_SECONDS)

    def _error(
        self, arrival: Arrival, status: int, fault: ApiFault, answer: Answer | None
    ) -> web.StreamResponse:
        request_id = f"req-{uuid.uuid4()}"
        body = error_body(
            self._route.service,
            status,
            request_id=request_id,
            www=self._keystone,
            message=fault.message,
            action=arrival.received.action,
        )
        self._note(arrival, status, answer, fault=fault, request_id=request_id)
        headers = {**body.headers, REQUEST_ID: request_id}
        return web.Response(status=status, text=body.text, content_type=body.content_type, headers=headers)

    def _unreachable(self, arrival: Arrival, error: ClientError) -> web.StreamResponse:
        service = self._route.service
        words = f"The lab's {service} service does not answer: {error}"
        body = error_body(service, UNREACHABLE, request_id="", www=self._keystone, message=words)
        self._note(arrival, UNREACHABLE, None)
        return web.Response(status=UNREACHABLE, text=body.text, content_type=body.content_type)

    def _note(
        self,
        arrival: Arrival,
        status: int | None,
        answer: Answer | None,
        *,
        fault: ApiFault | None = None,
        request_id: str | None = None,
    ) -> None:
        """Write the log's line; this comes before the answer, so that a client that has it finds the line."""
        served = answer.response.headers.get(REQUEST_ID) if answer else None
        call = Call(
            time=arrival.time,
            service=self._route.service,
            method=arrival.request.method,
            path=arrival.request.raw_path,
            action=arrival.received.action,
            status=status,
            forwarded=answer.status if answer else None,
            milliseconds=round((time.perf_counter() - arrival.began) * 1000, 2),
            fault=fault.kind.value if fault else None,
            fault_id=fault.fault_id if fault else None,
            user_agent=arrival.received.client,
            request_id=request_id or served,
        )
        self._log.write(call.line())


@asynccontextmanager
async def serving(state_dir: Path, routes: Sequence[Route]) -> AsyncIterator[None]:
    """Listen on the public port of every route, on loopback only, until the context ends.

    Raises:
        OSError: a public port is taken.

    """
    path = log_file(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    keystone = _keystone(routes)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(path.open("a", encoding="utf-8", buffering=1))
        session = await stack.enter_async_context(make_session())
        armed = Armed(state_dir)
        for route in routes:
            proxy = ServiceProxy(route, keystone, session, armed, log)
            server = web.Server(
                proxy.handle,
                access_log=None,
                auto_decompress=False,
                max_line_size=LARGEST_HEADER_BYTES,
                max_field_size=LARGEST_HEADER_BYTES,
            )
            runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, LOOPBACK, route.public_port, reuse_address=True).start()
        yield


def _keystone(routes: Sequence[Route]) -> str:
    ports = [route.public_port for route in routes if route.service.value == "identity"]
    return f"http://{LOOPBACK}:{ports[0]}" if ports else f"http://{LOOPBACK}"


def _action(body: bytes | None) -> str | None:
    """Return the one key of a server action's body."""
    try:
        held = json.loads(body or b"null")
    except ValueError:
        return None
    return next(iter(held), None) if isinstance(held, dict) else None


def _connected(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _drop(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection without a word; what is returned reaches nobody."""
    if isinstance(request.transport, asyncio.WriteTransport):
        request.transport.abort()
    return web.Response(status=UNREACHABLE)
