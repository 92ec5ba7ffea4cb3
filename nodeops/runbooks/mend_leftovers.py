"""`audit --fix`: the left-overs that the API can remove, as a plan; what needs a person is only said."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from nodeops.model.leftovers import AuditFacts
from nodeops.plan import Action, Finding, Level, Plan, Risk, ServerPlan, Step
from nodeops.runbooks.audit import Leftover, leftovers
from nodeops.runbooks.mend_states import StatesOptions, mend_steps

RUNBOOK = "audit"
EXPECTED_SECONDS = 1.0
BUDGET_SECONDS = 120.0


def plan_audit(facts: AuditFacts) -> Plan:
    found = leftovers(facts)
    mended: dict[str, list[Leftover]] = defaultdict(list)
    for each in found:
        if each.mending is not None:
            mended[each.id].append(each)
    steps = {step.id: step for group in mended.values() for each in group for step in _steps(each)}
    return Plan(
        runbook=RUNBOOK,
        host=facts.scope,
        cloud=facts.cloud,
        options={},
        steps=tuple(steps.values()),
        servers=tuple(_subject(facts, group) for group in mended.values()),
        findings=tuple(left_findings((each for each in found if each.mending is None), Level.WARNING)),
        expected_seconds=EXPECTED_SECONDS * len(steps),
    )


def left_findings(found: Iterable[Leftover], level: Level) -> Iterator[Finding]:
    """What no step ends."""
    for each in found:
        how = level if each.kind.serious else Level.INFO
        yield Finding(how, each.kind.name, f"{each.name}: {each.words}", sentence(each.repair), each.id)


def sentence(words: str) -> str:
    return f"Repair: {words}." if words else ""


def _subject(facts: AuditFacts, group: Sequence[Leftover]) -> ServerPlan:
    first = group[0]
    server = facts.servers.get(first.id)
    return ServerPlan(
        id=first.id,
        name=first.name,
        status=server.status if server else "no server",
        action=Action.MEND,
        why="; ".join(each.words for each in group),
        risk=max(_risk(each) for each in group),
        expected_seconds=EXPECTED_SECONDS * len(group),
        state={"class": ", ".join(dict.fromkeys(each.kind.name for each in group))},
    )


def _risk(each: Leftover) -> Risk:
    return Risk.FORCE if each.mismatch is not None else Risk.SAFE


def _steps(each: Leftover) -> Iterator[Step]:
    if each.mismatch is not None:
        yield from mend_steps(each.mismatch, StatesOptions())
    elif each.mending is not None:
        yield Step(
            id=each.mending.id(each.id),
            action=each.mending.action,
            subject_id=each.id,
            subject_name=each.name,
            why=each.words,
            risk=Risk.SAFE,
            params=each.mending.params,
            expected_seconds=EXPECTED_SECONDS,
            budget_seconds=BUDGET_SECONDS,
        )
