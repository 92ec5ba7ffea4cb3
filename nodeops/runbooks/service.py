"""`host HOST stop|start|restart`: nova-compute as a service, as a plan. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from nodeops.model.machine import Service
from nodeops.plan import Finding, Level, Plan, Step
from nodeops.runbooks.host_steps import host_step

RUNBOOK = "service"
START_SECONDS, START_BUDGET = 10.0, 90.0
STOP_SECONDS, STOP_BUDGET = 15.0, 240.0
STOP_MARGIN = 60.0


class Verb(StrEnum):
    STOP = "stop"
    START = "start"
    RESTART = "restart"


WHY = {
    "stop-compute": "nova-compute ends; guests run on",
    "keep-stopped": "nothing starts it before it is started by nodeops, or the host boots",
    "start-compute": "nova-compute serves again",
}


def stop_budget(service: Service | None) -> float:
    """Its manager kills it after its own time; that, and some more."""
    allowed = service.stop_seconds if service else None
    return STOP_BUDGET if allowed is None else max(STOP_BUDGET, allowed + STOP_MARGIN)


def service_step(action: str, host: str, service: Service | None, needs: tuple[str, ...] = ()) -> Step:
    starts = action == "start-compute"
    return host_step(
        action,
        host,
        WHY[action],
        needs,
        expected=START_SECONDS if starts else STOP_SECONDS,
        budget=START_BUDGET if starts else stop_budget(service),
    )


def plan_service(host: str, verb: Verb, service: Service | None, cloud: str, *, keep: bool = False) -> Plan:
    """What is done; `service` is nova-compute as it was found."""
    steps: list[Step] = []
    for action in _actions(verb, service, keep=keep):
        steps.append(service_step(action, host, service, (steps[-1].id,) if steps else ()))
    return Plan(
        runbook=RUNBOOK,
        host=host,
        cloud=cloud,
        options={"verb": verb.value, "keep": keep},
        steps=tuple(steps),
        servers=(),
        findings=_findings(host, service),
        expected_seconds=sum(step.expected_seconds for step in steps),
    )


def _actions(verb: Verb, service: Service | None, *, keep: bool) -> Sequence[str]:
    if service is None:
        return ()
    if verb is Verb.START:
        return () if service.running and not service.masked else ("start-compute",)
    stopped = ("stop-compute", "keep-stopped") if keep else ("stop-compute",)
    if verb is Verb.RESTART:
        return ("stop-compute", "start-compute")
    return () if service.down and service.masked >= keep else stopped


def _findings(host: str, service: Service | None) -> tuple[Finding, ...]:
    if service is None:
        hint = "Set nodeops_service_manager and nodeops_nova_compute_unit in the inventory."
        words = f"{host} has no unit or container of nova-compute that is known"
        return (Finding(Level.ERROR, "no-service", words, hint, host),)
    return (Finding(Level.INFO, "service", f"{host}: {service.words}", subject=host),)
