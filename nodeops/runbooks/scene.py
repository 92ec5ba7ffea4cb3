"""The facts as planning asks for them: indexed, for one host and one set of options."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from nodeops.model.facts import DrainFacts, Host, HostSettings, Migration, Port, Server, ServerGroup, Storage
from nodeops.runbooks.options import MoveOptions

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

PINNED_ZONE_SEEN = (2, 96)
"""Compute API from which a server tells the zone it is pinned to."""
VTPM_MOVES_LIVE = (2, 103)
"""Compute API of 2026.1, the first release that live-migrates emulated TPMs."""


@dataclass(frozen=True)
class Scene:
    """Facts and options; everything planning looks up, looked up once."""

    facts: DrainFacts
    options: MoveOptions

    @cached_property
    def microversion(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.facts.identity.compute_microversion.split("."))

    @cached_property
    def hosts(self) -> Mapping[str, Host]:
        return {host.name: host for host in self.facts.hosts}

    @cached_property
    def servers(self) -> Mapping[str, Server]:
        return {server.id: server for server in self.facts.servers}

    @cached_property
    def ports(self) -> Mapping[str, tuple[Port, ...]]:
        """By server id."""
        return grouped((port.server_id, port) for port in self.facts.ports)

    @cached_property
    def groups(self) -> Mapping[str, tuple[ServerGroup, ...]]:
        """By member's id; Nova lets a server be in one group, which is not relied on."""
        return grouped((member, group) for group in self.facts.groups for member in group.members)

    @cached_property
    def migrations(self) -> Mapping[str, tuple[Migration, ...]]:
        """By server id, newest first."""
        newest_first = sorted(self.facts.migrations, key=lambda migration: -migration.id)
        return grouped((migration.server_id, migration) for migration in newest_first)

    @cached_property
    def metadata(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Aggregate metadata by host: key -> every value of it, commas taken apart as Nova does."""
        found: dict[str, dict[str, set[str]]] = {}
        for aggregate in self.facts.aggregates:
            for host in aggregate.hosts:
                values = found.setdefault(host, {})
                for key, value in aggregate.metadata.items():
                    values.setdefault(key, set()).update(part.strip() for part in value.split(","))
        return {host: {key: frozenset(v) for key, v in keys.items()} for host, keys in found.items()}

    def settings(self, host: str | None) -> HostSettings:
        return self.facts.settings.get(host or "", HostSettings())

    def storage(self, host: str | None) -> Storage:
        return self.settings(host).storage

    def begun(self, action: str, server: Server) -> bool:
        """Whether the unfinished run of this host has sent that step, so that what is seen of it is ours."""
        return f"{action}:{server.id}" in self.facts.begun

    def shape(self, server: Server) -> Mapping[str, int]:
        """What it holds in Placement, or would, by its flavor."""
        return self.facts.shapes.get(server.id) or flavor_shape(server)

    def hard_group(self, server: Server, policy: str) -> ServerGroup | None:
        """Its server group of that policy."""
        return next((group for group in self.groups.get(server.id, ()) if group.policy == policy), None)


def flavor_shape(server: Server) -> Mapping[str, int]:
    """What Nova asks Placement for (`nova/scheduler/utils.py`, `ResourceRequest`), without its overrides."""
    flavor = server.flavor
    cpus = "PCPU" if flavor.extra_specs.get("hw:cpu_policy") == "dedicated" else "VCPU"
    shape = {cpus: flavor.vcpus, "MEMORY_MB": flavor.ram_mb, "DISK_GB": server.local_disk_gb}
    return {name: amount for name, amount in shape.items() if amount}


def grouped(pairs: Iterable[tuple[Key, Value]]) -> Mapping[Key, tuple[Value, ...]]:
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
