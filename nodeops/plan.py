"""A plan as data: steps, refusals, findings and what is said of every server.

A plan is made by a runbook out of facts and options, shown, approved, written to a file, run and resumed.
It holds no clock and no client; two plans for the same world and the same options have the same digest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
StepId: TypeAlias = str

BEFORE = "before"
"""A param that says how it was, and nothing of what is to be done: two plans may differ in it."""
PLAN_VERSION = 1
"""Raised when a plan file of an older nodeops can no longer be applied."""


class Risk(IntEnum):
    """What a step may cost the guest; allowing one allows those below it."""

    SAFE = 0
    """Nothing a guest can notice."""
    LIVE = 1
    """A live migration: a short pause."""
    REBOOT = 2
    """The guest is powered off, or loses its memory."""
    FORCE = 3
    """Nova's checks are overridden or its records are rewritten."""


class Verdict(StrEnum):
    """How it ended for one server."""

    MOVED = "MOVED"
    DONE = "DONE"
    """Mended or restored where that was the work, and seen to be so."""
    LEFT = "LEFT"
    ROLLED_BACK = "ROLLED BACK"
    SPLIT = "SPLIT"
    UNKNOWN = "UNKNOWN"

    @property
    def good(self) -> bool:
        """What was to be done is done."""
        return self in {Verdict.MOVED, Verdict.DONE}


class Action(StrEnum):
    """What is done about a server, in the words of the report."""

    LIVE_MIGRATE = "live-migrate"
    BLOCK_MIGRATE = "block-migrate"
    COLD_MIGRATE = "cold-migrate"
    CONFIRM_RESIZE = "confirm-resize"
    EVACUATE = "evacuate"
    REWRITE = "rewrite"
    """Its records in the databases, from a dead host to another one."""
    RESTORE = "restore"
    """What a rewrite changed is put back."""
    MEND = "mend"
    """A left-over is removed, or a volume attached anew; it stays where it is."""
    START = "start"
    """It ran before its host went down, and runs again."""
    SHELVE_OFFLOAD = "shelve-offload"
    WAIT = "wait"
    NONE = "none"


class Level(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    """The plan cannot be run while this stands."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one subject: what and why, never how."""

    id: StepId
    """`<action>:<subject id>`: the same work has the same id on every re-plan."""
    action: str
    """The key into the registry of `nodeops.actions`."""
    subject_id: str
    subject_name: str
    why: str
    risk: Risk
    params: Mapping[str, Json] = field(default_factory=dict)
    needs: tuple[StepId, ...] = ()
    gates: tuple[str, ...] = ()
    source: str | None = None
    """The host this step loads on the way out; counted against `--parallel`."""
    target: str | None = None
    """The host this step loads on the way in; counted against `--inbound`."""
    expected_seconds: float = 0.0
    budget_seconds: float = 60.0
    """After this long without an end the step is stuck."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a server is not touched, and what would allow it."""

    refusal_class: str
    """A name of `nodeops.runbooks.classes`, such as `local-disk`."""
    reason: str
    override: str | None = None
    """The option that allows it, such as `--allow local-disk`; None when nothing does."""
    risk: Risk | None = None
    """What allowing it costs."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What a plan says of one server; every server of the host has exactly one."""

    id: str
    name: str
    status: str
    action: Action
    target: str | None = None
    refusals: tuple[Refusal, ...] = ()
    """Not empty: the server is left where it is."""
    why: str = ""
    risk: Risk = Risk.SAFE
    expected_seconds: float = 0.0
    ram_mb: int = 0
    disk_gb: int = 0
    """What has to be copied besides memory; 0 on shared storage."""
    state: Mapping[str, Json] = field(default_factory=dict)
    """The state to be found again afterwards: vm_state, power_state, locked."""

    @property
    def refused(self) -> bool:
        return bool(self.refusals)

    @property
    def expected_verdict(self) -> Verdict:
        """What the run will say if the world holds still."""
        if self.refused or self.action is Action.NONE:
            return Verdict.LEFT
        in_place = {Action.RESTORE, Action.MEND, Action.START}
        return Verdict.DONE if self.action in in_place else Verdict.MOVED


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the operator should know that is no refusal of one server."""

    level: Level
    code: str
    """A stable name, such as `no-room`, `host-disabled-by-other`, `window-too-short`."""
    words: str
    hint: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class TargetLoad:
    """A host that receives servers, before and after."""

    host: str
    zone: str
    servers_in: int
    before: Mapping[str, tuple[int, int]]
    """Resource class -> (used, capacity)."""
    after: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a runbook means to do, whole."""

    runbook: str
    host: str
    cloud: str
    """The cloud's identity: authentication URL and region."""
    options: Mapping[str, Json]
    """The runbook's options, so that the same command can be planned again."""
    steps: tuple[Step, ...]
    servers: tuple[ServerPlan, ...]
    findings: tuple[Finding, ...] = ()
    targets: tuple[TargetLoad, ...] = ()
    fits: bool = True
    """Whether every server that is to be moved has a place, all of them together."""
    expected_seconds: float = 0.0
    version: int = PLAN_VERSION

    @property
    def refused(self) -> tuple[ServerPlan, ...]:
        return tuple(server for server in self.servers if server.refused)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over what would be done; expected times and findings do not count."""
        body = {
            "version": self.version,
            "runbook": self.runbook,
            "host": self.host,
            "cloud": self.cloud,
            "options": dict(self.options),
            "steps": [_essence(step) for step in sorted(self.steps, key=lambda step: step.id)],
            "servers": [
                [server.id, server.action, server.target, [r.refusal_class for r in server.refusals]]
                for server in sorted(self.servers, key=lambda server: server.id)
            ],
        }
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _essence(step: Step) -> dict[str, Any]:
    essence = asdict(step)
    for name in ("why", "expected_seconds", "budget_seconds"):
        del essence[name]
    essence["params"] = {key: value for key, value in step.params.items() if key != BEFORE}
    return essence
