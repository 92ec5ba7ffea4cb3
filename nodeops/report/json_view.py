"""The JSON document of a plan and of a run: one shape for both; keys are stable, and told in docs/json.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from nodeops.model.blackout import Blackout
from nodeops.outcome import Outcome, ServerResult
from nodeops.plan import Action, Finding, Plan, ServerPlan, Step, TargetLoad, Verdict
from nodeops.report.blackout_view import figures_of_results
from nodeops.report.figures import utc
from nodeops.report.plan_view import host_steps
from nodeops.report.rows import row_changes

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""


def plan_document(plan: Plan, *, exit_code: int, dry_run: bool) -> dict[str, Any]:
    """A plan before anything is done: `run` is null and each `verdict` is the one to expect."""
    return {
        "format": FORMAT,
        "run": None,
        "runbook": plan.runbook,
        "host": plan.host,
        "cloud": plan.cloud,
        "digest": plan.digest,
        "dry_run": dry_run,
        "exit_code": exit_code,
        "fits": plan.fits,
        "options": dict(plan.options),
        "expected_seconds": round(plan.expected_seconds, 1),
        "started": None,
        "ended": None,
        "seconds": None,
        "interrupted_by": None,
        "servers": [_server(server) for server in plan.servers],
        "host_steps": [_host_step(step) for step in host_steps(plan)],
        "rows": [each.document for each in row_changes(plan)],
        "statements": [],
        "findings": [_finding(finding) for finding in plan.findings],
        "targets": [_target(target) for target in plan.targets],
        "still_running": {},
        "blackout": None,
        "error": None,
    }


def run_document(outcome: Outcome, *, exit_code: int) -> dict[str, Any]:
    """A run: the same keys, with what was found in the cloud afterwards; UNKNOWN where nobody looked yet."""
    results = {result.id: result for result in outcome.servers}
    known = {server.id for server in outcome.plan.servers}
    document = plan_document(outcome.plan, exit_code=exit_code, dry_run=False)
    servers = [_server(server, results.get(server.id)) for server in outcome.plan.servers]
    for server in servers:
        if server["id"] not in results and server["verdict"] in {Verdict.MOVED, Verdict.DONE}:
            server["verdict"] = str(Verdict.UNKNOWN)
    servers += [_unplanned(result) for result in outcome.servers if result.id not in known]
    return document | {
        "run": outcome.run_id,
        "started": _moment(outcome.started),
        "ended": _moment(outcome.ended),
        "seconds": round(outcome.ended - outcome.started, 1) if outcome.ended else None,
        "interrupted_by": outcome.interrupted_by,
        "servers": servers,
        "findings": [_finding(finding) for finding in (*outcome.plan.findings, *outcome.findings)],
        "still_running": dict(outcome.still_running),
        "blackout": _figures(outcome.servers),
    }


def _host_step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "action": step.action,
        "why": step.why,
        "risk": step.risk.name.lower(),
        "expected_seconds": round(step.expected_seconds, 1),
    }


def _server(server: ServerPlan, result: ServerResult | None = None) -> dict[str, Any]:
    refusal = server.refusals[0] if server.refusals else None
    document: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "action": str(server.action),
        "target": server.target,
        "verdict": str(server.expected_verdict),
        "class": refusal.refusal_class if refusal else None,
        "reason": refusal.reason if refusal else server.why,
        "diagnosis": None,
        "override": refusal.override if refusal else None,
        "risk": server.risk.name.lower(),
        "expected_seconds": round(server.expected_seconds, 1),
        "ram_mb": server.ram_mb,
        "disk_gb": server.disk_gb,
        "refusals": [
            {
                "class": each.refusal_class,
                "reason": each.reason,
                "override": each.override,
                "risk": each.risk.name.lower() if each.risk is not None else None,
            }
            for each in server.refusals
        ],
        "seconds": None,
        "attempts": 0,
        "request_id": None,
        "blackout": None,
        "findings": [],
    }
    return document | _ended(result, document["reason"]) if result else document


def _ended(result: ServerResult, planned_reason: str) -> dict[str, Any]:
    return {
        "target": result.target,
        "verdict": str(result.verdict),
        "reason": result.reason or planned_reason,
        "diagnosis": result.diagnosis or None,
        "seconds": round(result.seconds, 1),
        "attempts": result.attempts,
        "request_id": result.request_id or None,
        "blackout": _blackout(result.blackout),
        "findings": [_finding(finding) for finding in result.findings],
    }


def _blackout(blackout: Blackout | None) -> dict[str, Any] | None:
    if blackout is None:
        return None
    return {"way": str(blackout.way), "seconds": blackout.seconds, "words": blackout.words}


def _figures(results: Sequence[ServerResult]) -> dict[str, Any] | None:
    found = figures_of_results(results)
    if found is None:
        return None
    return {
        "way": str(found.way),
        "measured": found.measured,
        "unmeasured": found.unmeasured,
        "p50": found.p50,
        "max": found.longest,
    }


def _unplanned(result: ServerResult) -> dict[str, Any]:
    """A server that came to the host after the plan was made."""
    blank = _server(ServerPlan(id=result.id, name=result.name, status="", action=Action.NONE))
    return blank | _ended(result, "")


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "level": str(finding.level),
        "code": finding.code,
        "subject": finding.subject,
        "words": finding.words,
        "hint": finding.hint,
    }


def _target(target: TargetLoad) -> dict[str, Any]:
    return {
        "host": target.host,
        "zone": target.zone,
        "servers_in": target.servers_in,
        "before": _loads(target.before),
        "after": _loads(target.after),
    }


def _loads(loads: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {kind: {"used": used, "capacity": capacity} for kind, (used, capacity) in loads.items()}


def _moment(at: float) -> str | None:
    return utc(at) if at else None
