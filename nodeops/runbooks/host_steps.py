"""Steps whose subject is the host itself, and whether nodeops enables it. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from nodeops.actions.service import disabled_by_nodeops
from nodeops.model.facts import Host
from nodeops.plan import Finding, Level, Risk, Step, StepId

AT_ONCE = 1.0
"""Seconds of a change of Nova's record of a host."""


def host_step(
    action: str,
    host: str,
    why: str,
    needs: tuple[StepId, ...] = (),
    *,
    expected: float = AT_ONCE,
    budget: float = 60.0,
) -> Step:
    """One that puts no guest at risk; `expected` and `budget` are seconds."""
    return Step(
        id=f"{action}:{host}",
        action=action,
        subject_id=host,
        subject_name=host,
        why=why,
        risk=Risk.SAFE,
        needs=needs,
        expected_seconds=expected,
        budget_seconds=budget,
    )


def may_enable(host: Host, *, force: bool) -> bool:
    """Only what nodeops disabled, or what it is forced to."""
    return force or disabled_by_nodeops(host.disabled_reason)


def enable_step(host: Host, needs: tuple[StepId, ...] = (), *, force: bool) -> Step | None:
    """None when it is enabled already, or may not be."""
    if host.enabled or not may_enable(host, force=force):
        return None
    step = host_step("enable-service", host.name, "it may receive again", needs)
    return replace(step, params={"force": force})


def disabled_by_other(host: Host, *, force: bool) -> Iterator[Finding]:
    """Of a host that is to serve and may not be enabled."""
    if host.enabled or may_enable(host, force=force):
        return
    yield Finding(
        Level.ERROR,
        "host-disabled-by-other",
        f"{host.name} was disabled by somebody else: {host.disabled_reason or 'no reason given'}",
        "Ask them, or enable it all the same with --force.",
        host.name,
    )
