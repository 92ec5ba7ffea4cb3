"""The lab's API proxy over real sockets: calls pass unchanged, and every fault is seen by the client."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nodeops.lab.api_calls import calls_since, writes
from nodeops.lab.api_faults import ApiFault, Kind, Service, arm, disarm_all, struck
from nodeops.lab.proxy.routes import LOOPBACK, Route
from nodeops.lab.proxy.server import serving

SERVER = "/v2.1/servers/0f6c27f0-6fc5-4c43-9a1b-4f2a0d7f7e11"
LARGE = 3 * 1024 * 1024


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; the state of the 'cloud' is the list of what was written."""

    protocol_version = "HTTP/1.1"
    written: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path == "/large":
            self._chunks()
        elif self.path == "/nothing":
            self._answer(204, b"")
        else:
            self._answer(200, self._told(0))

    do_HEAD = do_GET  # noqa: N815 - the library calls it by this name

    def do_POST(self) -> None:
        size = self._body()
        self.written.append(self.path)
        self._answer(202, self._told(size))

    do_PUT = do_POST  # noqa: N815 - the library calls it by this name

    def _body(self) -> int:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        size = 0
        while length := int(self.rfile.readline(), 16):
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return size

    def _told(self, size: int) -> bytes:
        told = {"method": self.command, "path": self.path, "size": size, "headers": dict(self.headers)}
        return json.dumps(told).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("X-Openstack-Request-Id", "req-behind")
        self.send_header("Vary", "A")
        self.send_header("Vary", "B")
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(3):
            self.wfile.write(b"100000\r\n" + b"x" * (LARGE // 3) + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


class Threaded(ThreadingHTTPServer):
    daemon_threads = True


@dataclass
class Proxied:
    """A proxy at work, and a client's connection to it."""

    state_dir: Path
    port: int
    behind: str
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self, seconds: float = 10.0) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=seconds)
        self.connections.append(connection)
        return connection

    def ask(self, method: str, path: str, **more: Any) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request(method, path, **more)
        return connection.getresponse()

    def act(self, name: str = "os-migrateLive") -> http.client.HTTPResponse:
        return self.ask("POST", f"{SERVER}/action", body=json.dumps({name: {}}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def run_proxy(state_dir: Path, routes: list[Route], ready: threading.Event, stop: list[Any]) -> None:
    async def main() -> None:
        done = asyncio.Event()
        stop.extend((asyncio.get_running_loop(), done))
        async with serving(state_dir, routes):
            ready.set()
            await done.wait()

    asyncio.run(main())


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    Echo.written.clear()
    service = Threaded((LOOPBACK, 0), Echo)
    behind = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    behind.start()
    port, identity, dead = free_port(), free_port(), free_port()
    routes = [
        Route(Service.COMPUTE, port, service.server_port),
        Route(Service.IDENTITY, identity, dead),
    ]
    ready, stop = threading.Event(), list[Any]()
    proxy = threading.Thread(target=run_proxy, args=(tmp_path, routes, ready, stop))
    proxy.start()
    assert ready.wait(10)
    made = Proxied(tmp_path, port, f"{LOOPBACK}:{service.server_port}")
    yield made
    for connection in made.connections:
        connection.close()
    stop[0].call_soon_threadsafe(stop[1].set)
    proxy.join(10)
    service.shutdown()
    service.server_close()
    behind.join(10)


def test_a_call_passes_unchanged(proxied: Proxied) -> None:
    answer = proxied.ask("GET", "/v2.1/servers?name=a%2Fb&x=%20", headers={"X-Auth-Token": "t", "X-Own": "1"})
    told = json.loads(answer.read())
    assert answer.status == 200
    assert answer.headers.get_all("Vary") == ["A", "B"]
    assert told["path"] == "/v2.1/servers?name=a%2Fb&x=%20"
    assert told["headers"]["Host"] == f"{LOOPBACK}:{proxied.port}"
    assert told["headers"]["X-Own"] == "1"


def test_one_connection_serves_many_calls(proxied: Proxied) -> None:
    connection = proxied.connect()
    for _ in range(3):
        connection.request("POST", "/x", body=b"{}")
        assert connection.getresponse().read()
        assert connection.sock is not None


def test_head_and_no_content(proxied: Proxied) -> None:
    head = proxied.ask("HEAD", "/v2.1")
    assert (head.status, head.read()) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    nothing = proxied.ask("GET", "/nothing")
    assert (nothing.status, nothing.read()) == (204, b"")


def test_large_bodies_stream_both_ways(proxied: Proxied) -> None:
    assert len(proxied.ask("GET", "/large").read()) == LARGE
    known = proxied.ask("PUT", "/v2/images/i/file", body=b"y" * LARGE)
    assert json.loads(known.read())["size"] == LARGE
    pieces = proxied.ask("PUT", "/v2/images/i/file", body=iter([b"z" * 70_000] * 30))
    assert json.loads(pieces.read())["size"] == 30 * 70_000


def test_a_very_long_query_passes(proxied: Proxied) -> None:
    query = "&".join(f"device_id={number:036}" for number in range(1000))
    assert proxied.ask("GET", f"/v2.0/ports?{query}").status == 200


def test_the_log_has_every_call_before_its_answer(proxied: Proxied) -> None:
    proxied.ask("GET", "/v2.1/servers/detail?host=c01", headers={"User-Agent": "nodeops/0.1"}).read()
    proxied.act().read()
    reading, acting = calls_since(proxied.state_dir)
    assert (reading.method, reading.path) == ("GET", "/v2.1/servers/detail?host=c01")
    assert (reading.status, reading.forwarded, reading.fault) == (200, 200, None)
    assert (reading.user_agent, reading.request_id) == ("nodeops/0.1", "req-behind")
    assert acting.action == "os-migrateLive"
    assert writes([reading, acting]) == [acting]


def test_a_service_that_is_down_is_unavailable(proxied: Proxied, tmp_path: Path) -> None:
    ready, stop = threading.Event(), list[Any]()
    port = free_port()
    routes = [Route(Service.VOLUME, port, free_port())]
    proxy = threading.Thread(target=run_proxy, args=(tmp_path, routes, ready, stop))
    proxy.start()
    assert ready.wait(10)
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    connection.request("GET", "/v3/")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b"volumev3 service does not answer" in answer.read()
    connection.close()
    stop[0].call_soon_threadsafe(stop[1].set)
    proxy.join(10)


@pytest.mark.parametrize(
    ("status", "name"), [(409, "conflictingRequest"), (500, "computeFault"), (413, "overLimit")]
)
def test_status_is_told_and_nothing_happens(proxied: Proxied, status: int, name: str) -> None:
    arm(proxied.state_dir, ApiFault(Kind.STATUS, status=status, method="write", message="no luck"))
    answer = proxied.act()
    assert answer.status == status
    assert json.loads(answer.read()) == {name: {"code": status, "message": "no luck"}}
    assert answer.headers["X-OpenStack-Request-Id"].startswith("req-")
    assert Echo.written == []
    [call] = calls_since(proxied.state_dir)
    assert (call.status, call.forwarded, call.fault) == (status, None, "status")
    assert call.request_id == answer.headers["X-OpenStack-Request-Id"]


def test_gateway_errors_are_pages(proxied: Proxied) -> None:
    arm(proxied.state_dir, ApiFault(Kind.STATUS_AFTER, status=504))
    answer = proxied.act()
    assert (answer.status, answer.headers.get_content_type()) == (504, "text/html")
    assert Echo.written == [f"{SERVER}/action"]
    [call] = calls_since(proxied.state_dir)
    assert (call.status, call.forwarded) == (504, 202)


@pytest.mark.parametrize(("kind", "forwarded"), [(Kind.DROP_BEFORE, None), (Kind.DROP_AFTER, 202)])
def test_a_dropped_call(proxied: Proxied, kind: Kind, forwarded: int | None) -> None:
    fault = arm(proxied.state_dir, ApiFault(kind, action="os-migrateLive", times=1))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        proxied.act()
    assert Echo.written == ([f"{SERVER}/action"] if forwarded else [])
    [call] = calls_since(proxied.state_dir)
    assert (call.status, call.forwarded, call.fault, call.fault_id) == (
        None,
        forwarded,
        kind.value,
        fault.fault_id,
    )
    assert proxied.act().status == 202
    assert struck(proxied.state_dir, fault.fault_id) == 1


def test_latency(proxied: Proxied) -> None:
    arm(proxied.state_dir, ApiFault(Kind.LATENCY, seconds=0.2, method="POST"))
    began = time.monotonic()
    assert proxied.ask("GET", "/v2.1").status == 200
    assert time.monotonic() - began < 0.2
    assert proxied.act().status == 202
    assert time.monotonic() - began >= 0.2
    assert [call.fault for call in calls_since(proxied.state_dir)] == [None, "latency"]


def test_an_expired_token_is_refused_until_a_new_one_comes(proxied: Proxied) -> None:
    arm(proxied.state_dir, ApiFault(Kind.EXPIRED_TOKEN))
    for _ in range(2):
        answer = proxied.ask("GET", "/v2.1", headers={"X-Auth-Token": "old"})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith(f'Keystone uri="http://{LOOPBACK}:')
        assert json.loads(answer.read())["error"]["code"] == 401
    assert proxied.ask("GET", "/v2.1", headers={"X-Auth-Token": "new"}).status == 200


@pytest.mark.parametrize(("kind", "forwarded"), [(Kind.HANG, None), (Kind.HANG_AFTER, 202)])
def test_a_hanging_call_is_held_until_the_fault_is_cleared(
    proxied: Proxied, kind: Kind, forwarded: int | None
) -> None:
    arm(proxied.state_dir, ApiFault(kind, times=1))
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(proxied.act)
        while not calls_since(proxied.state_dir):
            threading.Event().wait(0.01)
        assert not hanging.done()
        assert len(Echo.written) == (1 if forwarded else 0)
        assert calls_since(proxied.state_dir)[0].forwarded == forwarded
        assert proxied.ask("GET", "/v2.1").status == 200
        disarm_all(proxied.state_dir)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            hanging.result(5)


def test_a_hang_ends_by_itself(proxied: Proxied) -> None:
    arm(proxied.state_dir, ApiFault(Kind.HANG, seconds=0.2))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        proxied.act()
