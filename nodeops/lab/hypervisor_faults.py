"""The faults of the simulated hosts, set, listed and cleared while the lab runs: `faults/hypervisor.json`.

    rule = add_rule(state_dir, Rule(Behaviour.FAIL_COPY, server="web-1", target="c03", at=0.3, times=1))
    list_rules(state_dir); remove_rule(state_dir, rule.rule_id); clear_rules(state_dir)

nova-compute reads the file again whenever it changed. `times` is counted by files that only one process can
create, so that it holds over all hosts.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodeops.lab.hypervisor.behaviour import Behaviour, Operation, Rule
from nodeops.lab.numbered_file import Followed, NumberedFile


def faults_file(state_dir: Path) -> Path:
    return state_dir / "faults" / "hypervisor.json"


def add_rule(state_dir: Path, rule: Rule) -> Rule:
    """Set the fault and return it with the id it was given; a rule set later never takes over an old id."""
    return _file(state_dir).add(rule)


def list_rules(state_dir: Path) -> list[Rule]:
    """Return the rules in the order they were set."""
    return _file(state_dir).all()


def remove_rule(state_dir: Path, rule_id: int) -> bool:
    """Clear one fault; return whether it was there."""
    return _file(state_dir).remove(rule_id)


def clear_rules(state_dir: Path) -> int:
    """Clear all faults; return how many there were."""
    return _file(state_dir).clear()


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
        self._followed = Followed(_file(state_dir))

    def rules(self) -> list[Rule]:
        self._followed.refresh()
        return self._followed.values


def _file(state_dir: Path) -> NumberedFile[Rule]:
    return NumberedFile(
        faults_file(state_dir),
        numbered=lambda rule, number: replace(rule, rule_id=number),
        restored=_restored,
    )


def _restored(held: Mapping[str, Any]) -> Rule:
    operation = Operation(held["operation"]) if held["operation"] else None
    return Rule(**{**held, "behaviour": Behaviour(held["behaviour"]), "operation": operation})
