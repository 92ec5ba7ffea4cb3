"""What the comparison of states asks of Nova, on the wire."""

from nodeops.clients.cloud import Cloud
from nodeops.clients.state_records import NovaRecords
from nodeops.model.states import Deed, moment
from tests.unit.clients.answers import Reply, Script

VERSION = Reply(body={"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}})
SERVICE = {"binary": "nova-compute", "host": "c01", "id": "1", "state": "up", "status": "enabled"}


def test_a_host_is_one_call_each_for_services_and_migrations(cloud: Cloud, script: Script) -> None:
    script.reply(
        Reply(body={"services": [SERVICE, SERVICE | {"binary": "nova-conductor"}]}),
        Reply(body={"migrations": []}),
    )
    records = NovaRecords(cloud)
    assert [host.name for host in records.hosts()] == ["c01"]
    assert records.migrations("c01") == ()
    assert script.asked[-1].query["host"] == ["c01"]
    assert len(script.asked) == 2


def test_the_newest_action_tells_whether_an_event_is_open(cloud: Cloud, script: Script) -> None:
    events = [
        {"event": "conductor_x", "start_time": "2026-11-18T10:00:00", "finish_time": "2026-11-18T10:00:01",
         "result": "Success"},
        {"event": "compute_x", "start_time": "2026-11-18T10:00:01", "finish_time": None, "host": "c01"},
    ]  # fmt: skip
    action = {"action": "createImage", "request_id": "req-1", "start_time": "2026-11-18T10:00:00"}
    script.reply(
        Reply(body={"instanceActions": [action]}),
        Reply(body={"instanceAction": action | {"events": events}}),
        Reply(body={"instanceActions": []}),
        Reply(404),
    )
    records = NovaRecords(cloud)
    began = moment("2026-11-18T10:00:00Z")
    assert records.deed("s1") == Deed("createImage", "req-1", began, "c01", "compute_x")
    assert records.deed("s2") is None
    assert records.deed("s3") is None


def test_a_deleted_server_is_found_as_long_as_its_row_is_there(cloud: Cloud, script: Script) -> None:
    body = {"id": "s1", "name": "old", "status": "DELETED", "OS-EXT-STS:vm_state": "deleted"}
    script.reply(VERSION, Reply(404), Reply(body={"servers": [body]}))
    found = NovaRecords(cloud).server("s1")
    assert found is not None
    assert found.vm_state == "deleted"
    assert script.asked[-1].query["uuid"] == ["s1"]
