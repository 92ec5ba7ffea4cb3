"""What a plan says of a server, in the words of the cases."""

from typing import Any

from nodeops.plan import Plan, ServerPlan


def told_of(plan: Plan, server: ServerPlan, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the case asks about; `says` and `why` are asked for in part."""
    steps = [step for step in plan.steps if step.subject_id == server.id]
    refusal = server.refusals[0] if server.refusals else None
    words = " / ".join(each.reason for each in server.refusals)
    told: dict[str, Any] = {
        "action": str(server.action),
        "target": server.target,
        "refused": [each.refusal_class for each in server.refusals],
        "override": refusal.override if refusal else None,
        "refusal_risk": refusal.risk.name.lower() if refusal and refusal.risk is not None else None,
        "steps": [step.id.replace(f":{server.id}", "") for step in steps],
        "risk": server.risk.name.lower(),
        "verdict": str(server.expected_verdict),
        "ends_as": server.state.get("vm_state"),
        "seconds": server.expected_seconds,
        "disk_gb": server.disk_gb,
    }
    for key, text in (("says", words), ("why", server.why)):
        if key in wanted:
            told[key] = wanted[key] if wanted[key] in text else text
    return {key: told[key] for key in wanted}
