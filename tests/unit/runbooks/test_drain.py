"""A drain's plan beyond what one server says: replaced targets, options kept, times."""

from dataclasses import replace
from typing import Any

import pytest

from nodeops.plan import Plan, Risk, Step
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.drain import plan_drain, replace_target
from nodeops.runbooks.estimate import lanes, total
from nodeops.runbooks.options import PLAN_FIELDS, MoveOptions, OnStuck, options_json, options_of
from tests.plans.form import Case, case_of


def case(*servers: dict[str, Any], **more: Any) -> Case:
    return case_of({"servers": list(servers), **more})


def step_of(plan: Plan, step_id: str) -> Step:
    return next(step for step in plan.steps if step.id == step_id)


class TestReplacedTarget:
    def test_the_next_best(self) -> None:
        given = case({"name": "a"}, hosts={"c02": {}, "c03": {"used": {"MEMORY_MB": 9000}}, "c04": {}})
        plan = given.plan()
        step = step_of(plan, "live-migrate:a")
        assert step.target == "c02"
        other = replace_target(given.facts, plan, step, frozenset({"c02"}))
        assert other == replace(step, target="c04")
        last = replace_target(given.facts, plan, step, frozenset({"c02", "c04"}))
        assert last is not None
        assert last.target == "c03"
        assert replace_target(given.facts, plan, step, frozenset({"c02", "c03", "c04"})) is None

    def test_room_is_kept_for_the_others(self) -> None:
        """c03 would take it, were it not for the server that goes there."""
        given = case({"name": "a", "ram": 40000}, {"name": "b", "ram": 40000})
        plan = given.plan()
        step = step_of(plan, "live-migrate:a")
        assert replace_target(given.facts, plan, step, frozenset({str(step.target)})) is None

    def test_groups_hold(self) -> None:
        group = {"g": {"policy": "anti-affinity", "members": {"a": None, "x": "c03"}}}
        given = case({"name": "a"}, groups=group)
        plan = given.plan()
        assert replace_target(given.facts, plan, step_of(plan, "live-migrate:a"), frozenset({"c02"})) is None

    def test_only_hosts_of_to(self) -> None:
        given = case({"name": "a"}, options={"to": ["c02"]})
        plan = given.plan()
        assert replace_target(given.facts, plan, step_of(plan, "live-migrate:a"), frozenset({"c02"})) is None

    def test_nova_s_own_choice_has_no_other(self) -> None:
        given = case({"name": "a"}, options={"scheduler": True})
        plan = given.plan()
        step = step_of(plan, "live-migrate:a")
        assert replace_target(given.facts, plan, step, frozenset({"c02"})) is None

    def test_the_way_back_has_no_other(self) -> None:
        moved = [{"server": "a", "target": "c02"}]
        given = case({"name": "a", "host": "c02"}, runbook="undrain", moved=moved)
        plan = given.plan()
        step = step_of(plan, "live-migrate:a")
        assert replace_target(given.facts, plan, step, frozenset({"c01"})) is None

    def test_a_server_that_is_gone(self) -> None:
        given = case({"name": "a"})
        plan = given.plan()
        stranger = replace(step_of(plan, "live-migrate:a"), subject_id="b")
        assert replace_target(given.facts, plan, stranger, frozenset({"c02"})) is None


class TestOptions:
    OPTIONS = MoveOptions(
        allow=frozenset({"locked", "local-disk"}),
        risk=Risk.REBOOT,
        to=("c02",),
        parallel=3,
        on_stuck=OnStuck.LEAVE,
        rate_mib=99.5,
        max_failures=None,
    )

    def test_a_plan_keeps_them(self) -> None:
        plan = plan_drain(case({"name": "a"}).facts, self.OPTIONS)
        again = options_of(plan)
        assert replace(again, prefer={}) == self.OPTIONS
        assert again.prefer == {"a": "c02"}

    def test_all_of_them(self) -> None:
        assert set(options_json(self.OPTIONS)) == {*PLAN_FIELDS, "probe"}
        assert {*PLAN_FIELDS, "probe", "prefer"} == set(MoveOptions.__dataclass_fields__)

    def test_planned_again_it_is_the_same(self) -> None:
        given = case(*({"name": name, "ram": 3000} for name in "abcd"))
        plan = given.plan()
        assert plan_drain(given.facts, options_of(plan)).digest == plan.digest

    def test_a_plan_of_nobody(self) -> None:
        with pytest.raises(KeyError):
            options_of(Plan("drain", "c01", "cloud", {}, (), ()))


class TestClasses:
    def test_a_name_allows(self) -> None:
        for each in CLASSES.values():
            assert each.allowed(MoveOptions(allow=frozenset({each.name}))) is (each.risk is not None)

    def test_the_ladder(self) -> None:
        assert CLASSES["error"].allowed(MoveOptions(risk=Risk.FORCE))
        assert not CLASSES["error"].allowed(MoveOptions(risk=Risk.REBOOT))
        assert CLASSES["locked"].allowed(MoveOptions(risk=Risk.REBOOT))
        assert not CLASSES["locked"].allowed(MoveOptions())

    def test_some_have_to_be_named_though_they_cost_little(self) -> None:
        assert not CLASSES["local-disk"].allowed(MoveOptions(risk=Risk.LIVE))
        assert CLASSES["local-disk"].allowed(MoveOptions(risk=Risk.REBOOT))

    def test_nothing_is_allowed_by_default(self) -> None:
        assert not [each.name for each in CLASSES.values() if each.allowed(MoveOptions())]

    def test_words(self) -> None:
        for each in CLASSES.values():
            assert each.meaning
            assert each.source
            assert bool(each.override) == (each.risk is not None)
            assert each.override or each.hint or each.name in {"bare-metal", "no-target"}


class TestTimes:
    def test_side_by_side(self) -> None:
        assert lanes(MoveOptions(), 5) == 1
        assert lanes(MoveOptions(parallel=9), 2) == 4
        assert lanes(MoveOptions(parallel=3, inbound=1), 9) == 3
        assert lanes(MoveOptions(parallel=3), 0) == 2

    def test_total(self) -> None:
        assert total([], side_by_side=2, canary=True) == 0
        assert total([(0, 10)], side_by_side=2, canary=True) == 10
        assert total([(0, 10), (0, 20), (0, 5)], side_by_side=2, canary=True) == 25
        assert total([(0, 10), (0, 20), (0, 5)], side_by_side=2, canary=False) == 20
        assert total([(100, 10), (0, 20)], side_by_side=1, canary=False) == 110
