"""Handing a call on to its service, and the service's answer back, both byte for byte."""

from dataclasses import dataclass

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

BUFFERED_BYTES = 1024 * 1024
"""Bodies up to this size are read whole; larger ones, or of unknown size, are passed on piece by piece."""
IDLE_SECONDS = 15.0
"""Less than waitress's 120, so that no call goes out on a connection that is just being closed."""
CONNECT_SECONDS = 5.0
LARGEST_HEADER_BYTES = 256 * 1024
"""What waitress takes: the query of a bulk look-up is long."""
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered; its body when that was small enough to be read at once."""

    response: ClientResponse
    body: bytes | None

    @property
    def status(self) -> int:
        return self.response.status


def make_session() -> ClientSession:
    """Return the connections to all services, kept alive and without limit of number."""
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
        skip_auto_headers={hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE},
        max_line_size=LARGEST_HEADER_BYTES,
        max_field_size=LARGEST_HEADER_BYTES,
    )


async def ask(session: ClientSession, direct: str, request: web.BaseRequest, body: bytes | None) -> Answer:
    """Send the call to the service; `body` where it was read already. The Host header stays the client's.

    Raises:
        aiohttp.ClientError: the service cannot be reached, or broke off.

    """
    response = await session.request(
        request.method,
        URL(direct + request.raw_path, encoded=True),
        headers=_passed_on(request.headers),
        data=_sent(request, body),
        allow_redirects=False,
    )
    length = response.content_length
    if request.method == hdrs.METH_HEAD or (length is not None and length <= BUFFERED_BYTES):
        return Answer(response, await response.read())
    return Answer(response, None)


async def give_back(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Send the service's answer to the client."""
    source = answer.response
    headers = _passed_on(source.headers)
    if answer.body is not None:
        if request.method != hdrs.METH_HEAD:
            headers.popall(hdrs.CONTENT_LENGTH, None)
        return web.Response(
            status=source.status, reason=source.reason, headers=headers, body=answer.body or None
        )
    response = web.StreamResponse(status=source.status, reason=source.reason, headers=headers)
    await response.prepare(request)
    async for piece in source.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


async def small_body(request: web.BaseRequest) -> bytes | None:
    """Return the call's body when it has one that is small."""
    length = request.content_length
    if not request.body_exists or length is None or length > BUFFERED_BYTES:
        return None
    return await request.read()


def _sent(request: web.BaseRequest, body: bytes | None) -> object:
    if body is not None:
        return body
    return request.content if request.body_exists else None


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)
