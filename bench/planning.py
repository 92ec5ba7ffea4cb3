"""How long planning takes: one host's drain in a cloud of 1,000 hosts, from generated facts.

bench/planning.py [--hosts 1000] [--servers 30000] [--most 2.0]

Four clouds are planned for: a roomy one, one in which most hosts are full, one in which nearly all are, and
one whose host to drain holds ten times as many servers as the others. Each is the best of three; the exit
code is 1 when the slowest takes longer than `--most` seconds.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from nodeops.model.facts import (
    DrainFacts,
    Flavor,
    Host,
    HostSettings,
    Identity,
    PowerState,
    Resource,
    Server,
    ServerGroup,
    Storage,
)
from nodeops.plan import Plan
from nodeops.runbooks.drain import plan_drain
from nodeops.runbooks.options import MoveOptions

FLAVORS = tuple(
    Flavor(f"{vcpus}x{ram_gb}", vcpus, ram_gb * 1024, 20)
    for vcpus, ram_gb in ((1, 2), (2, 4), (2, 8), (4, 8), (4, 16), (8, 32), (16, 64))
)
DRAINED = "host0000"
GROUPS = 40
ZONES = 3


def generate(hosts: int, servers: int, *, room: float, here: int, seed: int = 1) -> DrainFacts:
    """A cloud with so many hosts and servers; `room` is the share of memory that is free on average."""
    chance = random.Random(seed)  # noqa: S311 - a cloud that is the same each time
    names = [f"host{number:04d}" for number in range(hosts)]
    per_host = max(1, servers // hosts)
    used = {name: [chance.choice(FLAVORS) for _ in range(per_host)] for name in names}
    memory = int(sum(flavor.ram_mb for flavors in used.values() for flavor in flavors) / hosts / (1 - room))
    found = tuple(_host(name, number, used[name], memory) for number, name in enumerate(names))
    placed = tuple(_server(number, chance.choice(FLAVORS)) for number in range(here))
    return DrainFacts(
        identity=Identity("bench", "http://keystone", "RegionOne", "op", "admin", "2.104"),
        host=found[0],
        hosts=found,
        servers=placed,
        shapes={server.id: _shape(server.flavor) for server in placed},
        candidates=_candidates(found, placed),
        groups=tuple(_groups(chance, placed, names)),
        settings={DRAINED: HostSettings(Storage.SHARED)},
    )


def _host(name: str, number: int, flavors: list[Flavor], memory: int) -> Host:
    vcpus, ram = sum(each.vcpus for each in flavors), sum(each.ram_mb for each in flavors)
    return Host(
        name=name,
        service_id=name,
        zone=f"az{number % ZONES}",
        provider_id=name,
        hypervisor_type="QEMU",
        enabled=number % 50 != 7,  # noqa: PLR2004 - some are in maintenance
        resources={
            "VCPU": Resource(512, vcpus),
            "MEMORY_MB": Resource(max(memory, ram), ram),
            "DISK_GB": Resource(20000, 20 * len(flavors)),
        },
    )


def _server(number: int, flavor: Flavor) -> Server:
    return Server(
        id=f"server{number:05d}",
        name=f"server{number:05d}",
        host=DRAINED,
        node=DRAINED,
        status="ACTIVE",
        vm_state="active",
        task_state=None,
        power_state=PowerState.RUNNING,
        flavor=flavor,
        image_id="image",
        zone="az0",
        pinned_zone="az0" if number % 4 == 0 else None,
    )


def _shape(flavor: Flavor) -> dict[str, int]:
    return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.ram_mb, "DISK_GB": flavor.disk_gb}


def _candidates(hosts: tuple[Host, ...], servers: tuple[Server, ...]) -> dict[str, frozenset[str]]:
    fitting = {
        flavor.name: frozenset(
            host.name
            for host in hosts
            if all(host.resources[name].free >= amount for name, amount in _shape(flavor).items())
        )
        for flavor in FLAVORS
    }
    return {server.id: fitting[server.flavor.name] for server in servers}


def _groups(chance: random.Random, servers: tuple[Server, ...], names: list[str]) -> Iterator[ServerGroup]:
    policies = ("anti-affinity", "soft-anti-affinity", "soft-affinity")
    for number in range(min(GROUPS, len(servers))):
        members: dict[str, str | None] = {f"other{number}-{i}": chance.choice(names) for i in range(5)}
        members[servers[number].id] = DRAINED
        yield ServerGroup(
            id=f"group{number}",
            name=f"group{number}",
            policy=policies[number % len(policies)],
            members=tuple(members),
            member_hosts=members,
        )


def timed(facts: DrainFacts) -> tuple[float, Plan]:
    """The best of three, each from facts that nothing is remembered of."""
    times = []
    for _ in range(3):
        fresh = replace(facts)
        began = time.perf_counter()
        plan = plan_drain(fresh, MoveOptions())
        times.append(time.perf_counter() - began)
    return min(times), plan


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=30000)
    parser.add_argument("--most", type=float, default=2.0, help="seconds the slowest may take")
    said = parser.parse_args()
    per_host = max(1, said.servers // said.hosts)
    worst = 0.0
    print(f"planning one host's drain in a cloud of {said.hosts} hosts and {said.servers} servers")
    for name, room, here in (
        ("roomy", 0.3, per_host),
        ("most hosts full", 0.0, per_host),
        ("nearly all hosts full", -0.6, per_host),
        ("a host of ten times the servers", 0.15, 10 * per_host),
    ):
        seconds, plan = timed(generate(said.hosts, said.servers, room=room, here=here))
        worst = max(worst, seconds)
        left = f"{len(plan.refused)} without a place" if plan.refused else "all placed"
        print(f"  {name:32} {len(plan.servers):4} servers  {seconds:6.3f} s  {left}")
    print(f"slowest {worst:.3f} s of {said.most:.1f} s allowed: ratio {worst / said.most:.2f}")
    return 0 if worst <= said.most else 1


if __name__ == "__main__":
    sys.exit(main())
