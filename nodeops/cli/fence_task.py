"""A host's power is cut, as a task: shown, asked, journaled, looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from nodeops.actions.action import Action
from nodeops.actions.fence import Fence
from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.inquiring import inquire
from nodeops.cli.task import Task
from nodeops.engine.journal import RunInfo
from nodeops.engine.signals import Stop
from nodeops.errors import ConfigurationError
from nodeops.gather import find_host
from nodeops.model.facts import Inquest, Life, Server
from nodeops.outcome import Outcome, ServerResult, StepResult
from nodeops.plan import Finding, Plan
from nodeops.runbooks.fence import judge_fence, plan_fence
from nodeops.runbooks.options import MoveOptions, cloud_key
from nodeops.runbooks.signs import FRESH

PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class FenceFacts:
    inquest: Inquest
    servers: tuple[Server, ...]
    cloud: str


@dataclass(frozen=True, slots=True)
class Fencing(Task[FenceFacts]):
    runbook: ClassVar[str] = "fence"
    host: str
    confirmed: str = ""
    """`HOST@DIGEST` from the command line."""
    options: MoveOptions = field(default_factory=MoveOptions)

    @property
    def limits(self) -> MoveOptions:
        return self.options

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        return cls(plan.host)

    def actions(self, desk: Desk) -> Mapping[str, Action]:
        return {"fence": Fence(desk.power_switch())}

    def gather(self, desk: Desk, before: RunInfo | None) -> FenceFacts:  # noqa: ARG002 - power has no history
        """Raises `ConfigurationError` for a host that nothing here can power off."""
        view = desk.world()
        find_host(self.host, view.hosts())
        place = desk.inventory().place(self.host)
        if place is None or not place.fence_command:
            raise ConfigurationError(
                f"{self.host}: no fence command is configured",
                hint="Write nodeops_fence_command in the inventory (docs/configuration.md shows examples), "
                "or power it off by hand and read the state back.",
            )
        return FenceFacts(inquire(desk, self.host), view.servers_on(self.host), cloud_key(view.identity()))

    def plan(self, facts: FenceFacts) -> Plan:
        return plan_fence(facts.inquest, facts.servers, facts.cloud)

    def judge(
        self, desk: Desk, plan: Plan, results: Sequence[StepResult]
    ) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
        return (), judge_fence(inquire(desk, plan.host), results)

    def question(self, plan: Plan) -> str:
        return f"fence {plan.host}: power it off now? What runs there ends without being shut down."

    def confirm(self, plan: Plan, words: str, *, yes: bool) -> None:
        """`--yes` is not enough for a host that lives."""
        if self.confirmed or any(finding.code == "fences-living-host" for finding in plan.findings):
            why = f"{plan.host} lives, and --yes is not enough"
            ask.confirm_by_name(plan, words, confirmed=self.confirmed, why=why)
        else:
            ask.confirm(plan, words, yes=yes)

    def success(self, outcome: Outcome) -> str:  # noqa: ARG002 - there are no servers in it
        return f"{self.host} is powered off, seen twice"


def settled(desk: Desk, host: str) -> Inquest:
    """The inquest, once heartbeats sent before the power went are too old to speak against it."""
    clock = desk.clock(Stop())
    begun = clock.now()
    while True:
        inquest = inquire(desk, host, quiet=True)
        lives = any(sign.life is Life.ALIVE for sign in inquest.signs)
        if not lives or clock.now() - begun > FRESH + 2 * PAUSE:
            return inquest
        words = f"{host}: off; heartbeats from before must grow older than {FRESH:.0f} s"
        desk.err().print(words, soft_wrap=True)
        clock.sleep(PAUSE)
