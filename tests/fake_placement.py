"""What Placement counts: where each server is, unless something was left behind or set by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodeops.model.facts import Allocation, Server
from tests.fake_refusal import refuse

if TYPE_CHECKING:
    from tests.fake_nova import FakeNova

Held = dict[str, dict[str, int]]


@dataclass
class FakePlacement:
    nova: "FakeNova"
    held: dict[str, Held] = field(default_factory=dict)
    """Consumers whose allocation is not simply that of a server on its host: provider -> class -> amount."""
    generations: dict[str, int] = field(default_factory=dict)

    def of(self, consumer: str) -> Held:
        if consumer in self.held:
            return self.held[consumer]
        server = self.nova.servers.get(consumer)
        if server is None or server.host not in self.nova.hosts:
            return {}
        return {self.provider(server.host): shape(server)}

    def on(self, provider: str) -> dict[str, dict[str, int]]:
        consumers = [*self.nova.servers, *(each for each in self.held if each not in self.nova.servers)]
        return {each: self.of(each)[provider] for each in consumers if provider in self.of(each)}

    def holding(self, consumer: str) -> Allocation:
        resources = self.of(consumer)
        if not resources:
            return Allocation(consumer, {})
        return Allocation(consumer, resources, "project", "user", self.generations.get(consumer, 1))

    def replace_all(self, allocation: Allocation) -> None:
        """`placement/handlers/allocation.py`: replace all, checked for generation and room."""
        consumer = allocation.consumer_id
        before = self.holding(consumer)
        if allocation.generation != before.generation:
            raise refuse(409, f"consumer generation conflict - expected {before.generation}")
        unknown = allocation.resources.keys() - self._providers()
        if unknown:
            raise refuse(400, f"Allocation for resource provider '{min(unknown)}' that does not exist.")
        for provider, amounts in allocation.resources.items():
            if provider not in before.resources:
                self._check_room(provider, amounts)
        self.generations[consumer] = self.generations.get(consumer, 1) + 1
        self.keep(consumer, {key: dict(amounts) for key, amounts in allocation.resources.items()})
        self.nova.arrived.append(("set_allocation", consumer))

    def keep(self, consumer: str, resources: Held) -> None:
        """Remember only what cannot be told from the server itself."""
        self.held.pop(consumer, None)
        if resources != self.of(consumer):
            self.held[consumer] = resources

    def moved(self, before: Server, after: Server) -> None:
        """Nova moves what a server holds on its host with it, and nothing else."""
        if after.id not in self.held or before.host is None:
            return
        held = dict(self.held[after.id])
        held.pop(self.provider(before.host), None)
        if after.host is not None:
            held[self.provider(after.host)] = shape(after)
        self.keep(after.id, held)

    def provider(self, host: str) -> str:
        return self.nova.hosts[host].provider_id or ""

    def _providers(self) -> set[str]:
        return {host.provider_id or "" for host in self.nova.hosts.values()}

    def _check_room(self, provider: str, amounts: Mapping[str, int]) -> None:
        host = next(each.name for each in self.nova.hosts.values() if each.provider_id == provider)
        used = self.nova.used(host)
        for name, amount in amounts.items():
            if used.get(name, 0) + amount > self.nova.capacity[host].get(name, 0):
                raise refuse(409, f"Unable to allocate inventory: {name} on resource provider {provider}")


def shape(server: Server) -> dict[str, int]:
    flavor = server.flavor
    return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.ram_mb, "DISK_GB": flavor.disk_gb}
