"""Plans for tests of the engine, made by hand."""

from collections.abc import Sequence

from nodeops.plan import Action, Plan, Risk, ServerPlan, Step

CLOUD = "http://fake RegionOne"


def disable(host: str = "c01") -> Step:
    return Step(
        id=f"disable-service:{host}",
        action="disable-service",
        subject_id=host,
        subject_name=host,
        why="nothing new may land here",
        risk=Risk.SAFE,
        expected_seconds=0.1,
        budget_seconds=30,
    )


def live(
    server: str,
    target: str | None = "c02",
    *,
    source: str = "c01",
    expected: float = 3.0,
    budget: float = 60.0,
    needs: Sequence[str] = ("disable-service:c01",),
) -> Step:
    return Step(
        id=f"live-migrate:{server}",
        action="live-migrate",
        subject_id=server,
        subject_name=f"name-of-{server}",
        why="it runs",
        risk=Risk.LIVE,
        needs=tuple(needs),
        source=source,
        target=target,
        expected_seconds=expected,
        budget_seconds=budget,
        gates=("target-serves",),
    )


def server_step(action: str, server: str, *needs: str, **params: str) -> Step:
    """A step that changes a server where it is."""
    return Step(
        id=f"{action}:{server}",
        action=action,
        subject_id=server,
        subject_name=f"name-of-{server}",
        why="part of a move",
        risk=Risk.REBOOT,
        params=dict(params),
        needs=needs,
        expected_seconds=1,
        budget_seconds=30,
    )


def cold(server: str, target: str | None = "c02") -> tuple[Step, Step]:
    move = Step(
        id=f"cold-migrate:{server}",
        action="cold-migrate",
        subject_id=server,
        subject_name=f"name-of-{server}",
        why="it is off",
        risk=Risk.SAFE,
        needs=("disable-service:c01",),
        source="c01",
        target=target,
        expected_seconds=3,
        budget_seconds=60,
    )
    return move, server_step("confirm-resize", server, move.id, old_host="c01")


def suspended(server: str, target: str = "c02") -> tuple[Step, Step, Step]:
    """Resumed, moved, suspended again."""
    resume = server_step("resume", server, "disable-service:c01")
    move = live(server, target, needs=("disable-service:c01", resume.id))
    back = server_step("suspend", server, move.id, restores=resume.id)
    return resume, move, back


def drain(*steps: Step, host: str = "c01", runbook: str = "drain") -> Plan:
    subjects = {step.subject_id: step for step in steps if step.subject_id != host}
    servers = tuple(
        ServerPlan(
            id=step.subject_id,
            name=step.subject_name,
            status="ACTIVE",
            action=Action.LIVE_MIGRATE,
            target=step.target,
            ram_mb=1024,
            state={"vm_state": "active"},
        )
        for step in subjects.values()
    )
    return Plan(runbook=runbook, host=host, cloud=CLOUD, options={}, steps=steps, servers=servers)
