"""Reads are repeated with bounds, writes never; every error says who, what and in whose words."""

import socket

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.errors import ApiError, AuthenticationError, ForbiddenError, UnsupportedError
from tests.unit.clients.answers import Reply, Script

VERSION = Reply(body={"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}})
AGGREGATES = Reply(body={"aggregates": [{"name": "fast", "hosts": ["c01"], "metadata": {"a": "b"}}]})
NO_HOST = Reply(
    400,
    {"badRequest": {"code": 400, "message": "No valid host was found."}},
    {"x-openstack-request-id": "req-1"},
)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_repeated_while_the_service_is_disturbed(
    cloud: Cloud, script: Script, pauses: list[float], status: int
) -> None:
    script.reply(Reply(status), Reply(status), AGGREGATES)
    assert [each.name for each in cloud.aggregates()] == ["fast"]
    assert pauses == [0.3, 1.0]


def test_a_read_is_repeated_after_a_lost_connection(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(drop=True), AGGREGATES)
    assert len(cloud.aggregates()) == 1


def test_a_read_gives_up_and_says_what_it_saw(cloud: Cloud, script: Script, pauses: list[float]) -> None:
    script.reply(*[Reply(503, "<html>sorry</html>", {"Content-Type": "text/html"})] * 4)
    with pytest.raises(ApiError, match="host aggregates: nova answered 503: Service Unavailable") as caught:
        cloud.aggregates()
    assert pauses == [0.3, 1.0, 3.0]
    assert not caught.value.ambiguous


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_refused_read_is_not_repeated(
    cloud: Cloud, script: Script, pauses: list[float], status: int
) -> None:
    script.reply(Reply(status), AGGREGATES)
    with pytest.raises(ApiError) as caught:
        cloud.aggregates()
    assert caught.value.status == status
    assert pauses == []


def test_retry_after_is_kept_unless_it_is_long(cloud: Cloud, script: Script, pauses: list[float]) -> None:
    script.reply(Reply(503, headers={"Retry-After": "7"}), Reply(503, headers={"Retry-After": "60"}))
    with pytest.raises(ApiError, match="503"):
        cloud.aggregates()
    assert pauses == [7.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_meets_a_server_error_is_ambiguous_and_sent_once(
    cloud: Cloud, script: Script, status: int
) -> None:
    script.reply(Reply(status, headers={"Retry-After": "1"}), Reply(202))
    with pytest.raises(ApiError) as caught:
        cloud.live_migrate("s1", "c02")
    assert caught.value.ambiguous
    assert len(script.asked) == 1


def test_a_write_whose_answer_is_lost_is_ambiguous_and_sent_once(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(drop=True), Reply(202))
    with pytest.raises(ApiError, match="no answer from nova: the connection was closed") as caught:
        cloud.live_migrate("s1", "c02")
    assert caught.value.ambiguous
    assert len(script.asked) == 1


def test_a_write_that_could_not_connect_had_no_effect(cloud: Cloud, script: Script) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        script.catalog["compute"] = f"http://127.0.0.1:{nobody.getsockname()[1]}/v2.1"
        with pytest.raises(ApiError, match=r"server s1: .*connection refused") as caught:
            cloud.live_migrate("s1", "c02")
    assert not caught.value.ambiguous


def test_a_write_that_is_not_answered_in_time_is_ambiguous(cloud: Cloud) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        cloud.connection.region.config["compute_endpoint_override"] = (
            f"http://127.0.0.1:{mute.getsockname()[1]}/v2.1"
        )
        cloud.connection.session.timeout = 0.2
        with pytest.raises(ApiError, match="no answer from nova: not in time") as caught:
            cloud.live_migrate("s1", "c02")
    assert caught.value.ambiguous


def test_a_read_that_is_not_answered_in_time_is_asked_once_more(cloud: Cloud, pauses: list[float]) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        cloud.connection.region.config["compute_endpoint_override"] = (
            f"http://127.0.0.1:{mute.getsockname()[1]}/v2.1"
        )
        cloud.connection.session.timeout = 0.2
        with pytest.raises(ApiError, match="no answer from nova: not in time"):
            cloud.aggregates()
    assert pauses == [0.3]


def test_a_refusal_carries_novas_words_and_request_id(cloud: Cloud, script: Script) -> None:
    script.reply(NO_HOST)
    with pytest.raises(ApiError) as caught:
        cloud.live_migrate("s1", "c02")
    words = "live migration of server s1: nova answered 400: No valid host was found (req-1)"
    assert caught.value.message == words
    assert (caught.value.status, caught.value.request_id) == (400, "req-1")
    assert not caught.value.ambiguous


def test_an_expired_token_is_renewed_once(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(401), Reply(202, headers={"x-compute-request-id": "req-7"}))
    assert cloud.live_migrate("s1", "c02") == "req-7"
    assert [asked.headers["X-Auth-Token"] for asked in script.asked] == ["token-1", "token-2"]


def test_a_token_that_is_refused_twice_is_an_error(cloud: Cloud, script: Script) -> None:
    script.reply(*[Reply(401)] * 3)
    with pytest.raises(ApiError) as caught:
        cloud.aggregates()
    assert caught.value.status == 401
    assert script.tokens == 2


def test_a_password_that_changed_meanwhile_is_an_authentication_error(cloud: Cloud, script: Script) -> None:
    script.reply(AGGREGATES, Reply(401))
    cloud.aggregates()
    script.password = "another"
    with pytest.raises(AuthenticationError, match="refused"):
        cloud.stop("s1")


def test_keystone_out_of_order_makes_a_write_fail_without_effect(cloud: Cloud, script: Script) -> None:
    script.keystone.append(Reply(503))
    with pytest.raises(ApiError) as caught:
        cloud.stop("s1")
    assert not caught.value.ambiguous
    assert script.asked == []


def test_a_read_waits_for_keystone(cloud: Cloud, script: Script, pauses: list[float]) -> None:
    script.keystone.append(Reply(503))
    script.reply(AGGREGATES)
    assert len(cloud.aggregates()) == 1
    assert pauses == [0.3]


def test_policy_is_told_apart(cloud: Cloud, script: Script) -> None:
    words = "Policy doesn't allow os_compute_api:os-aggregates:index to be performed."
    script.reply(Reply(403, {"forbidden": {"code": 403, "message": words}}))
    with pytest.raises(ForbiddenError, match="Policy doesn't allow") as caught:
        cloud.aggregates()
    assert "admin role" in caught.value.hint


def test_a_microversion_the_cloud_does_not_know_is_unsupported(cloud: Cloud, script: Script) -> None:
    words = "Version 2.87 is not supported by the API. Minimum is 2.1 and maximum is 2.79."
    services = Reply(body={"services": []})
    script.reply(services, Reply(406, {"computeFault": {"code": 406, "message": words}}))
    with pytest.raises(UnsupportedError, match=r"too old for microversion 2\.87: .*maximum is 2\.79"):
        cloud.hosts()


def test_a_cloud_before_zed_is_unsupported(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"version": {"version": "2.90"}}))
    with pytest.raises(UnsupportedError, match=r"offers 2\.90, nodeops needs 2\.93"):
        cloud.servers_on("c01")


@pytest.mark.parametrize(
    ("offered", "used"), [("2.93", "2.93"), ("2.96", "2.96"), ("2.100", "2.100"), ("2.104", "2.100")]
)
def test_the_highest_microversion_both_know_is_used(
    cloud: Cloud, script: Script, offered: str, used: str
) -> None:
    script.reply(Reply(body={"version": {"version": offered}}), Reply(body={"servers": []}))
    cloud.servers_on("c01")
    assert script.asked[-1].headers["OpenStack-API-Version"] == f"compute {used}"


def test_a_service_that_is_not_in_the_catalog_is_unsupported(cloud: Cloud, script: Script) -> None:
    del script.catalog["placement"]
    with pytest.raises(UnsupportedError, match="placement: the service catalog has no public endpoint"):
        cloud.candidates({"VCPU": 1})


def test_pages_are_followed_by_marker_on_the_address_of_the_catalog(cloud: Cloud, script: Script) -> None:
    link = {"rel": "next", "href": "http://unreachable.example/v2.1/servers/detail?limit=1&marker=s1"}
    servers = [{"id": each, "status": "ACTIVE", "OS-EXT-SRV-ATTR:host": "c01"} for each in ("s1", "s2")]
    script.reply(
        VERSION,
        Reply(body={"servers": servers[:1], "servers_links": [link]}),
        Reply(body={"servers": servers[1:]}),
    )
    assert [server.id for server in cloud.servers_on("c01")] == ["s1", "s2"]
    assert script.asked[-1].query["marker"] == ["s1"]
    assert script.asked[-1].query["host"] == ["c01"]


def test_a_page_that_names_itself_as_next_ends_the_list(cloud: Cloud, script: Script) -> None:
    page = {"migrations": [{"id": 1, "instance_uuid": "s1"}]}
    link = [{"rel": "next", "href": "http://x/?marker=m1"}]
    script.reply(*[Reply(body=page | {"migrations_links": link})] * 2)
    assert len(cloud.migrations_of("s1")) == 2


def test_something_that_is_no_api_is_said_so(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(200, "<html>login</html>", {"Content-Type": "text/html"}))
    with pytest.raises(ApiError, match=r"host aggregates: nova at .* gave no JSON"):
        cloud.aggregates()


@pytest.mark.parametrize(
    ("in_catalog", "asked"),
    [
        ("/compute/v2.1", "/compute/v2.1/os-aggregates"),
        ("/compute/v2.1/", "/compute/v2.1/os-aggregates"),
        ("/compute/v2.1/p1", "/compute/v2.1/p1/os-aggregates"),
        ("/compute", "/compute/v2.1/os-aggregates"),
        ("/compute/", "/compute/v2.1/os-aggregates"),
        ("/compute/v2/p1", "/compute/v2.1/os-aggregates"),
        ("", "/v2.1/os-aggregates"),
    ],
)
def test_addresses_of_the_compute_api(cloud: Cloud, script: Script, in_catalog: str, asked: str) -> None:
    script.catalog["compute"] = in_catalog or "/"
    script.reply(AGGREGATES)
    cloud.aggregates()
    assert [each.path for each in script.asked] == [asked]


def test_addresses_of_the_other_apis(cloud: Cloud, script: Script) -> None:
    script.catalog |= {"volumev3": "/volume3/v3/p1", "volumev2": "/volume2/v2/p1"}
    del script.catalog["block-storage"]
    script.reply(
        Reply(body={"ports": []}),
        Reply(body={"attachments": []}),
        Reply(404),
        Reply(body={"allocations": {}}),
    )
    cloud.ports_of(["s1"])
    cloud.attachments_of(["s1"])
    cloud.image_properties("i1")
    cloud.allocation("s1")
    assert [each.path for each in script.asked] == [
        "/network/v2.0/ports",
        "/volume3/v3/p1/attachments/detail",
        "/image/v2/images/i1",
        "/placement/allocations/s1",
    ]


def test_every_request_is_counted_and_the_clock_is_read(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(503), AGGREGATES)
    cloud.aggregates()
    assert cloud.traffic.requests == 4
    assert cloud.traffic.skew is not None
    assert abs(cloud.traffic.skew) < 2
    assert script.asked[0].headers["User-Agent"].startswith("nodeops/")
