"""What went wrong on the wire, as nodeops' errors: which service, doing what, in whose words.

A write without a certain answer is `ambiguous`: connection lost after it was sent, no answer in time, or any
5xx. Only a connection that could not be made at all, and an answer below 500, say that nothing happened.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import requests
from keystoneauth1 import exceptions as keystone_errors
from urllib3 import exceptions as urllib3_errors

from nodeops.errors import ApiError, AuthenticationError, ConfigurationError, ForbiddenError, UnsupportedError

LONGEST = 400
"""Characters of a service's own message that are kept."""

SILENT_BEFORE_SENDING = (
    urllib3_errors.NewConnectionError,
    urllib3_errors.ConnectTimeoutError,
    urllib3_errors.NameResolutionError,
    urllib3_errors.ProxyError,
)


def one_line(text: str) -> str:
    """Without line breaks, tags and a final full stop."""
    words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    return (words if len(words) <= LONGEST else words[: LONGEST - 1] + "…").rstrip(". ")


def message_of(response: requests.Response) -> str:
    """The service's own words; each of the services wraps them differently."""
    try:
        body = response.json()
    except ValueError:
        plain = "" if "html" in response.headers.get("Content-Type", "") else one_line(response.text)
        return plain or one_line(response.reason or "")
    return one_line(_in_body(body)) or one_line(response.reason or "")


def _in_body(body: Any) -> str:
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(filter(None, map(_in_body, body)))
    if not isinstance(body, Mapping):
        return ""
    for key in ("detail", "message", "title"):
        if isinstance(body.get(key), str) and body[key].strip():
            return str(body[key])
    return next(filter(None, map(_in_body, body.values())), "")


def request_id_of(response: requests.Response) -> str:
    """`nova/wsgi.py` and oslo.middleware: the id to search the service's logs for."""
    headers = response.headers
    return str(headers.get("x-openstack-request-id") or headers.get("x-compute-request-id") or "")


def from_response(service: str, subject: str, response: requests.Response, *, write: bool) -> ApiError:
    """The error of an answer of 400 and above."""
    status = response.status_code
    words = message_of(response)
    request_id = request_id_of(response)
    where = f" ({request_id})" if request_id else ""
    message = f"{subject}: {service} answered {status}: {words}{where}"
    kind: type[ApiError] = ForbiddenError if status == HTTPStatus.FORBIDDEN else ApiError
    server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return kind(
        message,
        hint=_hint(service, status),
        status=status,
        request_id=request_id or None,
        ambiguous=write and server_error,
    )


def too_old(service: str, subject: str, wanted: str, response: requests.Response) -> UnsupportedError:
    """The error of a 406: the cloud does not know the microversion."""
    return UnsupportedError(
        f"{subject}: {service} of this cloud is too old for microversion {wanted}: {message_of(response)}",
        hint="nodeops needs OpenStack Zed (compute 2.93) or newer.",
    )


def _hint(service: str, status: int) -> str:
    if status == HTTPStatus.FORBIDDEN:
        return "Use an account with the admin role, or let the service's policy allow it."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"Search the logs of {service} for the request id; nodeops doctor shows what is reachable."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "The cloud limits requests: wait, or use --parallel 1."
    return ""


def from_connection(
    service: str, subject: str, error: keystone_errors.ConnectionError, *, write: bool
) -> ApiError:
    """The error of a call that got no answer."""
    return ApiError(
        f"{subject}: no answer from {service}: {_cause(error)}",
        hint="Look at the network and at the service; nodeops doctor shows what is reachable.",
        ambiguous=write and not never_sent(error),
    )


def never_sent(error: BaseException) -> bool:
    """Whether the request cannot have reached the service: name, connection or TLS failed."""
    if isinstance(error, keystone_errors.SSLError):
        return True
    cause = _requests_error(error)
    if isinstance(cause, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    reasons = [*getattr(cause, "args", ())]
    reasons += [getattr(reason, "reason", None) for reason in reasons]
    return any(isinstance(reason, SILENT_BEFORE_SENDING) for reason in reasons)


def timed_out(error: BaseException) -> bool:
    """Whether all the time that was given passed without an answer."""
    return isinstance(_requests_error(error), requests.exceptions.Timeout)


def _requests_error(error: BaseException) -> BaseException | None:
    # keystoneauth raises its own error while handling requests' one, without `from`.
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, requests.exceptions.RequestException):
        seen = seen.__cause__ or seen.__context__
    return seen


def _cause(error: keystone_errors.ConnectionError) -> str:
    cause = _requests_error(error)
    if isinstance(cause, requests.exceptions.ReadTimeout):
        return "not in time"
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return "could not connect in time"
    text = one_line(str(cause or error))
    for words in ("Connection refused", "Name or service not known", "No route to host", "reset by peer"):
        if words in text:
            return words.lower().replace("reset by peer", "connection reset by peer")
    if "without response" in text or "Connection aborted" in text:
        return "the connection was closed"
    return text


@contextmanager
def authenticating(auth_url: str) -> Iterator[None]:
    """Errors of getting a token or the catalog. Nothing else has been sent then, so none is ambiguous."""
    subject = f"authentication at {auth_url}"
    try:
        yield
    except keystone_errors.Unauthorized as error:
        raise AuthenticationError(
            f"{subject}: refused: {one_line(str(error.message))}",
            hint="Look at user, password, domain and project of the cloud, or at the application credential.",
        ) from None
    except (keystone_errors.AuthPluginException, keystone_errors.AuthorizationFailure) as error:
        raise AuthenticationError(
            f"{subject}: {one_line(str(error))}", hint="Look at the cloud's auth section."
        ) from None
    except keystone_errors.MissingAuthMethods as error:
        raise AuthenticationError(
            f"{subject}: {one_line(str(error))}", hint="Add the missing factor."
        ) from None
    except keystone_errors.SSLError as error:
        raise ApiError(
            f"{subject}: {one_line(str(error))}",
            hint="Give the authority's certificate with --os-cacert FILE.",
        ) from None
    except keystone_errors.ConnectionError as error:
        raise from_connection("keystone", subject, error, write=False) from None
    except keystone_errors.DiscoveryFailure as error:
        raise ConfigurationError(
            f"{subject}: {one_line(str(error))}", hint="Is auth_url the address of Keystone, with its path?"
        ) from None
    except keystone_errors.HttpError as error:
        raise ApiError(
            f"{subject}: keystone answered {error.http_status}: {one_line(str(error.message))}",
            hint="Search Keystone's logs for the request id.",
            status=error.http_status,
            request_id=error.request_id,
        ) from None
    except keystone_errors.ClientException as error:
        raise AuthenticationError(f"{subject}: {one_line(str(error))}") from None
