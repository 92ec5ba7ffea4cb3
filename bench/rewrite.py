"""What the database way of a failover costs: one host's servers in a real MariaDB, API steps excluded.

    .venv/bin/python bench/rewrite.py [--servers 1000] [--release 2026.2]

Nova's and Neutron's schemas are a release's own, the server is a private MariaDB with its defaults, so every
commit is on disk. Prints seconds for the checks, for the rewrite through the engine with its journal, for
the undo and for the bare transactions, and ratios to the least that as many commits cost.
Target: 1,000 servers rewritten in 10 seconds. Exits 1 when missed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text

from nodeops.actions.rewrite_bindings import RewriteBindings
from nodeops.actions.rewrite_records import RewriteRecords
from nodeops.clients.databases import DatabaseRecords
from nodeops.engine.clock import SystemClock
from nodeops.engine.executor import execute
from nodeops.engine.journal import Journal, Who
from nodeops.engine.signals import Stop
from nodeops.events import Event
from nodeops.model.records import BindingRewrite, HostRecords, NodeRecord, ServerRecord, ServerRewrite
from nodeops.outcome import StepState
from nodeops.plan import Action, Plan, Risk, ServerPlan, Step
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import FakeNova, FakeWorld
from tests.services.clouds import RELEASES, Cloud, load, uuid
from tests.services.schemas.make import running

SOURCE, TARGET = "c01", "c02"
TARGET_SECONDS_PER_SERVER = 0.01


@contextmanager
def furnished(servers: int, release: str) -> Iterator[Cloud]:
    """A MariaDB with that many servers on the source, each with a volume, a port and a console token."""
    with running("mariadb") as server:
        url = server.url("mysql")
        cloud = Cloud("mariadb", load("mariadb", url, release, "bench"))
        admin = create_engine(url)
        _flush_at_commit(admin.url.render_as_string(hide_password=False), 0)
        cloud.furnish((SOURCE, TARGET))
        for number in range(servers):
            cloud.add_server(f"s{number:05}", SOURCE)
        _flush_at_commit(admin.url.render_as_string(hide_password=False), 1)
        admin.dispose()
        try:
            yield cloud
        finally:
            cloud.close()


def _flush_at_commit(url: str, value: int) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text(f"SET GLOBAL innodb_flush_log_at_trx_commit = {value}"))
    engine.dispose()


def rewrite_of(record: ServerRecord, target: NodeRecord) -> ServerRewrite:
    """As the runbook plans it."""
    place = {"host": target.host, "node": target.node, "launched_on": target.host}
    return ServerRewrite(
        record.id,
        expected={
            "host": record.host,
            "node": record.node,
            "vm_state": record.vm_state,
            "task_state": record.task_state,
            "updated_at": record.updated_at,
        },
        changed=place
        | {"availability_zone": "az2", "task_state": None, "power_state": 0, "compute_id": target.compute_id},
        tombstone={
            "uuid": uuid(f"tombstone {record.id}"),
            "instance_uuid": record.id,
            "migration_type": "evacuation",
            "status": "done",
            "source_compute": record.host,
            "source_node": record.node,
            "dest_compute": target.host,
            "dest_node": target.node,
            "dest_host": target.host_ip,
            "dest_compute_id": target.compute_id,
            "hidden": False,
            "cross_cell_move": False,
        },
    )


def bindings_of(record: ServerRecord) -> BindingRewrite:
    return BindingRewrite(record.id, tuple(each.port_id for each in record.bindings), SOURCE, TARGET)


def plan_of(found: HostRecords, target: NodeRecord) -> Plan:
    """Both steps of every server."""
    steps, servers = [], []
    for record in found.servers:
        rewrite, ports = rewrite_of(record, target), bindings_of(record)
        said: dict[str, Any] = {
            "near": SOURCE,
            "expected": dict(rewrite.expected),
            "changed": dict(rewrite.changed),
            "tombstone": dict(rewrite.tombstone),
        }
        first = Step(
            f"rewrite-records:{record.id}",
            "rewrite-records",
            record.id,
            record.name,
            "bench",
            Risk.FORCE,
            said,
        )
        moved: dict[str, Any] = {
            "near": SOURCE,
            "ports": list(ports.port_ids),
            "source": SOURCE,
            "target": TARGET,
        }
        second = Step(
            f"rewrite-bindings:{record.id}",
            "rewrite-bindings",
            record.id,
            record.name,
            "bench",
            Risk.FORCE,
            moved,
            needs=(first.id,),
        )
        steps += [first, second]
        servers.append(ServerPlan(record.id, record.name, "ACTIVE", Action.REWRITE, TARGET))
    return Plan("bench", SOURCE, "bench", {}, tuple(steps), tuple(servers))


def ignore(event: Event) -> None:
    """Nobody watches."""


def run(plan: Plan, records: DatabaseRecords) -> int:
    """Through the engine, with its journal on disk; how many steps were done."""
    nova = FakeNova()
    for name in (SOURCE, TARGET):
        nova.add_host(name)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(f"sqlite:///{Path(folder) / 'journal.db'}")
        record = journal.begin(plan, Who.here("bench", "bench"))
        stop = Stop()
        execution = execute(
            record,
            plan,
            FakeWorld(nova, databases=records),
            actions={"rewrite-records": RewriteRecords(), "rewrite-bindings": RewriteBindings()},
            gates={},
            options=MoveOptions(canary=False),
            listener=ignore,
            stop=stop,
            clock=SystemClock(stop),
            retarget=lambda _step, _refused: None,
        )
        journal.close()
    return sum(result.state is StepState.DONE for result in execution.step_results)


def smallest(cloud: Cloud, number: int) -> None:
    """The floor on this machine at this moment: a change of one row, committed."""
    with cloud.engines["nova"].connect() as connection:
        for value in range(number):
            connection.execute(text("UPDATE services SET report_count = :value LIMIT 1"), {"value": value})
            connection.commit()


def timed(words: str, work: Callable[[], object]) -> float:
    """Run and say how long it took."""
    started, spent = time.monotonic(), time.process_time()
    work()
    seconds, busy = time.monotonic() - started, time.process_time() - spent
    print(f"{words}: {seconds:.2f} s, {busy:.2f} s of them in this process")
    return seconds


def main() -> None:
    """All in one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--release", choices=RELEASES, default=RELEASES[-1])
    said = parser.parse_args()
    number = said.servers
    with furnished(number, said.release) as cloud:
        records, asked = cloud.records, [0]
        found = records.host_records(SOURCE, TARGET)
        for link in records._links.values():  # noqa: SLF001 - to count what is asked
            for engine in link.engines:
                event.listen(engine, "before_cursor_execute", lambda *_: asked.__setitem__(0, asked[0] + 1))
        timed(f"checks of {number} servers", lambda: records.host_records(SOURCE, TARGET))
        print(f"  in {asked[0]} queries")
        ids = [each.id for each in found.servers]
        images = records.images(ids, SOURCE)
        timed("all rows for the undo file", lambda: records.images(ids, SOURCE))
        assert found.target is not None  # noqa: S101 - it was furnished
        target, plan = found.target, plan_of(found, found.target)
        done: list[int] = []
        through = timed("rewritten through the engine, journaled", lambda: done.append(run(plan, records)))
        print(f"  {done[0]} of {len(plan.steps)} steps done, {1000 * through / number:.1f} ms a server")

        def undo() -> None:
            for each in found.servers:
                records.restore_bindings(images[each.id], bindings_of(each))
                records.restore_server(images[each.id], rewrite_of(each, target), SOURCE)

        def bare() -> None:
            for each in found.servers:
                records.rewrite_server(rewrite_of(each, target), SOURCE)
                records.rewrite_bindings(bindings_of(each))

        timed("put back", undo)
        alone = timed("rewritten by the transactions alone", bare)
        floor = timed(f"{2 * number} one-line transactions", lambda: smallest(cloud, 2 * number))
        print(
            f"ratio to two one-line transactions a server: {through / floor:.1f}, alone {alone / floor:.1f}"
        )
    if done[0] != len(plan.steps) or through > TARGET_SECONDS_PER_SERVER * number:
        sys.exit(f"missed: {TARGET_SECONDS_PER_SERVER * number:.0f} s were the target")


if __name__ == "__main__":
    main()
