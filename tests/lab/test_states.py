"""`nodeops states` on a real Nova: contradictions made for real, found, mended, gone."""

from typing import Any

from nodeops.lab.hypervisor.guests import GuestState
from tests.lab.aside import IMAGE_MADE, Aside
from tests.lab.bed import Result

SYNC_SECONDS = 90.0
"""Nova looks at its guests every 30 s in the lab."""


def findings(result: Result, aside: Aside) -> dict[str, str]:
    """Return those of this test's servers, by name."""
    mine = set(aside.ids)
    return {each["name"]: each["class"] for each in result.json["findings"] if each["name"] in mine}


def test_contradictions_are_found_mended_and_gone(aside: Aside) -> None:
    aside.boot("s-paused", "s-error", "s-well")
    aside.set_guest("s-paused", GuestState.PAUSED)
    aside.act("s-error", **{"os-resetState": {"state": "error"}})
    aside.bed.until(lambda: power(aside.server("s-paused")) == 3, SYNC_SECONDS)
    found = aside.run("states", aside.host, "-o", "json")
    assert found.code == 30, found.err
    assert findings(found, aside) == {"s-paused": "paused-but-active", "s-error": "error-but-running"}
    with aside.bed.listening() as calls:
        assert aside.run("states", aside.host).code == 30
    asked = [call.path for call in calls if call.service != "identity"]
    assert len(asked) <= 5, asked
    dry = aside.run("states", aside.host, "--fix", "--dry-run", "-o", "json")
    assert {dry.verdicts()[name] for name in ("s-paused", "s-error")} == {"DONE"}
    done = aside.run("states", aside.host, "--fix", "--yes", "-o", "json")
    assert {done.verdicts()[name] for name in ("s-paused", "s-error")} == {"DONE"}, done.err
    assert aside.server("s-paused")["status"] == "PAUSED"
    assert aside.server("s-error")["status"] == "ACTIVE"
    assert findings(aside.run("states", aside.host, "-o", "json"), aside) == {}


def test_a_task_that_hangs_is_found_with_what_is_behind_it(aside: Aside) -> None:
    aside.boot("s-hangs", metadata={"nodeops:snapshot-seconds": "60"})
    aside.act("s-hangs", createImage={"name": IMAGE_MADE})
    aside.bed.until(lambda: aside.server("s-hangs")["OS-EXT-STS:task_state"] == "image_uploading")
    at_once = aside.run("states", aside.host, "-o", "json")
    assert findings(at_once, aside) == {}
    aside.bed.until(lambda: aged(aside) == {"s-hangs": "task-long"}, 50.0)


def aged(aside: Aside) -> dict[str, str]:
    """Return what is found when tasks of a second are old."""
    return findings(aside.run("states", aside.host, "--older-than", "1s", "-o", "json"), aside)


def power(server: dict[str, Any]) -> int:
    return int(server["OS-EXT-STS:power_state"])
