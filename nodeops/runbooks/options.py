"""What an operator can choose about a drain and its way back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nodeops.model.blackout import Way
from nodeops.model.facts import Identity
from nodeops.plan import Json, Plan, Risk


class OnStuck(StrEnum):
    """What to do with a migration that is over its budget."""

    ABORT = "abort"
    FORCE_COMPLETE = "force-complete"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """Choices common to a drain and to giving back."""

    allow: frozenset[str] = frozenset()
    """Refusal classes that are overridden."""
    risk: Risk = Risk.LIVE
    """Every refusal whose override costs at most this is overridden too."""
    to: tuple[str, ...] = ()
    """Only these hosts may receive."""
    scheduler: bool = False
    """Nova chooses each target."""
    parallel: int | None = None
    """Most migrations in flight out of one host; None: as many as Nova runs at once there, and one queued."""
    inbound: int = 2
    """Most migrations in flight into one host."""
    canary: bool = True
    on_stuck: OnStuck = OnStuck.ABORT
    retries: int = 2
    """Further attempts per server after the first."""
    max_failures: int | None = 3
    """Stop starting new moves after this many servers failed; None: never."""
    rate_mib: float | None = None
    """MiB/s of one migration; None: the inventory's, else what the journal learnt, else a default."""
    budget_factor: float = 5.0
    """A server's budget is this many times its expected duration, and a minimum."""
    probe: Way = Way.NONE
    """How the blackout of each guest that moves is measured."""
    leave_refused: bool = False
    """Go on with the others although some servers are refused."""
    prefer: Mapping[str, str] = field(default_factory=dict)
    """Server id -> target of an earlier plan, kept where it is still good."""


PLAN_FIELDS = (
    "allow",
    "risk",
    "to",
    "scheduler",
    "parallel",
    "inbound",
    "canary",
    "on_stuck",
    "retries",
    "max_failures",
    "rate_mib",
    "budget_factor",
    "leave_refused",
)
"""What every plan keeps of the options; newer ones have `probe` too, and `prefer` only steers the choice."""


def options_json(options: MoveOptions) -> dict[str, Json]:
    """The options as a plan keeps them."""
    return {
        "allow": [*sorted(options.allow)],
        "risk": options.risk.name.lower(),
        "to": list(options.to),
        "scheduler": options.scheduler,
        "parallel": options.parallel,
        "inbound": options.inbound,
        "canary": options.canary,
        "on_stuck": options.on_stuck.value,
        "retries": options.retries,
        "max_failures": options.max_failures,
        "rate_mib": options.rate_mib,
        "budget_factor": options.budget_factor,
        "leave_refused": options.leave_refused,
        "probe": options.probe.value,
    }


def options_of(plan: Plan) -> MoveOptions:
    """The options a plan was made with; its targets are preferred when it is planned again.

    Raises `KeyError`, `TypeError` or `ValueError` for a plan that no runbook made.
    """
    said: dict[str, Any] = {name: plan.options[name] for name in PLAN_FIELDS}
    said |= {
        "allow": frozenset(said["allow"]),
        "risk": Risk[said["risk"].upper()],
        "to": tuple(said["to"]),
        "on_stuck": OnStuck(said["on_stuck"]),
        "probe": Way(str(plan.options.get("probe", Way.NONE))),  # plans of before have none
        "prefer": {server.id: server.target for server in plan.servers if server.target},
    }
    return MoveOptions(**said)


def cloud_key(identity: Identity) -> str:
    """What ties a plan and a run to a cloud: the authentication URL and the region."""
    return f"{identity.auth_url} {identity.region}".strip()
