"""Every file of this directory is a case: facts and options, and what must be planned for them."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.plan import Action, Risk
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.classify import concerned
from nodeops.runbooks.reattach_classes import OF_A_REATTACH
from nodeops.runbooks.recover_classes import OF_A_RECOVERY
from nodeops.runbooks.rewrite_classes import OF_A_REWRITE
from nodeops.runbooks.scene import Scene
from tests.plans.expectation import told_of
from tests.plans.form import Case, case_of

PLANNED_HERE = CLASSES.keys() - {each.name for each in (*OF_A_REWRITE, *OF_A_REATTACH, *OF_A_RECOVERY)}
"""Classes of runbooks that have cases here; the others have tests of their own."""
CASES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    path: Path = request.param
    return case_of(json.loads(path.read_text(encoding="utf-8")))


def test_there_are_cases() -> None:
    assert len(CASES) >= 60


def test_expectation(case: Case) -> None:
    plan = case.plan()
    servers = {server.name: server for server in plan.servers}
    expect = case.expect
    assert set(servers) == set(expect.get("servers", servers))
    for name, wanted in expect.get("servers", {}).items():
        assert told_of(plan, servers[name], wanted) == wanted, name
    for key, told in {
        "fits": plan.fits,
        "steps": [step.id for step in plan.steps],
        "expected_seconds": plan.expected_seconds,
    }.items():
        assert told == expect.get(key, told), key
    for key in ("findings", "no_findings"):
        codes = {finding.code for finding in plan.findings}
        for code in expect.get(key, ()):
            assert (code in codes) is (key == "findings"), (code, codes)
    assert {load.host: load.servers_in for load in plan.targets} == expect.get(
        "targets", {load.host: load.servers_in for load in plan.targets}
    )


def test_every_server_has_one_answer(case: Case) -> None:
    plan = case.plan()
    told = [server.id for server in plan.servers]
    assert len(told) == len(set(told))
    if case.runbook == "drain":
        assert set(told) == {server.id for server in concerned(Scene(case.facts, case.options))}
    for server in plan.servers:
        steps = [step for step in plan.steps if step.subject_id == server.id]
        assert bool(steps) == (not server.refused and bool(steps))
        if not steps:
            assert server.action is Action.NONE
            assert server.refused or server.why


def test_a_refusal_has_words(case: Case) -> None:
    for server in case.plan().servers:
        classes = [refusal.refusal_class for refusal in server.refusals]
        assert len(classes) == len(set(classes))
        for refusal in server.refusals:
            assert refusal.refusal_class in CLASSES
            assert len(refusal.reason) > 10
            assert (refusal.override is None) == (refusal.risk is None)
            assert refusal.override in {None, f"--allow {refusal.refusal_class}"}


def test_steps_hang_together(case: Case) -> None:
    plan = case.plan()
    ids = [step.id for step in plan.steps]
    assert len(ids) == len(set(ids))
    hosts = {host.name: host for host in case.facts.hosts}
    for step in plan.steps:
        assert set(step.needs) <= set(ids)
        assert step.budget_seconds >= max(60.0, step.expected_seconds)
        assert step.why
        if step.target is not None and case.runbook == "drain":
            assert hosts[step.target].serves
            assert step.target != plan.host
        restored = step.params.get("restores")
        assert restored is None or restored in ids


def test_the_order_of_the_facts_does_not_matter(case: Case) -> None:
    shuffled = random.Random(7)  # noqa: S311 - a shuffle that is the same each time
    facts = case.facts
    other = replace(
        facts,
        hosts=tuple(shuffled.sample(facts.hosts, len(facts.hosts))),
        servers=tuple(shuffled.sample(facts.servers, len(facts.servers))),
        groups=tuple(shuffled.sample(facts.groups, len(facts.groups))),
    )
    assert replace(case, facts=other).plan().digest == case.plan().digest


def _all_cases() -> list[Case]:
    return [case_of(json.loads(path.read_text(encoding="utf-8"))) for path in CASES]


def test_every_class_has_a_case() -> None:
    told = {
        refusal.refusal_class
        for each in _all_cases()
        for server in each.plan().servers
        for refusal in server.refusals
    }
    assert told == PLANNED_HERE


def test_every_override_has_a_case() -> None:
    """In which it is the options that let the server go."""
    lifted = set()
    for each in _all_cases():
        going = {server.id for server in each.plan().servers if not server.refused}
        strict = replace(each, options=replace(each.options, allow=frozenset(), risk=Risk.SAFE))
        for server in strict.plan().servers:
            if server.id in going:
                lifted |= {refusal.refusal_class for refusal in server.refusals}
    assert lifted == {name for name in PLANNED_HERE if CLASSES[name].risk is not None}
