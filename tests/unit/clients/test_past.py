"""What a recovery asks of Nova beyond `View`, on the wire."""

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.clients.past import NovaPast, up_seconds
from nodeops.model.recovering import Asked
from nodeops.model.states import moment
from tests.unit.clients.answers import Reply, Script

STOP = {"action": "stop", "request_id": "req-2", "user_id": None, "start_time": "2026-11-21T10:00:30"}
CREATE = {"action": "create", "request_id": "req-1", "user_id": "u", "start_time": "2026-11-20T10:00:00"}


def test_actions_are_the_newest_first_and_nova_s_own_have_no_user(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"instanceActions": [CREATE, STOP | {"message": "Error"}]}))
    began = moment("2026-11-21T10:00:30Z")
    found = NovaPast(cloud).asked("s1")
    assert found[0] == Asked("stop", "req-2", began, None, failed=True)
    assert found[1].user_id == "u"
    assert script.asked[0].path.endswith("/servers/s1/os-instance-actions")


def test_the_hypervisor_s_own_word_comes_by_diagnostics(cloud: Cloud, script: Script) -> None:
    past = NovaPast(cloud)
    script.reply(Reply(body={"state": "running"}), Reply(body={"state": "shutdown"}), Reply(409))
    assert [past.runs("s1"), past.runs("s1"), past.runs("s1")] == [True, False, False]
    script.reply(*[Reply(500)] * 4)
    assert past.runs("s1") is None


def test_when_a_host_booted_is_the_uptime_that_nova_tells(cloud: Cloud, script: Script) -> None:
    past = NovaPast(cloud)
    script.reply(Reply(body={"hypervisor": {"uptime": " 16:06:30 up 3 days,  2:05,  1 user"}}))
    at = past.booted("p1")
    assert at is not None
    assert cloud.now() - at == pytest.approx((3 * 24 * 60 + 126) * 60, abs=5)
    script.reply(Reply(body={"hypervisor": {"uptime": None}}))
    assert past.booted("p1") is None


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        (" 10:00:00 up 0 min,  0 users", 1),
        ("10:00:00 up 12 min, 1 user", 13),
        ("10:00:00 up  1:07,  2 users", 68),
        ("10:00:00 up 1 day,  2 min, 1 user", 24 * 60 + 3),
        ("10:00:00 up 45 days, 23:59", (45 * 24 + 24) * 60),
    ],
)
def test_what_uptime_prints(text: str, minutes: int) -> None:
    assert up_seconds(text) == minutes * 60


def test_what_is_no_uptime() -> None:
    assert up_seconds("not implemented") is None


def test_a_console_that_is_not_there_is_none(cloud: Cloud, script: Script) -> None:
    past = NovaPast(cloud)
    script.reply(Reply(body={"output": "login: "}), Reply(409), Reply(404), Reply(body={"output": ""}))
    assert [past.console("s1") for _ in range(4)] == ["login: ", None, None, None]
    assert script.asked[0].body == {"os-getConsoleOutput": {"length": 400}}


def test_addresses_of_a_server(cloud: Cloud, script: Script) -> None:
    script.reply(Reply(body={"addresses": {"net": [{"addr": "10.0.0.5"}, {"addr": "192.0.2.7"}]}}))
    assert NovaPast(cloud).addresses("s1") == ("10.0.0.5", "192.0.2.7")
