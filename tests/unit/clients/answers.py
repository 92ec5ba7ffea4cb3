"""A web server on loopback that gives prepared answers, one after the other, and tells what it was asked.

It knows nothing of OpenStack but how to hand out a token and a catalog that names itself.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nodeops.clients.connection import Connection, open_connection

CATALOG = {
    "compute": "/compute/v2.1",
    "placement": "/placement",
    "network": "/network",
    "block-storage": "/volume/v3/p1",
    "image": "/image",
}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """`drop`: the connection is closed instead."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass
class Script:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    """Without Keystone's part."""
    replies: deque[Reply] = field(default_factory=deque)
    catalog: dict[str, str] = field(default_factory=lambda: dict(CATALOG))
    tokens: int = 0
    password: str = "secret"
    keystone: deque[Reply] = field(default_factory=deque)
    """Answers Keystone gives before it works."""

    def reply(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def answer(self, asked: Asked) -> Reply:
        if asked.path.startswith("/identity"):
            return self._identity(asked)
        self.asked.append(asked)
        return self.replies.popleft() if self.replies else Reply(500, {"error": {"message": "no reply left"}})

    def _identity(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            link = {"rel": "self", "href": f"{self.url}/identity/v3/"}
            return Reply(200, {"version": {"id": "v3.14", "status": "stable", "links": [link]}})
        if self.keystone:
            return self.keystone.popleft()
        user = asked.body["auth"]["identity"]["password"]["user"]
        if user["password"] != self.password:
            words = "The request you have made requires authentication."
            return Reply(401, {"error": {"code": 401, "message": words}})
        self.tokens += 1
        return Reply(201, {"token": self._token()}, {"X-Subject-Token": f"token-{self.tokens}"})

    def _token(self) -> dict[str, Any]:
        def endpoint(path: str) -> dict[str, str]:
            url = path if path.startswith("http") else self.url + path
            return {"id": path, "interface": "public", "region": "R", "region_id": "R", "url": url}

        return {
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u1", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p1", "name": "ops", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r1", "name": "admin"}],
            "catalog": [
                {"type": kind, "name": kind, "id": kind, "endpoints": [endpoint(path)]}
                for kind, path in self.catalog.items()
            ],
        }


@contextmanager
def answering() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(text) if text else None
            asked = Asked(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
            reply = script.answer(asked)
            if reply.drop:
                self.close_connection = True
                return
            raw = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response_only(reply.status)
            standard = {"Content-Type": "application/json", "Date": self.date_time_string()}
            for name, value in {**standard, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw.encode())))
            self.end_headers()
            self.wfile.write(raw.encode())

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def credentials(script: Script) -> dict[str, str | bool]:
    return {
        "auth_url": f"{script.url}/identity/v3",
        "username": "admin",
        "password": "secret",
        "project_name": "ops",
        "region_name": "R",
    }


@contextmanager
def connected(script: Script) -> Iterator[Connection]:
    connection = open_connection(credentials(script), environment={})
    try:
        yield connection
    finally:
        connection.close()
