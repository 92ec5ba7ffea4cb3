"""Fault rules: how they match, where they are kept, how often they strike."""

from pathlib import Path

import pytest

from nodeops.lab.hypervisor.behaviour import (
    BEHAVIOUR_KEY,
    RATE_KEY,
    Behaviour,
    Operation,
    Rule,
    Subject,
    first,
    hindrance,
    number_of_metadata,
    rules_of_metadata,
)
from nodeops.lab.hypervisor_faults import RuleBook, add_rule, clear_rules, list_rules, remove_rule, strike

LIVE = Subject(Operation.LIVE_MIGRATION, "id-1", "web-1", "c01", "c02")


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (Rule(Behaviour.SLOW), True),
        (Rule(Behaviour.SLOW, server="web-1"), True),
        (Rule(Behaviour.SLOW, server="id-1"), True),
        (Rule(Behaviour.SLOW, server="web"), False),
        (Rule(Behaviour.SLOW, host="c01"), True),
        (Rule(Behaviour.SLOW, host="c02"), True),
        (Rule(Behaviour.SLOW, host="c03"), False),
        (Rule(Behaviour.SLOW, source="c02"), False),
        (Rule(Behaviour.SLOW, source="c01", target="c02"), True),
        (Rule(Behaviour.SLOW, operation=Operation.SNAPSHOT), False),
    ],
)
def test_rules_match_what_they_name(rule: Rule, matches: bool) -> None:  # noqa: FBT001 - a table's column
    assert rule.matches(LIVE) is matches


@pytest.mark.parametrize(
    ("operation", "matches"),
    [
        (Operation.LIVE_MIGRATION, True),
        (Operation.COLD_MIGRATION, True),
        (Operation.EVACUATE, True),
        (Operation.BOOT, False),
        (Operation.SNAPSHOT, False),
    ],
)
def test_a_rule_without_an_operation_means_moves(operation: Operation, matches: bool) -> None:  # noqa: FBT001
    assert Rule(Behaviour.FAIL_COPY).matches(Subject(operation, "id-1", "web-1", "c01", "c02")) is matches


def test_rules_are_kept_and_cleared(tmp_path: Path) -> None:
    one = add_rule(tmp_path, Rule(Behaviour.FAIL_COPY, server="web-1", at=0.3, times=2))
    two = add_rule(tmp_path, Rule(Behaviour.SLOW, operation=Operation.SNAPSHOT, seconds=30.0))
    assert [rule.rule_id for rule in (one, two)] == [1, 2]
    assert list_rules(tmp_path) == [one, two]
    assert remove_rule(tmp_path, 1)
    assert not remove_rule(tmp_path, 1)
    assert clear_rules(tmp_path) == 1
    assert add_rule(tmp_path, Rule(Behaviour.HANG)).rule_id == 3
    assert list_rules(tmp_path / "nowhere") == []


def test_a_rule_strikes_as_often_as_told(tmp_path: Path) -> None:
    twice = add_rule(tmp_path, Rule(Behaviour.REFUSE, times=2))
    always = add_rule(tmp_path, Rule(Behaviour.REFUSE))
    assert [strike(tmp_path, twice) for _ in range(4)] == [True, True, False, False]
    assert all(strike(tmp_path, always) for _ in range(4))


def test_a_running_process_sees_changes(tmp_path: Path) -> None:
    book = RuleBook(tmp_path)
    assert book.rules() == []
    rule = add_rule(tmp_path, Rule(Behaviour.NEVER_CONVERGE))
    assert book.rules() == [rule]
    clear_rules(tmp_path)
    assert book.rules() == []


def test_all_matching_rules_hinder_together() -> None:
    rules = [
        Rule(Behaviour.SLOW, factor=2.0),
        Rule(Behaviour.SLOW, factor=3.0, target="c02"),
        Rule(Behaviour.SLOW, factor=9.0, target="c03"),
        Rule(Behaviour.FAIL_COPY, at=0.7),
        Rule(Behaviour.HANG, at=0.1, server="another"),
    ]
    found = hindrance(rules, LIVE)
    assert (found.slower, found.converging, found.frozen_at, found.fails_at) == (6.0, True, None, 0.7)
    assert not hindrance([Rule(Behaviour.NEVER_CONVERGE)], LIVE).converging
    assert hindrance([], LIVE).slower == 1.0


def test_servers_carry_rules_in_their_metadata() -> None:
    rules = rules_of_metadata(
        {BEHAVIOUR_KEY: "slow:factor=8 ; fail-copy:at=0.25,operation=live-migration;nonsense"}
    )
    assert [(rule.behaviour, rule.factor, rule.at, rule.operation) for rule in rules] == [
        (Behaviour.SLOW, 8.0, 0.5, None),
        (Behaviour.FAIL_COPY, 5.0, 0.25, Operation.LIVE_MIGRATION),
    ]
    assert rules_of_metadata({}) == []
    assert rules_of_metadata({BEHAVIOUR_KEY: "slow:factor=fast"}) == []


def test_first_finds_the_matching_rule() -> None:
    refuse = Rule(Behaviour.REFUSE, target="c02", message="no room here")
    assert first([Rule(Behaviour.SLOW), refuse], Behaviour.REFUSE, LIVE) is refuse
    assert refuse.words == "no room here"
    assert first([refuse], Behaviour.SPLIT, LIVE) is None


@pytest.mark.parametrize(("value", "number"), [("64", 64.0), ("-1", 512.0), ("much", 512.0), (None, 512.0)])
def test_numbers_of_metadata(value: str | None, number: float) -> None:
    metadata = {} if value is None else {RATE_KEY: value}
    assert number_of_metadata(metadata, RATE_KEY, 512.0) == number
