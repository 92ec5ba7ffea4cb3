"""`nodeops trace`, and the diagnosis in the report of a run."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nodeops.cli.conduct import carry_out
from nodeops.cli.looking_trace import Sources, Wish, show_trace
from nodeops.errors import NodeopsError, UnknownRequestError, UnknownServerError, UsageError
from nodeops.model.story import UNKNOWN
from nodeops.model.tracing import Found, Wanted
from nodeops.runbooks.options import MoveOptions
from tests.cli.fake_desk import FakeDesk
from tests.cli.test_conduct import DRAIN, GO
from tests.fake_nova import Behaviour
from tests.fake_traces import OWN, SERVER, FakeLogs, FakeRequests, event, log_line, request
from tests.fake_world import FakeWorld

REFUSED = "Live Migration failure: unable to connect to server at 'c02:16509': Connection refused: x"
FAILED = request(event("compute_live_migration", "c01", "Error", "no"), status="error")


def sources(records: FakeRequests, logs: FakeLogs | None = None) -> Sources:
    return Sources(lambda _desk: records, lambda _desk: logs)


def seen(desk: FakeDesk, capsys: pytest.CaptureFixture[str], wish: Wish, asked: Sources) -> Any:
    show_trace(desk, replace(wish, json=True), asked)
    return json.loads(capsys.readouterr().out)


def test_a_server_stands_for_its_last_request_that_failed(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = replace(request(), id="req-00000000-0000-0000-0000-000000000001")
    logs = FakeLogs({"c01": (log_line(1, REFUSED, level="ERROR"),)})
    document = seen(desk, capsys, Wish("web01"), sources(FakeRequests((newer, FAILED)), logs))
    assert [each["id"] for each in document["requests"]] == [OWN]
    assert document["outcome"] == "failed"
    assert document["diagnosis"]["class"] == "libvirt-unreachable"
    assert document["diagnosis"]["next"] == "nodeops host c02 status"


def test_the_end_of_the_text_says_why(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    logs = FakeLogs({"c01": (log_line(1, REFUSED, level="ERROR"),)}, silent={"c02": "no answer within 6 s"})
    show_trace(desk, Wish("web01"), sources(FakeRequests((FAILED,)), logs))
    told = capsys.readouterr().out
    assert "not seen  c02: no answer within 6 s" in told
    end = told[told.index("why ") :]
    assert "c01 nova-compute" in end
    assert "means the target does not take the connection at c02:16509" in end
    assert end.rstrip().endswith("next  nodeops host c02 status")


def test_tracebacks_are_folded_and_full_unfolds_them(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: bent")
    logs = FakeLogs({"c01": (replace(log_line(1, "failed", level="ERROR"), more=more),)})
    show_trace(desk, Wish("web01"), sources(FakeRequests((FAILED,)), logs))
    folded = capsys.readouterr().out
    show_trace(desk, Wish("web01", full=True), sources(FakeRequests((FAILED,)), logs))
    whole = capsys.readouterr().out
    assert "2 lines folded" in folded
    assert "x.py" not in folded
    assert "ValueError: bent" in folded
    assert "x.py" in whole
    assert UNKNOWN in folded


def test_without_logs_it_tells_what_the_api_knows(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    failed = request(event("conductor_live_migrate_instance", "ctl", "Error", "No valid host was found"))
    document = seen(desk, capsys, Wish(SERVER), sources(FakeRequests((failed,))))
    assert document["diagnosis"]["class"] == "no-valid-host"
    assert document["hosts"] == []


def test_a_request_is_followed_without_a_cloud(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    logs = FakeLogs({"c01": (log_line(1, REFUSED, level="ERROR"),)})
    document = seen(desk, capsys, Wish(OWN), sources(FakeRequests(down="nova: no answer"), logs))
    assert document["diagnosis"]["class"] == "libvirt-unreachable"
    assert document["not_seen"] == ["nova: no answer"]


def test_what_is_found_nowhere_is_an_error_in_words(desk: FakeDesk) -> None:
    with pytest.raises(UnknownRequestError, match="nothing was found of it") as raised:
        show_trace(desk, Wish(OWN), sources(FakeRequests(), FakeLogs(silent={"c01": "no route"})))
    assert "c01: no route" in raised.value.message
    assert raised.value.exit_code == UsageError.exit_code


def test_a_server_that_does_not_exist_is_told(desk: FakeDesk) -> None:
    with pytest.raises(UnknownServerError):
        show_trace(desk, Wish("nobody"), sources(FakeRequests()))


def test_a_host_that_the_inventory_does_not_have_is_refused(desk: FakeDesk) -> None:
    with pytest.raises(UsageError, match="is not in the inventory"):
        show_trace(desk, Wish("web01", only=("c99",)), sources(FakeRequests((FAILED,)), FakeLogs()))


def test_since_leaves_out_what_is_older(desk: FakeDesk) -> None:
    with pytest.raises(UnknownRequestError, match="keeps no request of it in that time"):
        show_trace(desk, Wish("web01", since=60.0), sources(FakeRequests((FAILED,)), FakeLogs()))


class LogsOfAll(FakeLogs):
    """Whose one host has a line of whatever request is looked for."""

    def hosts(self) -> tuple[str, ...]:
        return ("c01",)

    def search(self, host: str, wanted: Wanted) -> Found:
        self.asked.append((host, wanted))
        lines = (
            replace(log_line(1, REFUSED, level="ERROR", request=each), server_id="") for each in wanted.ids
        )
        return Found(host, tuple(lines))


def drain(desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Of which one server does not make it."""
    world.nova.behaviour["s02"] = Behaviour.FAIL
    with pytest.raises(NodeopsError):
        carry_out(desk, replace(DRAIN, options=MoveOptions(retries=0)), GO)
    return {each["id"]: each for each in json.loads(capsys.readouterr().out)["servers"]}


def test_a_drain_s_report_says_what_the_logs_explain(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.host_logs = logs = LogsOfAll()
    servers = drain(desk, world, capsys)
    assert servers["s02"]["diagnosis"].startswith("c01 nova-compute: the target does not take the connection")
    assert servers["s01"]["diagnosis"] is None
    ((host, wanted),) = logs.asked
    assert host == "c01"
    assert wanted.ids == (servers["s02"]["request_id"],)
    assert wanted.since is not None


def test_the_journal_keeps_the_diagnosis(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.host_logs = LogsOfAll()
    told = drain(desk, world, capsys)["s02"]["diagnosis"]
    (run,) = desk.journal().runs()
    kept = {result.id: result.diagnosis for result in desk.journal().results(run.id)}
    assert kept["s02"] == told


def test_without_logs_a_report_does_not_repeat_nova_s_words(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drain(desk, world, capsys)["s02"]["diagnosis"] is None


def test_hosts_that_cannot_be_asked_do_not_spoil_the_report(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.host_logs = FakeLogs(silent={"c01": "no answer within 4 s"})
    assert drain(desk, world, capsys)["s02"]["verdict"] == "ROLLED BACK"


def test_a_run_stands_for_the_servers_it_did_not_move(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = drain(desk, world, capsys)["s02"]["request_id"]
    failed = replace(FAILED, id=request_id, server_id="s02")
    document = seen(desk, capsys, Wish("last"), sources(FakeRequests((failed,)), LogsOfAll()))
    assert [each["id"] for each in document["requests"]] == [request_id]
    assert document["subject"].startswith("run d-")
    assert document["diagnosis"]["class"] == "libvirt-unreachable"


def test_a_request_of_a_run_is_known_with_its_server(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = drain(desk, world, capsys)["s02"]["request_id"]
    assert desk.journal().subject_of(request_id) == "s02"
    assert desk.journal().subject_of(OWN) is None


def test_a_run_of_another_cloud_is_refused(
    desk: FakeDesk, world: FakeWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drain(desk, world, capsys)
    elsewhere = replace(world.identity(), region="elsewhere")
    monkeypatch.setattr(world, "identity", lambda: elsewhere)
    with pytest.raises(UsageError, match="elsewhere"):
        show_trace(desk, Wish("last"), sources(FakeRequests((FAILED,)), LogsOfAll()))
