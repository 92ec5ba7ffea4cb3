"""Conditions and timelines of servers that are followed."""

from dataclasses import replace

import pytest

from nodeops.errors import UsageError
from nodeops.model.following import Sighting, power_name
from nodeops.model.tracking import Following, condition
from tests.fake_nova import FakeNova


def sighting(*, gone: bool = False, **changes: object) -> Sighting:
    nova = FakeNova()
    nova.add_host("c01")
    server = nova.add_server("s1", "c01")
    return Sighting(replace(server, **changes), gone=gone)  # type: ignore[arg-type]  # fields of Server


@pytest.mark.parametrize(
    ("text", "seen", "holds"),
    [
        ("task=none", sighting(), True),
        ("task=none", sighting(task_state="image_uploading"), False),
        ("task_state!=none", sighting(task_state="migrating"), True),
        ("status=active", sighting(), True),
        ("status=SHUTOFF,ACTIVE", sighting(), True),
        ("host!=c01", sighting(), False),
        ("host=C01", sighting(), False),
        ("host!=c01", sighting(host="c02"), True),
        ("host=none", sighting(host=None), True),
        ("power=running", sighting(), True),
        ("power_state=SHUTDOWN", sighting(power_state=4), True),
        ("vm_state=error", sighting(vm_state="error"), True),
        ("gone", sighting(), False),
        ("gone", sighting(gone=True), True),
        ("task=none", sighting(gone=True), False),
        ("host!=c01", sighting(gone=True), True),
    ],
)
def test_a_condition_holds_or_not(text: str, seen: Sighting, holds: bool) -> None:  # noqa: FBT001 - a case
    assert condition(text).holds(seen) is holds


@pytest.mark.parametrize("text", ["", "task", "task==none", "colour=red", "task=", "=none"])
def test_what_is_no_condition_is_said_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        condition(text)
    assert "task=none" in raised.value.hint


def test_the_timeline_counts_each_state_and_the_present_one() -> None:
    following = Following()
    following.begin([sighting()], 100.0)
    for at, task in ((103.0, "image_snapshot"), (104.5, "image_uploading"), (110.0, None)):
        changes = following.see([sighting(task_state=task)], at)
        assert [set(change.before) for change in changes] == [{"task"}]
    track = following.tracks["s1"]
    assert track.timeline(112.0) == [
        ("active", 3.0),
        ("image_snapshot", 1.5),
        ("image_uploading", 5.5),
        ("active", 2.0),
    ]
    assert track.totals(112.0) == {"active": 5.0, "image_snapshot": 1.5, "image_uploading": 5.5}


def test_a_change_that_is_none_of_the_state_keeps_the_span() -> None:
    following = Following()
    following.begin([sighting()], 0.0)
    assert following.see([sighting()], 1.0) == []
    (change,) = following.see([sighting(host="c02")], 2.0)
    assert change.before == {"host": "c01"}
    assert following.tracks["s1"].timeline(5.0) == [("active", 5.0)]


def test_what_is_gone_stays_gone_and_its_time_stands_still() -> None:
    following = Following()
    following.begin([sighting()], 0.0)
    (change,) = following.see([sighting(gone=True)], 4.0)
    assert change.sighting.gone
    assert following.see([sighting(gone=True)], 9.0) == []
    assert following.tracks["s1"].timeline(50.0) == [("active", 4.0)]
    assert following.alive() == []


def test_of_a_host_what_comes_is_watched_and_what_is_deleted_does_not_count() -> None:
    following = Following("c01")
    following.begin([sighting()], 0.0)
    other = sighting(id="s2", name="other", host="c02")
    assert following.see([other], 1.0) == []
    (change,) = following.see([sighting(id="s2", name="other")], 2.0)
    assert change.first
    following.see([sighting(gone=True)], 3.0)
    wanted = [condition("status=ACTIVE")]
    assert following.failing(wanted) == []
    following.see([sighting(id="s2", name="other", status="SHUTOFF")], 4.0)
    assert [track.sighting.server.id for track in following.failing(wanted)] == ["s2"]


def test_power_states_have_nova_s_names() -> None:
    assert [power_name(state) for state in (0, 1, 4, 5)] == ["NOSTATE", "RUNNING", "SHUTDOWN", "5"]
