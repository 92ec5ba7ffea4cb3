"""`states --fix`: the contradictions that the API can end, as a plan; what needs a person is only said."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nodeops.model.states import StatesFacts
from nodeops.plan import Action, Finding, Json, Level, Plan, Risk, ServerPlan, Step, StepId
from nodeops.runbooks.contradictions import OLDER_THAN, Mismatch, contradictions
from nodeops.runbooks.mismatches import Mend

RUNBOOK = "states"
EXPECTED_SECONDS = 3.0
BUDGET_SECONDS = 180.0
"""A guest is given a minute to shut down (`shutdown_timeout`) before it is powered off."""

_ACTION: Mapping[Mend, str] = {
    Mend.STOP: "stop",
    Mend.START: "start",
    Mend.PAUSE: "pause",
    Mend.UNPAUSE: "unpause",
    Mend.SUSPEND: "suspend",
    Mend.SETTLE_ACTIVE: "settle-active",
    Mend.SETTLE_ERROR: "settle-error",
    Mend.REBOOT_HARD: "reboot-guest",
    Mend.DELETE: "delete-again",
}
_AS_FOUND = frozenset({Mend.SETTLE_ACTIVE, Mend.SETTLE_ERROR, Mend.DELETE})
"""Changes that are made only of a server that is still as it was found."""


@dataclass(frozen=True, slots=True)
class StatesOptions:
    """What was asked for."""

    nova_is_right: bool = False
    """The guest is brought to what Nova promises; else Nova's record to what the guest does."""
    older_than: float = OLDER_THAN
    """Seconds from which on a task may be dead."""


def plan_states(facts: StatesFacts, options: StatesOptions) -> Plan:
    """Raises `ValueError` for facts of a whole cloud: a run belongs to one host."""
    if facts.host is None:
        raise ValueError(RUNBOOK)
    found = contradictions(facts, older_than=options.older_than)
    mended = {each.id: each for each in found if _mends(each, options)}
    steps = [step for each in mended.values() for step in mend_steps(each, options)]
    return Plan(
        runbook=RUNBOOK,
        host=facts.host,
        cloud=facts.cloud,
        options={"nova_is_right": options.nova_is_right, "older_than": options.older_than},
        steps=tuple(steps),
        servers=tuple(_server(each, options) for each in mended.values()),
        findings=tuple(left_findings((each for each in found if each.id not in mended), Level.WARNING)),
        expected_seconds=EXPECTED_SECONDS * len(steps),
    )


def left_findings(found: Iterable[Mismatch], level: Level) -> Iterator[Finding]:
    """What no step ends."""
    for each in found:
        how = level if each.kind.serious else Level.INFO
        yield Finding(how, each.kind.name, f"{each.name}: {each.words}", _sentence(each.kind.mend), each.id)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _mends(found: Mismatch, options: StatesOptions) -> tuple[Mend, ...]:
    return found.mends(nova_is_right=options.nova_is_right) if found.server is not None else ()


def _risk(found: Mismatch, options: StatesOptions) -> Risk:
    if found.kind.name == "task-stuck":
        return Risk.FORCE
    return found.kind.nova_risk if options.nova_is_right else found.kind.risk


def _server(found: Mismatch, options: StatesOptions) -> ServerPlan:
    server, mends = found.server, _mends(found, options)
    assert server is not None  # noqa: S101 - only servers are mended
    return ServerPlan(
        id=found.id,
        name=found.name,
        status=server.status,
        action=Action.MEND,
        why=f"{', then '.join(mends)}: {found.words}",
        risk=_risk(found, options),
        expected_seconds=EXPECTED_SECONDS * len(mends),
        ram_mb=server.flavor.ram_mb,
        state={"class": found.kind.name, "vm_state": server.vm_state, "power_state": server.power_state},
    )


def mend_steps(found: Mismatch, options: StatesOptions) -> Iterator[Step]:
    """The changes that end one contradiction, each after the one before."""
    needs: tuple[StepId, ...] = ()
    for mend in _mends(found, options):
        step = Step(
            id=f"{_ACTION[mend]}:{found.id}",
            action=_ACTION[mend],
            subject_id=found.id,
            subject_name=found.name,
            why=found.words,
            risk=_risk(found, options),
            params=_params(found, mend),
            needs=needs,
            expected_seconds=EXPECTED_SECONDS,
            budget_seconds=BUDGET_SECONDS,
        )
        needs = (step.id,)
        yield step


def _params(found: Mismatch, mend: Mend) -> dict[str, Json]:
    server = found.server
    if server is None or mend not in _AS_FOUND:
        return {"host": found.host}
    params: dict[str, Json] = {"vm_state": server.vm_state, "task_state": server.task_state}
    return params | ({"updated": server.updated} if server.task_state else {})
