"""The plan that cuts a host's power, and the check afterwards. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from nodeops.model.facts import Inquest, Life, Server
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Finding, Level, Plan, Risk
from nodeops.runbooks.host_steps import host_step

SECONDS, BUDGET = 10.0, 120.0


def plan_fence(inquest: Inquest, servers: Sequence[Server], cloud: str) -> Plan:
    """One step, or none when the power is off already; what it costs is said as findings."""
    host, signs = inquest.host, inquest.signs
    off = any(sign.source == "power" and sign.life is Life.DEAD for sign in signs)
    step = host_step("fence", host, "powered off, nothing can run on it", expected=SECONDS, budget=BUDGET)
    return Plan(
        runbook="fence",
        host=host,
        cloud=cloud,
        options={},
        steps=() if off else (replace(step, risk=Risk.FORCE),),
        servers=(),
        findings=() if off else tuple(_costs(inquest, servers)),
        expected_seconds=0.0 if off else SECONDS,
    )


def _costs(inquest: Inquest, servers: Sequence[Server]) -> Sequence[Finding]:
    host = inquest.host
    found = []
    if inquest.life is Life.ALIVE:
        hint = f"nodeops drain {host} empties it while it lives."
        words = f"{host} lives ({inquest.why}): what runs there ends without being shut down"
        found.append(Finding(Level.WARNING, "fences-living-host", words, hint, host))
    running = [server.name for server in servers if server.vm_state == "active"]
    if running:
        words = f"{len(running)} of its servers are ACTIVE in nova and end at once if they run"
        found.append(Finding(Level.WARNING, "ends-servers", words, subject=host))
    return found


def judge_fence(inquest: Inquest, results: Sequence[StepResult]) -> tuple[Finding, ...]:
    """What is wrong afterwards, by a fresh inquest."""
    host = inquest.host
    power = next(sign for sign in inquest.signs if sign.source == "power")
    if power.life is Life.DEAD:
        return ()
    failed = [each for each in results if each.state in {StepState.FAILED, StepState.BLOCKED}]
    words = failed[0].words if failed else power.words
    hint = "Power it off by hand and read the state back. It is not fenced until something proves it."
    return (Finding(Level.ERROR, "not-fenced", f"{host} is not proved off: {words}", hint, host),)
