"""The access log, read back."""

from dataclasses import replace
from pathlib import Path

from nodeops.lab.api_calls import Call, calls_since, counts, log_file, mark, writes
from nodeops.lab.api_faults import Service

SERVER = "0f6c27f0-6fc5-4c43-9a1b-4f2a0d7f7e11"
LIST = Call(
    time="2026-11-21T05:00:00.000+00:00",
    service=Service.COMPUTE,
    method="GET",
    path="/v2.1/servers/detail?host=c01",
    action=None,
    status=200,
    forwarded=200,
    milliseconds=12.5,
    fault=None,
    fault_id=None,
    user_agent="nodeops/0.1.0",
    request_id="req-1",
)
MIGRATE = replace(
    LIST,
    method="POST",
    path=f"/v2.1/servers/{SERVER}/action",
    action="os-migrateLive",
    status=None,
    fault="drop-after",
    fault_id=4,
    forwarded=202,
)
TOKEN = replace(LIST, service=Service.IDENTITY, method="POST", path="/v3/auth/tokens", user_agent="openstack")


def written(state_dir: Path, *calls: Call) -> None:
    log_file(state_dir).parent.mkdir(exist_ok=True)
    with log_file(state_dir).open("a") as handle:
        handle.writelines(call.line() for call in calls)


def test_calls_come_back_as_they_were(tmp_path: Path) -> None:
    written(tmp_path, LIST, MIGRATE, TOKEN)
    assert calls_since(tmp_path) == [LIST, MIGRATE, TOKEN]
    assert calls_since(tmp_path, client="NODEOPS") == [LIST, MIGRATE]


def test_only_those_after_the_mark(tmp_path: Path) -> None:
    assert mark(tmp_path) == 0
    assert calls_since(tmp_path) == []
    written(tmp_path, LIST)
    begin = mark(tmp_path)
    written(tmp_path, TOKEN)
    assert calls_since(tmp_path, begin) == [TOKEN]


def test_a_line_being_written_waits(tmp_path: Path) -> None:
    written(tmp_path, LIST)
    with log_file(tmp_path).open("a") as handle:
        handle.write(TOKEN.line()[:40])
    assert calls_since(tmp_path) == [LIST]


def test_writes_are_what_was_meant_to_change_the_cloud() -> None:
    assert writes([LIST, MIGRATE, TOKEN]) == [MIGRATE]


def test_counts_by_shape() -> None:
    other = replace(MIGRATE, path="/v2.1/servers/11111111-2222-3333-4444-555555555555/action")
    tenant = replace(
        LIST, service=Service.VOLUME, path="/v3/0123456789abcdef0123456789abcdef/attachments/detail"
    )
    assert counts([LIST, MIGRATE, other, tenant]) == {
        ("compute", "GET", "/v2.1/servers/detail"): 1,
        ("compute", "POST", "/v2.1/servers/*/action os-migrateLive"): 2,
        ("volumev3", "GET", "/v3/*/attachments/detail"): 1,
    }
