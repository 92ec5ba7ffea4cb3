"""One run in the journal, for the process that holds its lock.

Each write is fenced by the lock and on disk when it returns.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, Update, bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from nodeops.engine import schema
from nodeops.engine.encoding import decode_server_plan, decode_step, encode
from nodeops.engine.lock import Heartbeat, Owner
from nodeops.errors import JournalLostError, LockLostError
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Plan, Step, StepId, Verdict


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as the journal has it. `sent_at` without an end is what has to be looked at after a crash."""

    step: Step
    """As it was last sent: with the target of that attempt."""
    state: StepState
    attempt: int
    answered: bool
    """Nova's answer to the last request was written down."""
    request_id: str
    sent_at: float | None
    result: StepResult


class RunRecord:
    """What the executor writes, and what an earlier part of the same run left.

    Every write first proves that this process still holds the lock and raises LockLostError otherwise, and
    JournalLostError when the database fails: after either nothing may be sent.
    """

    def __init__(
        self,
        engine: Engine,
        run_id: str,
        owner: Owner,
        plan: Plan,
        now: Callable[[], float],
        *,
        resumed: bool,
    ) -> None:
        self.id = run_id
        self.owner = owner
        self.plan = plan
        self.resumed = resumed
        """An earlier part of this run was interrupted or killed."""
        self._engine = engine
        self._now = now
        self._heartbeat = Heartbeat(self._beat)
        self._shared: Connection | None = None

    @property
    def reason(self) -> str:
        """What a host's `disabled_reason` is set to."""
        return f"nodeops {self.id} by {self.owner.user}@{self.owner.machine}: {self.plan.runbook}"

    # -- before the run

    def write_plan(self, plan: Plan) -> None:
        """Write the steps and servers of this plan down, keeping what an earlier part of the run left.

        A step of that part which was sent and not seen to end stays as it was sent; every other one begins
        anew. A server keeps the state it had when this run first saw it.
        """
        with self._fenced() as connection:
            known = {row.step_id: row for row in connection.execute(self._of(schema.steps))}
            new = []
            for position, step in enumerate(plan.steps):
                row = known.get(step.id)
                if row is None:
                    place = {"run_id": self.id, "step_id": step.id, "position": position}
                    new.append(place | _fresh(step))
                elif row.state not in {StepState.SENT, StepState.UNKNOWN}:
                    self._update_step(connection, step.id, **_fresh(step))
            _insert_all(connection, schema.steps, new)
            self._write_servers(connection, plan)

    def start_heartbeat(self) -> None:
        self._heartbeat.start()

    # -- during the run

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written within is one transaction: on disk, all of it, when this ends.

        Nothing slow may happen within: other processes that use the journal wait.
        """
        with self._fenced() as connection:
            self._shared = connection
            try:
                yield
            finally:
                self._shared = None

    def rows(self) -> Mapping[StepId, StepRow]:
        """Every step of the run, those of earlier parts too."""
        with self._fenced() as connection:
            return read_steps(connection, self.id)

    def sending(self, step: Step, attempt: int, at: float) -> None:
        """Write down that the step is about to be sent: after this it counts as sent."""
        values = _fresh(step) | {"state": StepState.SENT.value, "attempt": attempt, "sent_at": at}
        with self._fenced() as connection:
            self._update_step(connection, step.id, **values)
            self._event(connection, "sending", step.id, f"attempt {attempt} to {step.target or 'any host'}")

    def answered(self, step: Step, request_id: str) -> None:
        """Nova took the request."""
        with self._fenced() as connection:
            self._update_step(connection, step.id, answered=True, request_id=request_id)
            self._event(connection, "sent", step.id, step.target or "", request_id)

    def not_sent(self, step: Step, attempt: int, words: str) -> None:
        """Nova refused the request, or an attempt ended without effect: the step may be sent again."""
        with self._fenced() as connection:
            self._update_step(connection, step.id, **_fresh(step) | {"attempt": attempt, "words": words})
            self._event(connection, "retry", step.id, words)

    def ended(self, step: Step, result: StepResult) -> None:
        """The step has come to its end."""
        with self._fenced() as connection:
            self._update_step(
                connection,
                step.id,
                step=encode(step),
                state=result.state.value,
                attempt=result.attempts,
                request_id=result.request_id,
                ended_at=self._now(),
                seconds=result.seconds,
                target=result.target,
                words=result.words,
                verdict=result.verdict,
            )
            self._event(connection, result.state.value, step.id, result.words, result.request_id)

    def note(self, kind: str, words: str, step_id: str = "") -> None:
        """An event worth keeping: an abort, a signal, a link that was down."""
        with self._fenced() as connection:
            self._event(connection, kind, step_id, words)

    def prove_lock(self) -> None:
        """Raises LockLostError when another process has taken this run over."""
        with self._fenced():
            pass

    # -- after the run

    def finish(self, outcome: Outcome, exit_code: int) -> None:
        """The run has come to its end: its results are kept and the host is free."""
        with self._fenced() as connection:
            self._write_results(connection, outcome)
            self._update_run(
                connection,
                state="finished",
                active_key=None,
                owner_token=None,
                ended=self._now(),
                exit_code=exit_code,
            )
        self._heartbeat.stop()

    def leave(self, exit_code: int, words: str, outcome: Outcome | None = None) -> None:
        """The run stops unfinished, to be resumed by anybody: the lock is free, the host is not."""
        with self._fenced() as connection:
            if outcome is not None:
                self._write_results(connection, outcome)
            self._event(connection, "left", "", words)
            self._update_run(
                connection, state="interrupted", owner_token=None, ended=self._now(), exit_code=exit_code
            )
        self._heartbeat.stop()

    def whole_plan(self) -> Plan:
        """The plan with the servers and steps that earlier parts of this run dealt with.

        This is what is verified and reported: a server that was moved before a crash is not on the host any
        more, so the newest plan does not name it.
        """
        with self._fenced() as connection:
            query = self._of(schema.servers).order_by(schema.servers.c.position)
            earlier = {row.server_id: row for row in connection.execute(query)}
            steps = [decode_step(row.step) for row in connection.execute(self._of(schema.steps))]
        planned = {server.id: server for server in self.plan.servers}
        servers = [
            replace(planned.get(key) or decode_server_plan(row.plan), state=json.loads(row.before_image))
            for key, row in earlier.items()
        ]
        known = {step.id for step in self.plan.steps}
        others = [step for step in steps if step.id not in known]
        return replace(self.plan, servers=tuple(servers), steps=(*self.plan.steps, *others))

    def step_results(self) -> tuple[StepResult, ...]:
        """How every step of the run stands, those of earlier parts too."""
        return tuple(row.result for row in self.rows().values())

    # -- inside

    def _write_servers(self, connection: Connection, plan: Plan) -> None:
        known = {row.server_id for row in connection.execute(self._of(schema.servers))}
        new = []
        for position, server in enumerate(plan.servers, start=len(known)):
            text = encode(server)
            if server.id in known:
                self._update_server(connection, server.id, plan=text)
                continue
            new.append(
                {
                    "run_id": self.id,
                    "server_id": server.id,
                    "position": position,
                    "plan": text,
                    "before_image": json.dumps(dict(server.state)),
                }
            )
        _insert_all(connection, schema.servers, new)

    def _write_results(self, connection: Connection, outcome: Outcome) -> None:
        for result in outcome.servers:
            self._update_server(connection, result.id, result=encode(result))
        findings = [json.loads(encode(finding)) for finding in outcome.findings]
        self._update_run(connection, findings=json.dumps(findings))

    def _of(self, table: Any) -> Any:
        return select(table).where(table.c.run_id == self.id)

    def _update_run(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(schema.runs).where(schema.runs.c.id == self.id).values(**values))

    def _update_step(self, connection: Connection, step_id: StepId, **values: Any) -> None:
        connection.execute(_step_update(frozenset(values)), {"of_run": self.id, "of_step": step_id} | values)

    def _update_server(self, connection: Connection, server_id: str, **values: Any) -> None:
        table = schema.servers
        where = (table.c.run_id == self.id, table.c.server_id == server_id)
        connection.execute(update(table).where(*where).values(**values))

    def _event(
        self, connection: Connection, kind: str, step_id: str, words: str, request_id: str = ""
    ) -> None:
        values = {"run_id": self.id, "at": self._now(), "kind": kind, "step_id": step_id}
        connection.execute(_NEW_EVENT, {**values, "request_id": request_id, "words": words})

    @contextlib.contextmanager
    def _fenced(self) -> Iterator[Connection]:
        """A transaction that only the holder of the lock can make."""
        if self._shared is not None:
            yield self._shared
            return
        try:
            with self._engine.begin() as connection:
                if not self._still_ours(connection):
                    raise LockLostError(
                        f"run {self.id} was taken over by another process",
                        hint=f"see who has it with `nodeops show {self.id}`",
                    )
                yield connection
        except SQLAlchemyError as error:
            raise JournalLostError(
                f"journal {schema.shown(self._engine)} cannot be written: {schema.cause(error)}",
                hint=f"make it writable, then `nodeops resume {self.id}`",
            ) from error

    def _still_ours(self, connection: Connection) -> bool:
        held = (schema.runs.c.id == self.id, schema.runs.c.owner_token == self.owner.token)
        now = schema.database_now(connection)
        # rowcount is of rows found, changed or not: on MariaDB too, where SQLAlchemy asks for FOUND_ROWS
        return connection.execute(update(schema.runs).where(*held).values(heartbeat=now)).rowcount == 1

    def _beat(self) -> bool:
        """Whether to go on beating: a database that fails now may answer the next time."""
        try:
            with self._engine.begin() as connection:
                return self._still_ours(connection)
        except SQLAlchemyError:
            return True


def read_steps(connection: Connection, run_id: str) -> dict[StepId, StepRow]:
    """The steps of a run: those sent in the order of sending, then the others as planned."""
    table = schema.steps
    order = (table.c.sent_at.is_(None), table.c.sent_at, table.c.position)
    rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(*order))
    return {row.step_id: _step_row(row) for row in rows}


_NEW_EVENT = insert(schema.events)


@cache
def _step_update(names: frozenset[str]) -> Update:
    """Of these columns; put together once, since a run has thousands of them."""
    table = schema.steps
    where = (table.c.run_id == bindparam("of_run"), table.c.step_id == bindparam("of_step"))
    return update(table).where(*where).values({name: bindparam(name) for name in names})


def _insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _fresh(step: Step) -> dict[str, Any]:
    return {
        "step": encode(step),
        "state": StepState.PENDING.value,
        "attempt": 0,
        "answered": False,
        "request_id": "",
        "sent_at": None,
        "ended_at": None,
        "seconds": 0.0,
        "target": step.target,
        "words": "",
        "verdict": None,
    }


def _step_row(row: Row[Any]) -> StepRow:
    step = decode_step(row.step)
    result = StepResult(
        step_id=step.id,
        subject_id=step.subject_id,
        action=step.action,
        state=StepState(row.state),
        words=row.words,
        request_id=row.request_id,
        target=row.target,
        attempts=row.attempt,
        seconds=row.seconds,
        verdict=None if row.verdict is None else Verdict(row.verdict),
    )
    return StepRow(step, result.state, row.attempt, row.answered, row.request_id, row.sent_at, result)
