"""What the commands on addresses share: looking a port up, asking, and the journal around each change."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar

from nodeops.cli import ask, refusal
from nodeops.cli.desk import Desk
from nodeops.cli.host_run import Changes
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.perform import command_line
from nodeops.cli.showing import Shown, show
from nodeops.engine.clock import Clock
from nodeops.engine.journal import RunInfo, Who
from nodeops.engine.record import RunRecord
from nodeops.errors import ApiError, GoneError, NodeopsError, OutcomeUnknownError, UsageError
from nodeops.model.addresses import AddressPort, AddressWorld, made_by_nova
from nodeops.model.facts import Server
from nodeops.model.states import moment
from nodeops.outcome import Outcome
from nodeops.plan import Json, Plan, Risk, Step
from nodeops.report.address_view import PortLine, port_document, ports_markdown, ports_table
from nodeops.report.console import line
from nodeops.runbooks.options import cloud_key

Value = TypeVar("Value")
PAUSE = 0.5
"""Seconds between two looks at a port that is being attached or detached."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, in words, before it is made."""

    action: str
    words: str
    risk: Risk = Risk.SAFE


@dataclass
class Errand:
    """One command on addresses."""

    desk: Desk
    world: AddressWorld
    clock: Clock
    manner: Manner = field(default_factory=Manner)

    @property
    def key(self) -> str:
        return cloud_key(self.desk.world().identity())

    # -- looking

    def line(self, port: AddressPort) -> PortLine:
        """With what surrounds it."""
        floating = self.world.floating_of([port.id])
        if not port.device_id:
            return PortLine(port, "", floating)
        server = self.world.server_by_id(port.device_id)
        if server is None:
            return PortLine(port, f"{port.device_owner} {port.device_id}", floating)
        return PortLine(port, f"{server.name}", floating, not self.nova_made(port, server))

    def nova_made(self, port: AddressPort, server: Server) -> bool:
        return made_by_nova(port, server, self.world.asked(server.id), moment(port.created))

    def unfinished(self, subject: str) -> RunInfo | None:
        """A run on this address that has not come to its end; raises `HostBusyError` while it lives."""
        run = self.desk.journal().unfinished(self.key, subject)
        if run and run.owner_alive and not self.manner.dry_run:
            raise refusal.held(subject, run)
        return run

    # -- asking

    def plan(self, runbook: str, subject: str, changes: Sequence[Change], **options: Json) -> Plan:
        steps: list[Step] = []
        for change in changes:
            needs = (steps[-1].id,) if steps else ()
            step_id = f"{change.action}:{subject}:{len(steps)}"
            steps.append(
                Step(step_id, change.action, subject, subject, change.words, change.risk, needs=needs)
            )
        return Plan(runbook, subject, self.key, options, tuple(steps), ())

    def agreed(self, plan: Plan, question: str) -> bool:
        """Show what would be changed and ask; False for a dry run. Raises `DeclinedError`."""
        console = self.desk.out() if self.manner.output is Format.TABLE else self.desk.err()
        console.print(line((f"{plan.runbook.replace('-', ' ')} {plan.host}", "head")))
        for step in plan.steps:
            console.print(line("  ", step.why), soft_wrap=True)
        if self.manner.dry_run:
            return False
        ask.confirm(plan, question, yes=self.manner.yes)
        return True

    def say(self, words: str) -> None:
        self.desk.err().print(words, soft_wrap=True)

    # -- telling

    def result(self, command: str, ports: Sequence[AddressPort], *, changed: bool, words: str) -> None:
        """The command's result."""
        lines = [self.line(port) for port in ports]
        document = {
            "command": command,
            "dry_run": self.manner.dry_run,
            "changed": changed,
            "words": words,
            "exit_code": 0,
            "ports": [port_document(each) for each in lines],
            "error": None,
        }
        shown = Shown(
            lambda: document,
            lambda: ports_markdown(lines) + f"\n{words}\n",
            lambda _width: [*([ports_table(lines)] if lines else []), line((words, "head"))],
        )
        show(self.desk, self.manner.output, shown)

    # -- waiting

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to hold in time; a look that fails is no answer."""
        deadline = self.clock.now() + seconds
        while True:
            try:
                if holds():
                    return True
            except ApiError as error:
                if self.clock.now() >= deadline:
                    raise OutcomeUnknownError(error.message, hint=error.hint) from error
            if self.clock.now() >= deadline:
                return False
            self.clock.sleep(PAUSE)

    @contextmanager
    def running(self, plan: Plan) -> Iterator["AddressRun"]:
        """The journal around the changes: finished when it ends in words, left to be gone on with else."""
        who = Who.here(self.desk.world().identity().user, command_line())
        record = self.desk.journal().begin(plan, who)
        run = AddressRun(record, plan, self.clock, self.clock.now())
        with ExitStack() as otherwise:
            otherwise.callback(record.leave, OutcomeUnknownError.exit_code, "ended in the middle")
            try:
                yield run
            except NodeopsError as error:
                otherwise.pop_all()
                if run.settled:
                    run.finish(error.exit_code)
                else:
                    record.leave(error.exit_code, error.message)
                raise
            otherwise.pop_all()
            run.finish(0)


@dataclass
class AddressRun:
    """Changes that are written down before they are made."""

    record: RunRecord
    plan: Plan
    clock: Clock
    began: float
    settled: bool = False
    """Whether an error leaves nothing to go on with."""

    def make(self, action: str, change: Callable[[], Value]) -> Value:
        """One change; raises what it raises."""
        step = next(step for step in self.plan.steps if step.action == action)
        return Changes(self.record, self.clock.now).make(step, change)

    def note(self, words: str) -> None:
        self.record.note("address", words)

    def finish(self, exit_code: int) -> None:
        now = self.clock.now()
        outcome = Outcome(self.record.id, self.plan, (), started=self.began, ended=now)
        self.record.finish(outcome, exit_code)


def is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def checked_address(word: str) -> str:
    """In Neutron's spelling. Raises `UsageError`."""
    try:
        return str(ip_address(word))
    except ValueError:
        raise UsageError(f"{word!r} is no IP address", hint="Write it as 10.0.0.5 or 2001:db8::5.") from None


def one_port(ports: Sequence[AddressPort], address: str) -> AddressPort:
    """The port that has the address; raises `GoneError` or `UsageError`."""
    if not ports:
        raise GoneError(
            f"address {address}: no port has it",
            hint=f"nodeops address rescue NETWORK {address} wins it back.",
        )
    if len(ports) > 1:
        networks = ", ".join(port.network_id for port in ports[:3])
        raise UsageError(
            f"address {address}: {len(ports)} ports have it, on networks {networks}",
            hint="Name the port's id instead of the address.",
        )
    return ports[0]


def busy(server: Server) -> str:
    """Why its ports must not be touched now, in words; empty when they may."""
    if server.task_state is not None:
        return f"server {server.name} ({server.id}) is in task {server.task_state}"
    if server.vm_state not in {"active", "paused", "stopped"}:
        return f"server {server.name} ({server.id}) is {server.status}"
    return ""


def as_json(value: Any) -> Json:
    """What was built of plain values."""
    found: Json = value
    return found
