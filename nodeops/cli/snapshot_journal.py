"""What the journal has of one server's image: a run of its own, so that any later command finds it."""

from dataclasses import dataclass

from nodeops.cli.desk import Desk
from nodeops.cli.perform import command_line
from nodeops.engine.clock import Clock
from nodeops.engine.journal import RunInfo, Who
from nodeops.engine.record import RunRecord
from nodeops.errors import FailedError, HostBusyError, NotVerifiedError, OutcomeUnknownError
from nodeops.model.facts import Server
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Action, Json, Plan, Risk, ServerPlan, Step, Verdict
from nodeops.report.figures import moment
from nodeops.runbooks.options import cloud_key

RUNBOOK = "snapshot"
BEFORE, IMAGE, AFTER, PRUNE = "before", "image", "after", "prune"
_UNTOUCHED = frozenset({StepState.PENDING, StepState.SKIPPED, StepState.BLOCKED})


@dataclass(frozen=True, slots=True)
class Past:
    """What a run that was killed or interrupted left of one server."""

    run_id: str
    asked: bool
    """An image was asked for; whether one is being made only Glance tells."""
    owed: str
    """The command that is to be run once Nova is done with the disk; empty when it was run."""
    request_id: str = ""
    began: float = 0.0
    early: bool = False
    """That command was run while Nova still read the disk."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The journal, as snapshots use it."""

    desk: Desk

    def past(self, server: Server) -> Past | None:
        """Raises `HostBusyError` when somebody makes an image of it now."""
        info = self._unfinished(server)
        if info is None:
            return None
        rows = {row.step.action: row for row in self.desk.journal().steps(info.id)}
        states = {action: row.state for action, row in rows.items()}
        touched = {action for action, state in states.items() if state not in _UNTOUCHED}
        options = info.plan.options
        owed = bool(options.get("owed")) or bool({BEFORE, IMAGE} & touched)
        paid = states.get(AFTER) in {StepState.DONE, StepState.FAILED}
        return Past(
            info.id,
            asked=IMAGE in touched or bool(options.get("asked")),
            owed="" if paid or not owed else str(options.get(AFTER) or ""),
            request_id=rows[IMAGE].request_id if IMAGE in rows else "",
            began=info.started,
            early=paid and states.get(IMAGE) is StepState.UNKNOWN,
        )

    def _unfinished(self, server: Server) -> RunInfo | None:
        info = self.desk.journal().unfinished(self.cloud, server.id)
        if info is not None and info.owner_alive:
            who = info.owner.words if info.owner else info.user
            raise HostBusyError(
                f"server {server.name} ({server.id}): run {info.id} of {who} makes an image of it since "
                f"{moment(info.owner_since)}",
                hint=f"Wait for it; nodeops show {info.id} tells what it does.",
            )
        return info

    @property
    def cloud(self) -> str:
        return cloud_key(self.desk.world().identity())

    def begin(
        self, server: Server, name: str, commands: tuple[str, str], past: Past | None, clock: Clock
    ) -> "Entry":
        """Take the server's lock; raises `HostBusyError`."""
        plan = plan_of(server, name, self.cloud, commands, past)
        who = Who.here(self.desk.world().identity().user, command_line())
        return Entry(self.desk.journal().begin(plan, who), plan, clock, clock.now())


def plan_of(
    server: Server, name: str, cloud: str, commands: tuple[str, str], past: Past | None = None
) -> Plan:
    """The steps of one server; what an earlier part of the run owes stands in the options from the start."""
    before, after = commands
    options: dict[str, Json] = {BEFORE: before, AFTER: after, "name": name}
    if past is not None:
        options |= {AFTER: after or past.owed, "owed": bool(past.owed), "asked": past.asked}
    words = {
        BEFORE: f"run {before}" if before else "",
        IMAGE: f"make image {name}",
        AFTER: f"run {options[AFTER]}" if options[AFTER] else "",
        PRUNE: "delete images that are too many",
    }
    steps = tuple(
        Step(f"{action}:{server.id}", action, server.id, server.name, why, Risk.LIVE)
        for action, why in words.items()
        if why
    )
    entry = ServerPlan(server.id, server.name, server.status, Action.NONE, why=f"make image {name}")
    return Plan(RUNBOOK, server.id, cloud, options, steps, (entry,))


@dataclass(slots=True)
class Entry:
    """One server's run while it goes on."""

    record: RunRecord
    plan: Plan
    clock: Clock
    began: float

    @property
    def id(self) -> str:
        return self.record.id

    def sending(self, action: str) -> None:
        step = self._step(action)
        if step is not None:
            self.record.sending(step, 1, self.clock.now())

    def answered(self, action: str, request_id: str) -> None:
        step = self._step(action)
        if step is not None:
            self.record.answered(step, request_id)

    def ended(self, action: str, state: StepState, words: str = "", seconds: float = 0.0) -> None:
        step = self._step(action)
        if step is not None:
            result = StepResult(
                step.id, step.subject_id, action, state, words, attempts=1, seconds=round(seconds, 3)
            )
            self.record.ended(step, result)

    def note(self, words: str) -> None:
        self.record.note(RUNBOOK, words)

    def finish(self, verdict: Verdict, words: str, request_id: str, seconds: float, *, wrong: bool) -> None:
        """The run is over; one whose end was not seen is left for the next command to finish."""
        server = self.plan.servers[0]
        result = ServerResult(
            server.id,
            server.name,
            RUNBOOK,
            verdict,
            reason=words,
            request_id=request_id,
            seconds=round(seconds, 3),
        )
        outcome = Outcome(self.id, self.plan, (result,), started=self.began, ended=self.clock.now())
        if verdict is Verdict.UNKNOWN:
            self.record.leave(OutcomeUnknownError.exit_code, words, outcome)
        elif verdict is Verdict.DONE:
            self.record.finish(outcome, NotVerifiedError.exit_code if wrong else 0)
        else:
            self.record.finish(outcome, FailedError.exit_code)

    def _step(self, action: str) -> Step | None:
        return next((step for step in self.plan.steps if step.action == action), None)
