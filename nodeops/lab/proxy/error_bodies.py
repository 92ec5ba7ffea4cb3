"""Error answers as each service would send them, so that a client parses what it meets in production."""

import json
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus

from nodeops.lab.api_faults import Service

NOVA_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""`_fault_names` of nova/api/openstack/wsgi.py; cinder's are the same."""
GATEWAY = {
    502: "The server returned an invalid or incomplete response.",
    503: "No server is available to handle this request.",
    504: "The server didn't respond in time.",
}
"""What a load balancer says in the service's place."""
UNAUTHORIZED = "The request you have made requires authentication."
TYPICAL = {
    (Service.COMPUTE, 409): "Cannot '{action}' instance while it is in task_state migrating",
    (Service.COMPUTE, 500): "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ "
    "and attach the Nova API log if possible.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>",
    (Service.NETWORK, 500): "Request Failed: internal server error while processing your request.",
    (Service.PLACEMENT, 409): "There was a conflict when trying to complete your request.",
}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of an error answer with what its headers must say."""

    text: str
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def error_body(
    service: Service, status: int, *, request_id: str, www: str, message: str = "", action: str | None = None
) -> ErrorBody:
    """Return what this service, or the load balancer before it, sends with this status.

    `www` is the address of keystone that a 401 names, `action` the server action it answers.
    """
    if status in GATEWAY:
        return _gateway(status, message)
    typical = TYPICAL.get((service, status), _phrase(status))
    words = message or typical.replace("{action}", action or "update")
    if status == HTTPStatus.UNAUTHORIZED:
        return ErrorBody(
            _json({"error": {"code": 401, "title": "Unauthorized", "message": message or UNAUTHORIZED}}),
            headers={"WWW-Authenticate": f'Keystone uri="{www}"'},
        )
    if service is Service.IMAGE:
        return _webob_page(status, words)
    return ErrorBody(_json(_document(service, status, words, request_id)))


def _document(service: Service, status: int, words: str, request_id: str) -> object:
    if service is Service.IDENTITY:
        return {"error": {"code": status, "message": words, "title": _phrase(status)}}
    if service is Service.NETWORK:
        return {
            "NeutronError": {
                "type": f"HTTP{_phrase(status)}".replace(" ", ""),
                "message": words,
                "detail": "",
            }
        }
    if service is Service.PLACEMENT:
        code = "placement.concurrent_update" if status == HTTPStatus.CONFLICT else "placement.undefined_code"
        error = {"status": status, "title": _phrase(status), "detail": words, "code": code}
        return {"errors": [{**error, "request_id": request_id}]}
    return {NOVA_NAMES.get(status, "computeFault"): {"code": status, "message": words}}


def _gateway(status: int, message: str) -> ErrorBody:
    words = escape(message or GATEWAY[status])
    text = f"<html><body><h1>{status} {_phrase(status)}</h1>\n{words}\n</body></html>\n"
    return ErrorBody(text, content_type="text/html")


def _webob_page(status: int, words: str) -> ErrorBody:
    title = f"{status} {_phrase(status)}"
    text = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n"
        f" <body>\n  <h1>{title}</h1>\n  {escape(words)}<br /><br />\n\n\n </body>\n</html>"
    )
    return ErrorBody(text, content_type="text/html")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _json(value: object) -> str:
    return json.dumps(value)
