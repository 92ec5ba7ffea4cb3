"""The faults of the simulated hosts, set, listed and cleared while the lab runs: `faults/hypervisor.json`.

    rule = add_rule(state_dir, Rule(Behaviour.FAIL_COPY, server="web-1", target="c03", at=0.3, times=1))
    list_rules(state_dir); remove_rule(state_dir, rule.rule_id); clear_rules(state_dir)

nova-compute reads the file again whenever it changed. `times` is counted by files that only one process can
create, so that it holds over all hosts.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, Rule
from nodeops.lab.hypervisor.places import read_json, write_json


def faults_file(state_dir: Path) -> Path:
    return state_dir / "faults" / "hypervisor.json"


def add_rule(state_dir: Path, rule: Rule) -> Rule:
    """Set the fault and return it with the id it was given; a rule set later never takes over an old id."""
    with _locked(state_dir):
        held = _read(state_dir)
        given = replace(rule, rule_id=held["last_id"] + 1)
        _write(state_dir, [*_rules(held), given], given.rule_id)
    return given


def list_rules(state_dir: Path) -> list[Rule]:
    """Return the rules in the order they were set."""
    return _rules(_read(state_dir))


def remove_rule(state_dir: Path, rule_id: int) -> bool:
    """Clear one fault; return whether it was there."""
    with _locked(state_dir):
        held = _read(state_dir)
        rules = _rules(held)
        kept = [rule for rule in rules if rule.rule_id != rule_id]
        _write(state_dir, kept, held["last_id"])
    return len(kept) != len(rules)


def clear_rules(state_dir: Path) -> int:
    """Clear all faults; return how many there were."""
    with _locked(state_dir):
        held = _read(state_dir)
        _write(state_dir, [], held["last_id"])
    return len(held["rules"])


def strike(state_dir: Path, rule: Rule) -> bool:
    """Tell whether the rule still applies, and count this time; at most `times` callers are ever told yes."""
    if rule.times is None:
        return True
    directory = faults_file(state_dir).parent / "struck"
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(rule.times):
        try:
            (directory / f"{rule.rule_id}-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False


class RuleBook:
    """The rules as one process sees them, read again when the file changed."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._stamp: tuple[int, int] | None = None
        self._held: list[Rule] = []

    def rules(self) -> list[Rule]:
        stamp = self._now()
        if stamp != self._stamp:
            self._held = list_rules(self._state_dir)
            self._stamp = stamp
        return self._held

    def _now(self) -> tuple[int, int] | None:
        try:
            status = faults_file(self._state_dir).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns


def _read(state_dir: Path) -> dict[str, Any]:
    held = read_json(faults_file(state_dir))
    return held if isinstance(held, dict) else {"last_id": 0, "rules": []}


def _rules(held: dict[str, Any]) -> list[Rule]:
    return [
        Rule(
            **{
                **rule,
                "behaviour": Behaviour(rule["behaviour"]),
                "operation": Operation(rule["operation"]) if rule["operation"] else None,
            },
        )
        for rule in held["rules"]
    ]


def _write(state_dir: Path, rules: list[Rule], last_id: int) -> None:
    write_json(faults_file(state_dir), {"last_id": last_id, "rules": [asdict(rule) for rule in rules]})


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    path = faults_file(state_dir).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
