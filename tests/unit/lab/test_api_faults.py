"""API faults: which calls they match, how often they strike, where they are kept."""

from pathlib import Path

import pytest

from nodeops.lab.api_faults import (
    ApiFault,
    Kind,
    Received,
    Service,
    arm,
    disarm,
    disarm_all,
    faults_file,
    list_faults,
    struck,
    tallies,
)
from nodeops.lab.proxy.armed import Armed

SERVER = "0f6c27f0-6fc5-4c43-9a1b-4f2a0d7f7e11"
MIGRATE = Received(
    Service.COMPUTE, "POST", f"/v2.1/servers/{SERVER}/action", "os-migrateLive", "nodeops/0.1 openstacksdk/4"
)
LIST = Received(Service.COMPUTE, "GET", "/v2.1/servers/detail")
TOKEN = Received(Service.IDENTITY, "POST", "/v3/auth/tokens")


@pytest.mark.parametrize(
    ("fault", "matches"),
    [
        (ApiFault(Kind.HANG), True),
        (ApiFault(Kind.HANG, service=Service.COMPUTE), True),
        (ApiFault(Kind.HANG, service=Service.NETWORK), False),
        (ApiFault(Kind.HANG, method="POST"), True),
        (ApiFault(Kind.HANG, method="GET"), False),
        (ApiFault(Kind.HANG, method="write"), True),
        (ApiFault(Kind.HANG, method="read"), False),
        (ApiFault(Kind.HANG, path="servers/*/action"), True),
        (ApiFault(Kind.HANG, path="/v2.1/servers/*/action"), True),
        (ApiFault(Kind.HANG, path="/servers/*/action"), False),
        (ApiFault(Kind.HANG, path="servers/**"), True),
        (ApiFault(Kind.HANG, path="servers/*"), False),
        (ApiFault(Kind.HANG, path="ervers/*/action"), False),
        (ApiFault(Kind.HANG, path="**"), True),
        (ApiFault(Kind.HANG, action="os-migrateLive"), True),
        (ApiFault(Kind.HANG, action="migrate"), False),
        (ApiFault(Kind.HANG, client="NodeOps"), True),
        (ApiFault(Kind.HANG, client="python-openstackclient"), False),
    ],
)
def test_a_fault_matches_what_it_names(fault: ApiFault, matches: bool) -> None:  # noqa: FBT001 - a column
    assert fault.matches(MIGRATE) is matches


def test_asking_for_a_token_is_no_write() -> None:
    assert MIGRATE.writes
    assert not LIST.writes
    assert not TOKEN.writes
    assert ApiFault(Kind.HANG, method="read").matches(TOKEN)


def test_faults_are_kept_and_cleared(tmp_path: Path) -> None:
    one = arm(tmp_path, ApiFault(Kind.STATUS, service=Service.IMAGE, status=409, nth=3))
    two = arm(tmp_path, ApiFault(Kind.LATENCY, seconds=0.5, probability=0.1))
    assert [one.fault_id, two.fault_id] == [1, 2]
    assert list_faults(tmp_path) == [one, two]
    assert disarm(tmp_path, 2)
    assert not disarm(tmp_path, 2)
    assert disarm_all(tmp_path) == 1
    assert arm(tmp_path, ApiFault(Kind.HANG)).fault_id == 3
    assert list_faults(tmp_path / "nowhere") == []


def test_it_strikes_exactly_the_nth_matching_call(tmp_path: Path) -> None:
    fault = arm(tmp_path, ApiFault(Kind.DROP_BEFORE, service=Service.COMPUTE, nth=3))
    armed = Armed(tmp_path)
    calls = [LIST, TOKEN, MIGRATE, LIST, LIST, LIST]
    assert [armed.judge(call, None).fault is not None for call in calls] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert struck(tmp_path, fault.fault_id) == 1
    assert tallies(tmp_path)[fault.fault_id].seen == 3


def test_times_counts_from_the_nth(tmp_path: Path) -> None:
    arm(tmp_path, ApiFault(Kind.DROP_AFTER, nth=2, times=2))
    armed = Armed(tmp_path)
    assert [armed.judge(LIST, None).fault is not None for _ in range(5)] == [False, True, True, False, False]


def test_without_a_limit_it_strikes_always(tmp_path: Path) -> None:
    arm(tmp_path, ApiFault(Kind.STATUS))
    armed = Armed(tmp_path)
    assert all(armed.judge(LIST, None).fault for _ in range(20))


def test_chance_decides_and_a_miss_is_no_strike(tmp_path: Path) -> None:
    fault = arm(tmp_path, ApiFault(Kind.STATUS, probability=0.5, times=2))
    rolls = iter([0.9, 0.4, 0.6, 0.1])
    armed = Armed(tmp_path, chance=lambda: next(rolls))
    assert [armed.judge(LIST, None).fault is not None for _ in range(5)] == [False, True, False, True, False]
    assert struck(tmp_path, fault.fault_id) == 2


def test_latencies_add_up_and_go_with_another_fault(tmp_path: Path) -> None:
    arm(tmp_path, ApiFault(Kind.LATENCY, seconds=0.25))
    arm(tmp_path, ApiFault(Kind.STATUS, status=503, times=1))
    arm(tmp_path, ApiFault(Kind.LATENCY))
    armed = Armed(tmp_path)
    first, second = armed.judge(LIST, None), armed.judge(LIST, None)
    assert (first.delay, first.fault is not None) == (1.25, True)
    assert (second.delay, second.fault) == (1.25, None)


def test_only_the_first_of_two_faults_strikes(tmp_path: Path) -> None:
    one = arm(tmp_path, ApiFault(Kind.STATUS, times=1))
    two = arm(tmp_path, ApiFault(Kind.DROP_BEFORE, times=1))
    armed = Armed(tmp_path)
    struck_kinds = [verdict.fault.kind for _ in range(2) if (verdict := armed.judge(LIST, None)).fault]
    assert struck_kinds == [Kind.STATUS, Kind.DROP_BEFORE]
    assert [struck(tmp_path, fault.fault_id) for fault in (one, two)] == [1, 1]


def test_a_token_that_expired_stays_so_everywhere_until_a_new_one_comes(tmp_path: Path) -> None:
    fault = arm(tmp_path, ApiFault(Kind.EXPIRED_TOKEN, service=Service.COMPUTE, nth=2))
    armed = Armed(tmp_path)
    assert armed.judge(TOKEN, None).fault is None
    assert armed.judge(LIST, "old").fault is None
    assert armed.judge(LIST, "old").fault == fault
    assert armed.judge(Received(Service.NETWORK, "GET", "/v2.0/ports"), "old").fault == fault
    assert armed.judge(TOKEN, "old").fault is None
    assert armed.judge(LIST, "new").fault is None
    disarm(tmp_path, fault.fault_id)
    assert armed.judge(LIST, "old").fault is None


def test_a_call_without_token_cannot_have_an_expired_one(tmp_path: Path) -> None:
    arm(tmp_path, ApiFault(Kind.EXPIRED_TOKEN))
    armed = Armed(tmp_path)
    assert armed.judge(LIST, None).fault is None
    assert armed.judge(LIST, "old").fault is not None


def test_counts_survive_the_proxy(tmp_path: Path) -> None:
    arm(tmp_path, ApiFault(Kind.STATUS, times=2))
    assert Armed(tmp_path).judge(LIST, None).fault
    again = Armed(tmp_path)
    assert again.judge(LIST, None).fault
    assert again.judge(LIST, None).fault is None


def test_clearing_is_seen_at_the_next_call(tmp_path: Path) -> None:
    fault = arm(tmp_path, ApiFault(Kind.STATUS))
    armed = Armed(tmp_path)
    assert armed.judge(LIST, None).fault
    assert armed.holds(fault)
    disarm_all(tmp_path)
    assert armed.judge(LIST, None).fault is None
    assert not armed.holds(fault)
    faults_file(tmp_path).unlink()
    assert not armed.holds(fault)
