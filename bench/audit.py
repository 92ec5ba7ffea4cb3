"""What an audit of a whole cloud costs: its rows in a real MariaDB, what the API says from memory.

    .venv/bin/python bench/audit.py [--servers 10000] [--hosts 100] [--release 2026.2]

Every server has a port and a volume; a few of each kind of left-over are made. Prints the seconds of looking
and of judging, the questions asked of the API and of the databases, and what was found.
Target: 10,000 servers and 10,000 ports in 30 seconds. Exits 1 when missed, or when something was not found.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Integer, create_engine, event, insert, text

from nodeops.gather.audit import gather_audit
from nodeops.model.facts import Attachment
from nodeops.model.leftovers import EVERYWHERE
from nodeops.runbooks.audit import leftovers
from tests.fake_world import FakeNova, FakeWorld
from tests.services.clouds import RELEASES, Cloud, load, uuid
from tests.services.schemas.make import running

TARGET_SECONDS = 30.0
OF_EACH = 10


@dataclass
class BulkCloud(Cloud):
    """Rows are kept until `write`, and written many at a time."""

    waiting: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    nodes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bulk: bool = False
    number: int = 1_000_000

    def add(self, database: str, into: str, /, **values: Any) -> int:
        if not self.bulk:
            return super().add(database, into, **values)
        self.number += 1
        table = self.table(database, into)
        keys = list(table.primary_key.columns)
        if len(keys) == 1 and isinstance(keys[0].type, Integer):
            values.setdefault(keys[0].name, self.number)
        self.waiting.setdefault((database, into), []).append(self.complete(table, values))
        return self.number

    def rows(self, database: str, name: str, /, **where: Any) -> list[dict[str, Any]]:
        key = f"{name} {where}"
        if not self.bulk or key not in self.nodes:
            self.nodes[key] = super().rows(database, name, **where)
        return self.nodes[key]

    def write(self) -> None:
        """In the order in which the tables were first named: parents are."""
        for (database, name), rows in self.waiting.items():
            with self.engines[database].begin() as connection:
                connection.execute(insert(self.table(database, name)), rows)


def said_by_the_api(cloud: Cloud, servers: int, hosts: list[str]) -> FakeWorld:
    """The same servers as in the databases, and left-overs of some of them."""
    nova = FakeNova()
    for name in hosts:
        host = nova.add_host(name)
        nova.hosts[name] = replace(host, node=f"{name}.example")
    for number in range(servers):
        name = f"s{number:05}"
        nova.add_server(uuid(name), hosts[number % len(hosts)], volume_ids=(f"v-{name}",))
    ids = list(nova.servers)
    for number in range(OF_EACH):
        nova.neutron.inactive.add((f"port-{ids[number]}", hosts[-1]))
        nova.placement.held[f"gone-{number}"] = {nova.placement.provider(hosts[0]): {"VCPU": 1}}
        stray = f"stray-{number}"
        nova.cinder.made[stray] = Attachment(stray, f"w-{number}", ids[100 + number], "reserved")
    return FakeWorld(nova, databases=cloud.records)


def main() -> None:
    """All in one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--release", choices=RELEASES, default=RELEASES[-1])
    said = parser.parse_args()
    hosts = [f"c{number:03}" for number in range(1, said.hosts + 1)]
    with running("mariadb") as server:
        url = server.url("mysql")
        cloud = BulkCloud("mariadb", load("mariadb", url, said.release, "bench"))
        with create_engine(url).connect() as connection:
            connection.execute(text("SET GLOBAL innodb_flush_log_at_trx_commit = 0"))
        cloud.furnish(tuple(hosts))
        cloud.bulk = True
        for number in range(said.servers):
            cloud.add_server(f"s{number:05}", hosts[number % len(hosts)])
        cloud.write()
        asked = [0]
        world = said_by_the_api(cloud, said.servers, hosts)
        cloud.records.host_records(hosts[0], None)
        for link in cloud.records._links.values():  # noqa: SLF001 - to count what is asked
            for engine in link.engines:
                event.listen(engine, "before_cursor_execute", lambda *_: asked.__setitem__(0, asked[0] + 1))
        began = time.monotonic()
        facts = gather_audit(world, EVERYWHERE, world.nova.clock.now())
        looked = time.monotonic()
        found = Counter(each.kind.name for each in leftovers(facts))
        ended = time.monotonic()
        cloud.close()
    rows = len(facts.records or ())
    seen = f"{len(facts.servers)} servers, {len(facts.ports or ())} ports, {rows} rows"
    print(f"looked at {seen}: {looked - began:.1f} s")
    print(f"  in {len(world.calls)} questions to the API and {asked[0]} queries")
    print(f"judged: {ended - looked:.1f} s")
    for name, number in sorted(found.items()):
        print(f"  {number} {name}")
    if facts.unseen:
        sys.exit(f"could not look: {facts.unseen[0]}")
    wanted = {"binding-left-over", "allocation-of-no-server", "attachment-dangling"}
    missed = [name for name in wanted if found[name] != OF_EACH]
    if ended - began > TARGET_SECONDS or missed or rows != said.servers:
        sys.exit(f"missed: {TARGET_SECONDS:.0f} s were the target, and {OF_EACH} of each of {sorted(wanted)}")


if __name__ == "__main__":
    main()
