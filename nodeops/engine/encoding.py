"""Plans, steps and results as the JSON the journal keeps, and back.

Unlike a plan file, which is checked against its digest, the journal trusts what it wrote itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nodeops.model.blackout import Blackout, Way
from nodeops.outcome import ServerResult
from nodeops.plan import (
    Action,
    Finding,
    Level,
    Plan,
    Refusal,
    Risk,
    ServerPlan,
    Step,
    TargetLoad,
    Verdict,
)


def encode(value: Plan | Step | ServerPlan | ServerResult | Finding) -> str:
    return json.dumps(value, default=_fields, separators=(",", ":"), sort_keys=True)


def _fields(value: Any) -> dict[str, Any]:
    """One level of a dataclass: `asdict` copies all that is below it, most of what a journal costs."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def decode_plan(text: str) -> Plan:
    data: dict[str, Any] = json.loads(text)
    return Plan(
        **{
            **data,
            "steps": tuple(_step(each) for each in data["steps"]),
            "servers": tuple(_server_plan(each) for each in data["servers"]),
            "findings": _findings(data["findings"]),
            "targets": tuple(_target_load(each) for each in data["targets"]),
        }
    )


def decode_step(text: str) -> Step:
    return _step(json.loads(text))


def decode_server_plan(text: str) -> ServerPlan:
    return _server_plan(json.loads(text))


def decode_server_result(text: str) -> ServerResult:
    data: dict[str, Any] = json.loads(text)
    verdict, findings = Verdict(data["verdict"]), _findings(data["findings"])
    blackout = data.get("blackout") and Blackout(**{**data["blackout"], "way": Way(data["blackout"]["way"])})
    return ServerResult(**{**data, "verdict": verdict, "findings": findings, "blackout": blackout})


def decode_findings(text: str) -> tuple[Finding, ...]:
    return _findings(json.loads(text))


def _step(data: Mapping[str, Any]) -> Step:
    needs, gates = tuple(data["needs"]), tuple(data["gates"])
    return Step(**{**data, "risk": Risk(data["risk"]), "needs": needs, "gates": gates})


def _server_plan(data: Mapping[str, Any]) -> ServerPlan:
    refusals = tuple(_refusal(each) for each in data["refusals"])
    action, risk = Action(data["action"]), Risk(data["risk"])
    return ServerPlan(**{**data, "action": action, "risk": risk, "refusals": refusals})


def _refusal(data: Mapping[str, Any]) -> Refusal:
    risk = None if data["risk"] is None else Risk(data["risk"])
    return Refusal(**{**data, "risk": risk})


def _findings(data: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(**{**each, "level": Level(each["level"])}) for each in data)


def _target_load(data: Mapping[str, Any]) -> TargetLoad:
    before = {key: (pair[0], pair[1]) for key, pair in data["before"].items()}
    after = {key: (pair[0], pair[1]) for key, pair in data["after"].items()}
    return TargetLoad(**{**data, "before": before, "after": after})
