"""Error answers look as each service's own."""

import json
from typing import Any

import pytest

from nodeops.lab.api_faults import Service
from nodeops.lab.proxy.error_bodies import error_body

WWW = "http://127.0.0.1:5000"


def told(service: Service, status: int, **more: str) -> Any:
    return json.loads(error_body(service, status, request_id="req-1", www=WWW, **more).text)


@pytest.mark.parametrize(
    ("service", "status", "key"),
    [
        (Service.COMPUTE, 409, "conflictingRequest"),
        (Service.COMPUTE, 400, "badRequest"),
        (Service.COMPUTE, 500, "computeFault"),
        (Service.VOLUME, 404, "itemNotFound"),
        (Service.VOLUME, 500, "computeFault"),
        (Service.NETWORK, 409, "NeutronError"),
        (Service.PLACEMENT, 409, "errors"),
        (Service.IDENTITY, 500, "error"),
        (Service.IDENTITY, 401, "error"),
    ],
)
def test_each_service_wraps_its_errors(service: Service, status: int, key: str) -> None:
    assert list(told(service, status)) == [key]


def test_nova_names_the_action() -> None:
    words = told(Service.COMPUTE, 409, action="pause")["conflictingRequest"]["message"]
    assert words == "Cannot 'pause' instance while it is in task_state migrating"


def test_own_words_win() -> None:
    assert told(Service.NETWORK, 409, message="no")["NeutronError"]["message"] == "no"
    assert told(Service.PLACEMENT, 409, message="no")["errors"][0]["detail"] == "no"


def test_placement_says_that_somebody_else_wrote() -> None:
    [error] = told(Service.PLACEMENT, 409)["errors"]
    assert (error["code"], error["status"], error["request_id"]) == (
        "placement.concurrent_update",
        409,
        "req-1",
    )


@pytest.mark.parametrize(("service", "status"), [(Service.COMPUTE, 503), (Service.IMAGE, 409)])
def test_pages(service: Service, status: int) -> None:
    body = error_body(service, status, request_id="req-1", www=WWW, message="<no>")
    assert body.content_type == "text/html"
    assert "&lt;no&gt;" in body.text
    assert str(status) in body.text


def test_unauthorized_names_keystone() -> None:
    body = error_body(Service.IMAGE, 401, request_id="req-1", www=WWW)
    assert body.headers == {"WWW-Authenticate": f'Keystone uri="{WWW}"'}


def test_a_status_nobody_knows() -> None:
    assert told(Service.COMPUTE, 599)["computeFault"]["message"] == "Unknown"
