"""Every file of this folder is a case: what is known of a host that booted, and what must be planned."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.plan import Action, Level, Risk
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.recover import recover_options
from nodeops.runbooks.recover_classes import OF_A_RECOVERY
from tests.plans.expectation import told_of
from tests.plans.recover.form import Case, case_of

CASES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    path: Path = request.param
    return case_of(json.loads(path.read_text(encoding="utf-8")))


def test_there_are_cases() -> None:
    assert len(CASES) >= 20


def test_expectation(case: Case) -> None:
    plan, expect = case.plan(), case.expect
    servers = {server.name: server for server in plan.servers}
    wanted: dict[str, dict[str, Any]] = expect.get("servers", {})
    assert set(servers) == set(wanted or servers)
    for name, each in wanted.items():
        assert told_of(plan, servers[name], each) == each, name
    assert [step.id for step in plan.steps] == expect.get("steps", [step.id for step in plan.steps])
    codes = {finding.code for finding in plan.findings}
    assert codes >= set(expect.get("findings", ()))
    assert not codes & set(expect.get("no_findings", ()))
    for level, key in ((Level.ERROR, "errors"), (Level.WARNING, "warnings")):
        found = [finding.code for finding in plan.findings if finding.level is level]
        assert found == expect.get(key, found)


def test_steps_hang_together(case: Case) -> None:
    plan = case.plan()
    ids = [step.id for step in plan.steps]
    assert len(ids) == len(set(ids))
    for step in plan.steps:
        assert set(step.needs) <= set(ids)
        assert step.params.get("despite") in {None, *step.needs}
        assert step.budget_seconds >= max(60.0, step.expected_seconds)
        assert step.why
    for server in plan.servers:
        assert bool(server.refusals or server.why)
        has_steps = any(step.subject_id == server.id for step in plan.steps)
        assert has_steps == (server.action is Action.START)


def test_nothing_is_started_that_somebody_wants_off(case: Case) -> None:
    started = {step.subject_id for step in case.plan().steps}
    for server_id, asked in case.facts.asked.items():
        if asked and asked[0].action == "stop" and asked[0].user_id is not None:
            assert server_id not in started


def test_the_order_of_the_facts_does_not_matter_and_the_options_are_kept(case: Case) -> None:
    shuffled = random.Random(7)  # noqa: S311 - a shuffle that is the same each time
    servers = tuple(shuffled.sample(case.facts.servers, len(case.facts.servers)))
    other = replace(case, facts=replace(case.facts, servers=servers))
    assert other.plan().digest == case.plan().digest
    assert recover_options(case.plan()).move.allow == case.options.move.allow
    assert recover_options(case.plan()).priority == case.options.priority


def test_every_class_has_a_case_and_every_override_one() -> None:
    told, lifted = set(), set()
    for path in CASES:
        each = case_of(json.loads(path.read_text(encoding="utf-8")))
        refused = {refusal.refusal_class for server in each.plan().refused for refusal in server.refusals}
        told |= refused
        bare = replace(each.options.move, allow=frozenset(), risk=Risk.SAFE)
        strict = replace(each, options=replace(each.options, move=bare)).plan()
        lifted |= {r.refusal_class for server in strict.refused for r in server.refusals} - refused
    names = {each.name for each in OF_A_RECOVERY}
    assert told == names
    assert lifted == {name for name in names if CLASSES[name].risk is not None}
