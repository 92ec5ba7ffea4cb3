"""The journal: every run, on disk before it is made, and the lock of each host.

    journal = Journal.open()                        # or Journal.open("mysql+pymysql://…")
    learnt = journal.learnt(cloud)                  # for planning
    before = journal.unfinished(cloud, host)        # a run that was killed or interrupted here, or None
    record = journal.begin(plan, Who.here("admin", "nodeops drain c01"))  # takes the lock or adopts `before`
    execution = execute(record, plan, world, …)     # nodeops.engine.executor
    record.finish(outcome, exit_code)               # or record.leave(…): unfinished, to be resumed

`begin` with the same runbook, cloud and host as an unfinished run whose process is gone goes on with that run
under the same id; an unfinished run of another runbook is put aside (`superseded`).
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from nodeops.engine import history, schema
from nodeops.engine.encoding import (
    decode_findings,
    decode_plan,
    decode_server_plan,
    decode_server_result,
    encode,
)
from nodeops.engine.lock import Owner, alive, this_process, user_name
from nodeops.engine.record import RunRecord, StepRow, read_steps
from nodeops.errors import HostBusyError, UnknownRunError
from nodeops.model.facts import Learnt, Moved
from nodeops.outcome import ServerResult
from nodeops.plan import Finding, Plan, ServerPlan

BESIDE = frozenset({"service"})
"""Runbooks that may be run while another one of the host is unfinished, and leave it so."""
BEGIN_ATTEMPTS = 7
FIRST_PAUSE = 0.02
"""Seconds before the second attempt; doubled for each further one."""
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is mistaken for something else when read aloud or typed."""


class RunState(StrEnum):
    RUNNING = "running"
    """Some process works on it, or died doing so: `RunInfo.owner_alive` tells."""
    INTERRUPTED = "interrupted"
    """It ended by a signal or without knowing how something ended, and can be resumed."""
    FINISHED = "finished"
    SUPERSEDED = "superseded"
    """Unfinished when another runbook began on the host."""


@dataclass(frozen=True, slots=True)
class Who:
    """On whose behalf a run is made."""

    user: str
    machine: str
    cloud_user: str
    command: str

    @staticmethod
    def here(cloud_user: str, command: str) -> "Who":
        return Who(user_name(), this_process().machine, cloud_user, command)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as the journal has it."""

    id: str
    cloud: str
    host: str
    runbook: str
    state: RunState
    plan: Plan
    """The newest; a resumed run is planned again."""
    command: str
    user: str
    machine: str
    cloud_user: str
    started: float
    ended: float | None
    exit_code: int | None
    resumed: int
    """How often it was gone on with."""
    owner: Owner | None
    """Who works on it; None when nobody does."""
    owner_since: float
    owner_alive: bool

    @property
    def unfinished(self) -> bool:
        return self.state in {RunState.RUNNING, RunState.INTERRUPTED}


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One line of a run's history."""

    at: float
    kind: str
    step_id: str
    request_id: str
    words: str


class Journal:
    """Runs in one database. Every method may raise ConfigurationError before a run has begun."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._now = now

    @staticmethod
    def open(url: str | None = None, *, now: Callable[[], float] = time.time) -> "Journal":
        """SQLite in `$XDG_STATE_HOME/nodeops/journal.db` unless a SQLAlchemy URL is given.

        Raises ConfigurationError when it cannot be opened or written, or is a newer nodeops'.
        """
        return Journal(schema.open_engine(url), now)

    @property
    def engine(self) -> Engine:
        return self._engine

    def close(self) -> None:
        self._engine.dispose()

    def begin(self, plan: Plan, who: Who) -> RunRecord:
        """Take the host's lock and write the plan down: a new run, or the unfinished one adopted.

        Raises HostBusyError while another process works on this host, ConfigurationError when the journal
        cannot be written.
        """
        owner = this_process()
        with schema.configuration_errors(self._engine):
            run_id, resumed = self._begin_among_others(plan, who, owner)
            record = RunRecord(self._engine, run_id, owner, plan, self._now, resumed=resumed)
            record.write_plan(plan)
        record.start_heartbeat()
        return record

    def runs(
        self, *, cloud: str | None = None, host: str | None = None, limit: int = 100
    ) -> tuple[RunInfo, ...]:
        """Newest first."""
        query = (
            select(schema.runs).order_by(schema.runs.c.started.desc(), schema.runs.c.id.desc()).limit(limit)
        )
        if cloud is not None:
            query = query.where(schema.runs.c.cloud == cloud)
        if host is not None:
            query = query.where(schema.runs.c.host == host)
        return self._infos(query)

    def run(self, run_id: str) -> RunInfo:
        """By its id or the beginning of it; raises UnknownRunError for none or several."""
        query = select(schema.runs).where(schema.runs.c.id.startswith(run_id, autoescape=True)).limit(10)
        found = self._infos(query)
        exact = [each for each in found if each.id == run_id]
        if len(exact or found) == 1:
            return (exact or list(found))[0]
        if not found or not run_id:
            raise UnknownRunError(f"run {run_id!r} is not in the journal", hint="`nodeops runs` lists them")
        names = ", ".join(sorted(each.id for each in found))
        raise UnknownRunError(f"run {run_id!r} may be one of {names}", hint="give more of its id")

    def unfinished(self, cloud: str, host: str) -> RunInfo | None:
        """The run on this host that has not come to its end, whether somebody works on it or not."""
        query = select(schema.runs).where(schema.runs.c.active_key == _active_key(cloud, host))
        return next(iter(self._infos(query)), None)

    def steps(self, run_id: str) -> tuple[StepRow, ...]:
        """Every step of a run, in the order of sending."""
        with self._reading() as connection:
            return tuple(read_steps(connection, run_id).values())

    def subject_of(self, request_id: str) -> str | None:
        """The server a request was sent for; None for one that no run sent."""
        table = schema.events
        query = select(table.c.step_id).where(table.c.request_id == request_id).limit(1)
        with self._reading() as connection:
            step_id = connection.execute(query).scalar_one_or_none()
        return str(step_id).partition(":")[2] or None if step_id else None

    def results(self, run_id: str) -> tuple[ServerResult, ...]:
        """What was found of each server at the end; empty for a run that never came to it."""
        table = schema.servers
        query = select(table.c.result).where(table.c.run_id == run_id).order_by(table.c.position)
        with self._reading() as connection:
            texts = connection.execute(query).scalars().all()
        return tuple(decode_server_result(text) for text in texts if text is not None)

    def servers(self, run_id: str) -> tuple[ServerPlan, ...]:
        """What was planned for each server, in whatever part of the run."""
        table = schema.servers
        query = select(table.c.plan).where(table.c.run_id == run_id).order_by(table.c.position)
        with self._reading() as connection:
            texts = connection.execute(query).scalars().all()
        return tuple(decode_server_plan(text) for text in texts)

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """What was found of the host at the end."""
        query = select(schema.runs.c.findings).where(schema.runs.c.id == run_id)
        with self._reading() as connection:
            return decode_findings(connection.execute(query).scalar_one())

    def events(self, run_id: str) -> tuple[JournalEvent, ...]:
        """All that was written down of a run, oldest first."""
        table = schema.events
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.number)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(JournalEvent(row.at, row.kind, row.step_id, row.request_id, row.words) for row in rows)

    def learnt(self, cloud: str) -> Learnt | None:
        """How long live migrations take on that cloud; None while too few are known."""
        with self._reading() as connection:
            return history.learnt(connection, cloud)

    def states_before(self, cloud: str, host: str) -> dict[str, dict[str, object]]:
        """The state each server was to be left in by the failovers of a host that has not served since."""
        with self._reading() as connection:
            return history.states_before(connection, cloud, host)

    def moved_away(self, cloud: str, host: str) -> tuple[Moved, ...]:
        """The servers that the last drain of this host moved and that were not given back since."""
        with self._reading() as connection:
            return history.moved_away(connection, cloud, host)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with schema.configuration_errors(self._engine), self._engine.begin() as connection:
            yield connection

    def _begin_among_others(self, plan: Plan, who: Who, owner: Owner) -> tuple[str, bool]:
        """When two begin at the same moment the database refuses one of them, who then finds the other.

        SQLite and PostgreSQL by the unique index, MariaDB also by ending a deadlock.
        """
        for attempt in range(BEGIN_ATTEMPTS - 1):
            with contextlib.suppress(IntegrityError, OperationalError):
                return self._begin(plan, who, owner)
            # Not all at the same moment once more.
            time.sleep(FIRST_PAUSE * 2**attempt * (1 + secrets.randbelow(100) / 100))
        return self._begin(plan, who, owner)

    def _begin(self, plan: Plan, who: Who, owner: Owner) -> tuple[str, bool]:
        key = _key_of(plan)
        with self._engine.begin() as connection:
            query = select(schema.runs).where(schema.runs.c.active_key == key).with_for_update()
            row = connection.execute(query).one_or_none()
            now = schema.database_now(connection)
            if row is not None:
                self._refuse_if_busy(row, now)
                if row.runbook == plan.runbook:
                    self._adopt(connection, row, plan, owner, now)
                    return str(row.id), True
                self._supersede(connection, str(row.id))
            return self._insert(connection, plan, who, owner, now), False

    def _refuse_if_busy(self, row: Row[Any], now: int) -> None:
        owner = owner_of(row)
        if owner is None or not alive(owner, now - row.heartbeat):
            return
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.owner_since))
        raise HostBusyError(
            f"host {row.host} is held by run {row.id} ({row.runbook}) of {owner.words} since {since}",
            hint=f"wait for it, or see what it does with `nodeops show {row.id}`",
        )

    def _adopt(self, connection: Connection, row: Row[Any], plan: Plan, owner: Owner, now: int) -> None:
        connection.execute(
            update(schema.runs)
            .where(schema.runs.c.id == row.id)
            .values(
                state=RunState.RUNNING.value,
                plan=encode(plan),
                resumed=row.resumed + 1,
                ended=None,
                exit_code=None,
                **self._lock_values(owner, now),
            )
        )

    def _supersede(self, connection: Connection, run_id: str) -> None:
        connection.execute(
            update(schema.runs)
            .where(schema.runs.c.id == run_id)
            .values(state=RunState.SUPERSEDED.value, active_key=None, owner_token=None, ended=self._now())
        )

    def _insert(self, connection: Connection, plan: Plan, who: Who, owner: Owner, now: int) -> str:
        run_id = new_run_id(plan.runbook, self._now())
        values = {
            "id": run_id,
            "cloud": plan.cloud,
            "host": plan.host,
            "runbook": plan.runbook,
            "state": RunState.RUNNING.value,
            "active_key": _key_of(plan),
            "plan": encode(plan),
            "command": who.command,
            "os_user": who.user,
            "machine": who.machine,
            "cloud_user": who.cloud_user,
            "started": self._now(),
            "resumed": 0,
            "findings": "[]",
        }
        connection.execute(insert(schema.runs).values(**values, **self._lock_values(owner, now)))
        return run_id

    def _lock_values(self, owner: Owner, database_now: int) -> dict[str, Any]:
        return {
            "owner_token": owner.token,
            "owner_user": owner.user,
            "owner_machine": owner.machine,
            "owner_place": owner.place,
            "owner_pid": owner.pid,
            "owner_start": owner.start,
            "owner_since": self._now(),
            "heartbeat": database_now,
        }

    def _infos(self, query: Any) -> tuple[RunInfo, ...]:
        with self._reading() as connection:
            now = schema.database_now(connection)
            rows: Sequence[Row[Any]] = connection.execute(query).all()
        return tuple(_info(row, now) for row in rows)


def owner_of(row: Row[Any]) -> Owner | None:
    """The owner in a row of `nodeops_runs`."""
    if row.owner_token is None:
        return None
    return Owner(
        row.owner_user, row.owner_machine, row.owner_place, row.owner_pid, row.owner_start, row.owner_token
    )


def new_run_id(runbook: str, now: float) -> str:
    """Sorts by time, and is short enough to type: `d-20261121-053012-k3f`."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{runbook[:1]}-{stamp}-{''.join(secrets.choice(_ID_LETTERS) for _ in range(3))}"


def _key_of(plan: Plan) -> str:
    beside = f"{plan.host}\0{plan.runbook}" if plan.runbook in BESIDE else plan.host
    return _active_key(plan.cloud, beside)


def _active_key(cloud: str, host: str) -> str:
    return hashlib.sha256(f"{cloud}\0{host}".encode()).hexdigest()


def _info(row: Row[Any], now: int) -> RunInfo:
    owner = owner_of(row)
    return RunInfo(
        id=row.id,
        cloud=row.cloud,
        host=row.host,
        runbook=row.runbook,
        state=RunState(row.state),
        plan=decode_plan(row.plan),
        command=row.command,
        user=row.os_user,
        machine=row.machine,
        cloud_user=row.cloud_user,
        started=row.started,
        ended=row.ended,
        exit_code=row.exit_code,
        resumed=row.resumed,
        owner=owner,
        owner_since=row.owner_since,
        owner_alive=owner is not None and alive(owner, now - row.heartbeat),
    )
