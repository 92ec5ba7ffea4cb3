"""How a simulated host misbehaves: rules that match an operation, a server and a host, and what they say.

A rule comes from the lab's fault file (`nodeops.lab.hypervisor_faults`) or from the server itself, by its
metadata key `nodeops:behaviour`, for instance `never-converge` or `slow:factor=5;fail-copy:at=0.3`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nodeops.lab.hypervisor.migration import Hindrance

BEHAVIOUR_KEY = "nodeops:behaviour"
RATE_KEY = "nodeops:migration-rate"
SNAPSHOT_KEY = "nodeops:snapshot-seconds"
SLOW_FACTOR = 5.0
HALF_WAY = 0.5


class Behaviour(StrEnum):
    """What goes wrong. The words after the colon are the options that matter."""

    SLOW = "slow"
    """Takes `factor` times as long, and `seconds` more."""
    NEVER_CONVERGE = "never-converge"
    """A live migration copies on and on until it is aborted or force-completed."""
    HANG = "hang"
    """Stands still (a copy at `at`), whatever is asked of it, until the rule is cleared."""
    REFUSE = "refuse"
    """The target says no when Nova asks beforehand."""
    BREAK_CHECK = "break-check"
    """The target's check breaks in a way Nova does not expect: the server ends in ERROR although it runs."""
    FAIL_BEFORE = "fail-before"
    """Fails after it was accepted and before anything is copied."""
    FAIL_COPY = "fail-copy"
    """Breaks in mid-copy, at `at`; a live migration rolls back."""
    FAIL_AFTER = "fail-after"
    """Fails at the target when the copy is done."""
    SPLIT = "split"
    """A live migration whose record says completed and whose guest runs at the target, while Nova's row stays
    at the source with the task still `migrating`."""


class Operation(StrEnum):
    """What a rule may be limited to."""

    LIVE_MIGRATION = "live-migration"
    COLD_MIGRATION = "cold-migration"
    EVACUATE = "evacuate"
    """Also a rebuild in place."""
    BOOT = "boot"
    UNSHELVE = "unshelve"
    SNAPSHOT = "snapshot"
    """Also the upload of a shelve."""
    POWER_ON = "power-on"
    POWER_OFF = "power-off"
    REBOOT = "reboot"
    SUSPEND = "suspend"
    RESUME = "resume"
    ATTACH_VOLUME = "attach-volume"
    DETACH_VOLUME = "detach-volume"
    DELETE = "delete"


MOVES = frozenset({Operation.LIVE_MIGRATION, Operation.COLD_MIGRATION, Operation.EVACUATE})


@dataclass(frozen=True, slots=True)
class Subject:
    """One operation under way, as rules are matched against it."""

    operation: Operation
    server_id: str
    server_name: str
    source: str | None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What goes wrong, and for what; a server or host that is None matches all of them."""

    behaviour: Behaviour
    rule_id: int = 0
    operation: Operation | None = None
    """None: every move, that is live migration, cold migration and evacuation."""
    server: str | None = None
    """A server's id or name."""
    host: str | None = None
    """A host on either end."""
    source: str | None = None
    target: str | None = None
    factor: float = SLOW_FACTOR
    seconds: float = 0.0
    at: float = HALF_WAY
    times: int | None = None
    """How often the rule strikes; None is always."""
    message: str = ""

    @property
    def number(self) -> int:
        return self.rule_id

    def matches(self, subject: Subject) -> bool:
        return (
            (self.operation is subject.operation if self.operation else subject.operation in MOVES)
            and self.server in {None, subject.server_id, subject.server_name}
            and self.host in {None, subject.source, subject.target}
            and self.source in {None, subject.source}
            and self.target in {None, subject.target}
        )

    @property
    def words(self) -> str:
        """What the hypervisor says when this rule makes it fail."""
        return self.message or f"simulated fault {self.behaviour} (rule {self.rule_id})"


def rules_of_metadata(metadata: Mapping[str, str]) -> list[Rule]:
    """Return the rules a server carries itself; what cannot be read is left out."""
    rules = []
    for part in metadata.get(BEHAVIOUR_KEY, "").split(";"):
        rule = _rule_of_text(part.strip())
        if rule is not None:
            rules.append(rule)
    return rules


def _rule_of_text(text: str) -> Rule | None:
    name, _, options = text.partition(":")
    values = dict(option.split("=", 1) for option in options.split(",") if "=" in option)
    try:
        return Rule(
            behaviour=Behaviour(name),
            operation=Operation(values["operation"]) if "operation" in values else None,
            host=values.get("host"),
            source=values.get("source"),
            target=values.get("target"),
            factor=float(values.get("factor", SLOW_FACTOR)),
            seconds=float(values.get("seconds", 0.0)),
            at=float(values.get("at", HALF_WAY)),
            message=f"simulated fault {name} (server metadata)",
        )
    except ValueError:
        return None


def number_of_metadata(metadata: Mapping[str, str], key: str, otherwise: float) -> float:
    """Return the positive number a server's metadata gives for the key, or `otherwise`."""
    try:
        value = float(metadata.get(key, otherwise))
    except ValueError:
        return otherwise
    return value if value > 0 else otherwise


def first(rules: Iterable[Rule], behaviour: Behaviour, subject: Subject) -> Rule | None:
    """Return the first rule of this behaviour that matches the subject."""
    return next((rule for rule in rules if rule.behaviour is behaviour and rule.matches(subject)), None)


def hindrance(rules: Iterable[Rule], subject: Subject) -> Hindrance:
    """Return what all matching rules together do to a running copy."""
    matching = [rule for rule in rules if rule.matches(subject)]
    slower = 1.0
    for rule in matching:
        if rule.behaviour is Behaviour.SLOW:
            slower *= max(rule.factor, 0.001)
    found = {rule.behaviour: rule for rule in reversed(matching)}
    hang, fail = found.get(Behaviour.HANG), found.get(Behaviour.FAIL_COPY)
    return Hindrance(
        slower=slower,
        converging=Behaviour.NEVER_CONVERGE not in found,
        frozen_at=hang.at if hang else None,
        fails_at=fail.at if fail else None,
    )
