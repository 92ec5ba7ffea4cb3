"""Plan files: what was planned, to be looked at by somebody, approved and applied later.

JSON with a version and a digest. The file is meant to be read, not edited: one whose contents do not come to
its digest is refused.
"""

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodeops.errors import ConfigurationError, StalePlanError
from nodeops.plan import (
    PLAN_VERSION,
    Action,
    Finding,
    Level,
    Plan,
    Refusal,
    Risk,
    ServerPlan,
    Step,
    TargetLoad,
)

FORMAT = "nodeops plan"


def write(path: Path, plan: Plan) -> None:
    """Write the plan; `-` is stdout. Raises `ConfigurationError` when it cannot be written."""
    text = dumps(plan)
    if str(path) == "-":
        print(text, end="")  # noqa: T201 - the file is stdout, as asked for
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"plan file {path}: {error.strerror or error}",
            hint="Name a file in a directory you may write to.",
        ) from error


def read(path: Path, *, cloud: str | None = None) -> Plan:
    """The plan of a file, `-` is stdin; `cloud` is the one it has to be for.

    Raises `ConfigurationError` for what is no plan file, or an edited one, and `StalePlanError` for a plan of
    another version of nodeops or for another cloud.
    """
    name = "stdin" if str(path) == "-" else str(path)
    plan = loads(_text(path, name), name)
    if cloud is not None and plan.cloud != cloud:
        raise StalePlanError(
            f"plan file {name} was made for {plan.cloud}, and this is {cloud}",
            hint="Choose its cloud with --os-cloud, or make a new plan.",
        )
    return plan


def dumps(plan: Plan) -> str:
    """The text of a plan file."""
    body = {"format": FORMAT, "digest": plan.digest, **_with_names(asdict(plan))}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def loads(text: str, name: str) -> Plan:
    """The plan in the text of a plan file; `name` is what the errors call it."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_plan(name, f"line {error.lineno}: {error.msg}") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise _no_plan(name, f'it does not say "format": "{FORMAT}"')
    if body.get("version") != PLAN_VERSION:
        raise StalePlanError(
            f"plan file {name} is of version {body.get('version')}, and this nodeops applies {PLAN_VERSION}",
            hint="Make a new plan with this nodeops.",
        )
    plan = _plan(body, name)
    if body.get("digest") != plan.digest:
        raise ConfigurationError(
            f"plan file {name} was changed after it was written: its digest is not that of its contents",
            hint="A plan is not edited by hand; make a new one with other options.",
        )
    return plan


def difference(old: Plan, new: Plan) -> list[str]:
    """What is no longer as it was planned, in words; empty when both do the same."""
    return [] if old.digest == new.digest else list(_differences(old, new))


def _differences(old: Plan, new: Plan) -> Iterator[str]:
    if (old.runbook, old.host) != (new.runbook, new.host):
        yield f"it was to {old.runbook} {old.host}, and is now to {new.runbook} {new.host}"
    if old.cloud != new.cloud:
        yield f"it was made for {old.cloud}, and this is {new.cloud}"
    yield from _option_differences(old.options, new.options)
    yield from _server_differences(old, new)
    yield from _step_differences(old, new)


def _option_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"option {name.replace('_', '-')}: was {old.get(name)}, is {new.get(name)}"


def _server_differences(old: Plan, new: Plan) -> Iterator[str]:
    before, after = {s.id: s for s in old.servers}, {s.id: s for s in new.servers}
    for id_, server in before.items():
        now = after.get(id_)
        if now is None:
            yield f"{server.name}: is not on {old.host} any more"
        elif _intent(server) != _intent(now):
            yield f"{server.name}: was to {_intent(server)}, is now to {_intent(now)}"
    for id_, server in after.items():
        if id_ not in before:
            yield f"{server.name}: came to {new.host} since"


def _intent(server: ServerPlan) -> str:
    if server.refused:
        return f"stay ({', '.join(refusal.refusal_class for refusal in server.refusals)})"
    if server.action is Action.NONE:
        return "be left alone"
    return f"{server.action} to {server.target}" if server.target else str(server.action)


def _step_differences(old: Plan, new: Plan) -> Iterator[str]:
    """Of servers whose intent is the same, and of the host's service."""
    told = {s.id for s in old.servers} ^ {s.id for s in new.servers}
    before, after = {s.id: s for s in old.steps}, {s.id: s for s in new.steps}
    both = before.keys() & after.keys()
    for step_id in sorted(before.keys() | after.keys()):
        was, now = before.get(step_id), after.get(step_id)
        step = was or now
        if step is None or step.subject_id in told:
            continue
        if now is None:
            yield f"{step.subject_name}: {step.action} is not needed any more"
        elif was is None:
            yield f"{step.subject_name}: {step.action} is needed now"
        elif _how(was, both) != _how(now, both):
            yield f"{step.subject_name}: {step.action} would be made differently"


def _how(step: Step, known: AbstractSet[str]) -> tuple[object, ...]:
    """What is done and after what, without what only one of the plans has."""
    needs = [need for need in step.needs if need in known]
    return step.source, step.target, dict(step.params), needs, step.gates, step.risk


def _text(path: Path, name: str) -> str:
    try:
        return Path("/dev/stdin" if str(path) == "-" else path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"plan file {name}: {error.strerror or error}", hint="Name a file written by nodeops plan."
        ) from error
    except UnicodeDecodeError as error:
        raise _no_plan(name, "it is no text") from error


def _no_plan(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"plan file {name} is no plan: {why}", hint="Name a file written by nodeops plan."
    )


def _with_names(body: dict[str, Any]) -> dict[str, Any]:
    """Risks by their names, for who reads the file."""
    for step in body["steps"]:
        step["risk"] = step["risk"].name.lower()
    for server in body["servers"]:
        server["risk"] = server["risk"].name.lower()
        for refusal in server["refusals"]:
            refusal["risk"] = refusal["risk"].name.lower() if refusal["risk"] is not None else None
    return body


def _plan(body: Mapping[str, Any], name: str) -> Plan:
    try:
        return Plan(
            runbook=str(body["runbook"]),
            host=str(body["host"]),
            cloud=str(body["cloud"]),
            options=dict(body["options"]),
            steps=tuple(_step(each) for each in body["steps"]),
            servers=tuple(_server(each) for each in body["servers"]),
            findings=tuple(Finding(**{**each, "level": Level(each["level"])}) for each in body["findings"]),
            targets=tuple(_load(each) for each in body["targets"]),
            fits=bool(body["fits"]),
            expected_seconds=float(body["expected_seconds"]),
            version=int(body["version"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_plan(name, f"{type(error).__name__}: {error}") from error


def _step(each: Mapping[str, Any]) -> Step:
    needs, gates = tuple(each["needs"]), tuple(each["gates"])
    return Step(**{**each, "risk": Risk[each["risk"].upper()], "needs": needs, "gates": gates})


def _server(each: Mapping[str, Any]) -> ServerPlan:
    return ServerPlan(
        **{
            **each,
            "action": Action(each["action"]),
            "risk": Risk[each["risk"].upper()],
            "refusals": tuple(_refusal(refusal) for refusal in each["refusals"]),
        }
    )


def _refusal(each: Mapping[str, Any]) -> Refusal:
    risk = None if each["risk"] is None else Risk[each["risk"].upper()]
    return Refusal(**{**each, "risk": risk})


def _load(each: Mapping[str, Any]) -> TargetLoad:
    before = {name: (pair[0], pair[1]) for name, pair in each["before"].items()}
    after = {name: (pair[0], pair[1]) for name, pair in each["after"].items()}
    return TargetLoad(**{**each, "before": before, "after": after})
