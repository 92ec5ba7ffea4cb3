"""The one sentence that matters."""

from typing import Any

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.clients.explanation import from_action, from_migration, words_of
from nodeops.model.facts import Migration
from tests.unit.clients.answers import Reply, Script

NO_HOST = "No valid host was found. There are not enough hosts available."
TRACEBACK = """Traceback (most recent call last):
  File "nova/compute/utils.py", line 1456, in decorated_function
    return function(self, context, *args, **kwargs)
nova.exception.MigrationPreCheckError: Migration pre-check error: CPU doesn't have compatibility.
"""


def event(name: str, result: str | None, start: int = 0, **more: Any) -> dict[str, Any]:
    return {"event": name, "result": result, "start_time": f"2026-11-21T06:13:{start:02}.000000"} | more


@pytest.mark.parametrize(
    ("details", "traceback", "words"),
    [
        (NO_HOST, "", NO_HOST.rstrip(".")),
        (NO_HOST + "\nTraceback (most recent call last):\n", "", NO_HOST.rstrip(".")),
        (None, TRACEBACK, "Migration pre-check error: CPU doesn't have compatibility"),
        ("libvirtError", TRACEBACK, "Migration pre-check error: CPU doesn't have compatibility"),
        ("libvirtError", "", "libvirtError"),
        (None, None, ""),
    ],
)
def test_words_of_an_event(details: str | None, traceback: str | None, words: str) -> None:
    assert words_of({"details": details, "traceback": traceback}) == words


def test_the_innermost_failure_is_the_cause() -> None:
    action = {
        "events": [
            event("compute_check_can_live_migrate_source", None, 52),
            event("compute_check_can_live_migrate_source", "Error", 51, details="c05 is on shared storage."),
            event("conductor_live_migrate_instance", "Error", 50, details=NO_HOST),
        ]
    }
    found = from_action(action, "req-1")
    assert found is not None
    assert found.words == "c05 is on shared storage"
    assert found.event == "compute_check_can_live_migrate_source"


def test_a_target_that_refused_before_another_took_it_is_no_cause() -> None:
    action = {
        "events": [
            event("compute_live_migration", "Error", 55, details="the copy broke off"),
            event("compute_check_can_live_migrate_destination", "Error", 56, details="CPU is too old"),
            event("conductor_live_migrate_instance", "Success", 50),
        ]
    }
    found = from_action(action, "req-1")
    assert found is not None
    assert found.words == "the copy broke off"


def test_nothing_failed() -> None:
    assert from_action({"events": [event("x", "Success"), event("y", None)]}, "req-1") is None
    assert from_action({"events": [event("x", "Error")]}, "req-1") is None
    assert from_action({}, "req-1") is None


def test_a_migration_that_only_says_failed() -> None:
    migration = Migration(7, "u", "s1", "live-migration", "failed", "c01", "c02")
    found = from_migration(migration, "req-1")
    assert found is not None
    assert found.words.startswith("live-migration 7 from c01 to c02 ended as failed")
    assert "log of nova-compute on c01" in found.words


def test_the_action_then_the_fault_then_the_migration(cloud: Cloud, script: Script) -> None:
    failed = event("conductor_live_migrate_instance", "Error", details=NO_HOST)
    script.reply(Reply(body={"instanceAction": {"events": [failed]}}))
    found = cloud.explain("s1", "req-1")
    assert found is not None
    assert found.words == NO_HOST.rstrip(".")
    assert script.asked[0].path == "/compute/v2.1/servers/s1/os-instance-actions/req-1"

    server = {"id": "s1", "status": "ERROR", "OS-EXT-SRV-ATTR:host": "c01", "fault": {"message": "Boom."}}
    version = Reply(body={"version": {"version": "2.93"}})
    script.reply(Reply(404), version, Reply(body={"server": server}))
    found = cloud.explain("s1", "req-2")
    assert found is not None
    assert found.words == "Boom"

    row = {"id": 7, "instance_uuid": "s1", "status": "error", "source_compute": "c01"}
    script.reply(Reply(404), Reply(body={"migrations": [row]}))
    found = cloud.explain("s1", "")
    assert found is not None
    assert "ended as error" in found.words
