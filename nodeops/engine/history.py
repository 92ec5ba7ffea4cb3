"""What past runs teach: how long a live migration takes here, and what a drain moved away."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, and_, or_, select

from nodeops.engine import schema
from nodeops.engine.encoding import decode_server_plan, decode_server_result
from nodeops.model.facts import Learnt, Moved
from nodeops.outcome import StepState
from nodeops.plan import Verdict

LIVE_ACTIONS = ("live-migrate", "block-migrate")
MOVING_ACTIONS = (*LIVE_ACTIONS, "cold-migrate", "unshelve", "evacuate")
AWAY = frozenset({"drain", "failover", "failover-database", "maintain"})
"""Runbooks that take servers off a host; `maintain` can bring them back itself."""
BACK = frozenset({"undrain", "readmit"})
"""Runbooks that can bring them back to it."""
MOST_SAMPLES = 500
FEWEST_SAMPLES = 5
OUTLIER = 3.0
"""A move that took so many times longer than the others of its size says nothing of the next."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One successful live migration."""

    mib: float
    seconds: float


def learnt(connection: Connection, cloud: str) -> Learnt | None:
    """From the newest live migrations of that cloud; None while there are too few."""
    steps, servers, runs = schema.steps, schema.servers, schema.runs
    moved = or_(*(steps.c.step_id == f"{action}:" + servers.c.server_id for action in LIVE_ACTIONS))
    query = (
        select(steps.c.seconds, servers.c.plan)
        .join(runs, runs.c.id == steps.c.run_id)
        .join(servers, and_(servers.c.run_id == steps.c.run_id, moved))
        .where(runs.c.cloud == cloud, steps.c.state == StepState.DONE.value, steps.c.seconds > 0)
        .order_by(steps.c.ended_at.desc())
        .limit(MOST_SAMPLES)
    )
    samples = []
    for seconds, text in connection.execute(query):
        server = decode_server_plan(text)
        samples.append(Sample(server.ram_mb + 1024.0 * server.disk_gb, seconds))
    return fit(samples)


def fit(samples: Sequence[Sample]) -> Learnt | None:
    """Least squares of seconds = overhead + MiB / rate, refusing to learn nonsense.

    Where all moves were of about one size, or the line falls or starts below zero, the overhead is 0 and the
    rate that of all of them together: right for the sizes that were seen.
    """
    usable = _without_outliers([sample for sample in samples if sample.mib > 0 and sample.seconds > 0])
    if len(usable) < FEWEST_SAMPLES:
        return None
    mean_mib = sum(sample.mib for sample in usable) / len(usable)
    mean_seconds = sum(sample.seconds for sample in usable) / len(usable)
    spread = sum((sample.mib - mean_mib) ** 2 for sample in usable)
    if spread > (0.1 * mean_mib) ** 2 * len(usable):
        together = sum((sample.mib - mean_mib) * (sample.seconds - mean_seconds) for sample in usable)
        slope = together / spread
        overhead = mean_seconds - slope * mean_mib
        if slope > 0 and overhead >= 0:
            return Learnt(overhead, 1.0 / slope, len(usable))
    return Learnt(0.0, mean_mib / mean_seconds, len(usable))


def _without_outliers(samples: list[Sample]) -> list[Sample]:
    if len(samples) < FEWEST_SAMPLES:
        return samples
    usual = median(sample.seconds / sample.mib for sample in samples)
    longest = median(sample.seconds for sample in samples)
    return [sample for sample in samples if sample.seconds <= OUTLIER * max(longest, usual * sample.mib)]


def moved_away(connection: Connection, cloud: str, host: str) -> tuple[Moved, ...]:
    """What the last drain or failover of this host moved and nobody gave back since through nodeops.

    One that was run again, after an interruption or for what it had left, counts together with what went
    before it, back to the last time the host was put back into service.
    """
    runs = schema.runs
    query = (
        select(runs.c.id, runs.c.runbook)
        .where(runs.c.cloud == cloud, runs.c.host == host, runs.c.runbook.in_(AWAY | BACK))
        .order_by(runs.c.started.desc(), runs.c.id.desc())
    )
    found: dict[str, Moved | None] = {}
    seen_away = False
    for run_id, runbook in connection.execute(query).all():
        if runbook in BACK and seen_away:
            break
        seen_away = seen_away or runbook in AWAY
        for server in _moves_of(connection, run_id, host):
            given_back = runbook in BACK or server.target == host
            found.setdefault(server.server_id, None if given_back else server)
    return tuple(server for server in found.values() if server is not None)


def states_before(connection: Connection, cloud: str, host: str) -> dict[str, dict[str, object]]:
    """The state each server was to be left in by the first failover since the host last served.

    A failed evacuation leaves a server in ERROR, which says nothing of whether it ran.
    """
    runs, servers = schema.runs, schema.servers
    query = (
        select(runs.c.id, runs.c.runbook)
        .where(runs.c.cloud == cloud, runs.c.host == host, runs.c.runbook.in_(AWAY | BACK))
        .order_by(runs.c.started.desc(), runs.c.id.desc())
    )
    found: dict[str, dict[str, object]] = {}
    for run_id, runbook in connection.execute(query).all():
        if runbook not in {"failover", "failover-database"}:
            break
        images = select(servers.c.server_id, servers.c.before_image).where(servers.c.run_id == run_id)
        found |= {server_id: json.loads(image) for server_id, image in connection.execute(images)}
    return found


def _moves_of(connection: Connection, run_id: str, host: str) -> list[Moved]:
    targets = _targets_of(connection, run_id)
    query = (
        select(schema.servers).where(schema.servers.c.run_id == run_id).order_by(schema.servers.c.position)
    )
    moves = []
    for row in connection.execute(query):
        target = targets.get(row.server_id)
        if row.result is not None:
            result = decode_server_result(row.result)
            target = result.target if result.verdict is Verdict.MOVED else None
        if target is not None:
            name = decode_server_plan(row.plan).name
            moves.append(Moved(row.server_id, name, host, target, json.loads(row.before_image)))
    return moves


def _targets_of(connection: Connection, run_id: str) -> dict[str, str]:
    """Where the finished move steps of a run took each server; for a run that was never verified."""
    steps = schema.steps
    query = select(steps.c.step_id, steps.c.target).where(
        steps.c.run_id == run_id, steps.c.state == StepState.DONE.value, steps.c.target.is_not(None)
    )
    targets = {}
    for step_id, target in connection.execute(query):
        action, _, subject = step_id.partition(":")
        if action in MOVING_ACTIONS:
            targets[subject] = target
    return targets
