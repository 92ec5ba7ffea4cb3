"""Servers that are followed and states that contradict each other, as they are shown."""

import io
from dataclasses import replace

from nodeops.model.facts import Fault
from nodeops.model.following import Sighting
from nodeops.model.tracking import Following
from nodeops.report.console import console
from nodeops.report.states_view import MismatchLine, StatesReport, states_document, summary
from nodeops.report.watch_view import Picture, change_document, change_line, timeline_table
from tests.fake_clock import EPOCH
from tests.fake_nova import FakeNova


def following(count: int) -> Following:
    nova = FakeNova()
    nova.add_host("c01")
    found = Following()
    found.begin([Sighting(nova.add_server(f"s{number:02}", "c01")) for number in range(count)], EPOCH)
    return found


def shown(renderable: object) -> str:
    out = io.StringIO()
    console(out, width=120).print(renderable)
    return out.getvalue()


def change(found: Following, at: float, **changes: object) -> None:
    server = found.tracks["s01"].sighting.server
    found.see([Sighting(replace(server, **changes))], at)  # type: ignore[arg-type]  # fields of Server


def test_the_picture_has_what_works_first_and_counts_the_rest() -> None:
    found = following(40)
    change(found, EPOCH + 5, task_state="migrating")
    text = shown(Picture(found.by_name(), EPOCH + 9, "host!=c01"))
    rows = text.splitlines()
    assert "name-of-s01" in rows[1]
    assert "4.0 s" in rows[1]
    listed = sum(row.startswith("name-of-") for row in rows)
    assert 0 < listed < 40
    assert f"and {40 - listed} more" in text
    assert "39 active, 1 migrating" in text
    assert "until host!=c01" in text


def test_a_change_into_error_tells_the_fault() -> None:
    found = following(2)
    server = replace(
        found.tracks["s01"].sighting.server, vm_state="error", status="ERROR", fault=Fault("No valid host")
    )
    (seen,) = found.see([Sighting(server)], EPOCH + 1)
    assert "vm_state: active → error" in change_line(seen, 12).plain
    assert "No valid host" in change_line(seen, 12).plain
    assert change_document(seen)["fault"] == "No valid host"


def test_the_timeline_goes_on_and_ends_with_what_is_gone() -> None:
    found = following(2)
    change(found, EPOCH + 61, task_state="image_uploading")
    found.see([Sighting(found.tracks["s01"].sighting.server, gone=True)], EPOCH + 63)
    text = shown(timeline_table(found.by_name(), EPOCH + 90))
    assert "active 1 min 01 s, image_uploading 2.0 s, then gone" in text


def report(**changes: object) -> StatesReport:
    line = MismatchLine(
        kind="crashed",
        serious=True,
        id="s1",
        name="web",
        host="c01",
        vm_state="active",
        task_state=None,
        power="CRASHED",
        by_hypervisor=True,
        words="seen",
        cause="cause",
        mend="mend",
        fix=("stop",),
    )
    base = StatesReport("c01", 3, 1, ("c01",), (), (line,), (), 4, EPOCH)
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of StatesReport


def test_the_summary_says_who_was_asked_and_who_is_silent() -> None:
    assert summary(report()) == "c01: 1 finding in 3 servers, 1 in a task, hypervisor asked on 1 host"
    words = summary(report(lines=(), hypervisors=(), silent=("c01",), tasks=0, host=None))
    assert words == (
        "all hosts: 0 findings in 3 servers, guests not judged on c01: down, by Nova's records alone"
    )


def test_the_document_of_states() -> None:
    document = states_document(report(), exit_code=30)
    assert document["findings"][0]["fix"] == ["stop"]
    assert document["findings"][0]["since"] is None
    assert document["api_calls"] == 4
