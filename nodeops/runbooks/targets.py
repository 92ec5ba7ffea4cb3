"""Which hosts could take a server, each alone; and where there is none, the one condition that is to blame.

What the scheduler's filters ask is asked here too. Which of them are configured is not in the API: a
condition that the server's present host meets is taken to be meant; another one is not enforced.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from nodeops.model.facts import Host, Server
from nodeops.runbooks.bonds import affinity_hosts
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.scene import PINNED_ZONE_SEEN, Scene

AGGREGATE_SCOPE = "aggregate_instance_extra_specs:"
TENANT = "filter_tenant_id"


@dataclass(frozen=True, slots=True)
class Unmet:
    """A condition that a host does not meet."""

    refusal_class: str
    words: str


Condition: TypeAlias = Callable[[Server, str], Unmet | None]
"""What a server asks of a host besides, by the host's name; None when it is met."""
SERVICE = Unmet("no-target", "no other host is enabled and up")
CHOSEN = Unmet("no-target", "none of the hosts given with --to can take it")
KIND = Unmet("no-target", "no other host has the same kind of hypervisor")
ROOM = Unmet("too-large", "no other host has room for it")
PLACEMENT = Unmet("too-large", "placement names no other host for it")


@dataclass(frozen=True)
class Choice:
    """The hosts that could take one server."""

    hosts: tuple[str, ...]
    """In the order of their names."""
    bar: Bar | None = None
    """Why there is none."""


class Targets:
    """Finds choices; what many servers have in common is found once."""

    def __init__(
        self, scene: Scene, receivers: Sequence[Host] | None = None, also: Condition | None = None
    ) -> None:
        """`receivers`: only these hosts are asked, whether they serve now or not (for giving back).

        `also` is asked of every server and host besides.
        """
        self._scene = scene
        self._receivers = receivers
        self._also = also
        self._known: dict[object, Mapping[str, tuple[Unmet, ...]]] = {}

    @cached_property
    def _hosts(self) -> Sequence[Host]:
        return sorted(self._scene.facts.hosts if self._receivers is None else self._receivers, key=_name)

    def choice(self, server: Server) -> Choice:
        unmet = self._unmet(server)
        hosts = tuple(host for host, conditions in unmet.items() if not conditions)
        return Choice(hosts, None if hosts else _blame(self._scene, server, unmet, self._hosts))

    def _unmet(self, server: Server) -> Mapping[str, tuple[Unmet, ...]]:
        """By host; servers that ask for the same share the answer, but for their groups."""
        key = self._likeness(server)
        if key not in self._known:
            conditions = _Conditions(self._scene, server, checks_service=self._receivers is None)
            self._known[key] = {
                host.name: tuple(conditions.unmet(host)) for host in self._hosts if host.name != server.host
            }
        known, group = self._known[key], _GroupConditions(self._scene, server)
        if group.matter:
            known = {host: (*conditions, *group.unmet(host)) for host, conditions in known.items()}
        if self._also is not None:
            found = {host: self._also(server, host) for host in known}
            known = {host: (*each, *filter(None, [found[host]])) for host, each in known.items()}
        return known

    def _likeness(self, server: Server) -> object:
        scene = self._scene
        return (
            server.host,
            server.flavor.name,
            tuple(sorted(scene.shape(server).items())),
            tuple(sorted(server.flavor.extra_specs.items())),
            tuple(sorted(server.image_properties.items())),
            server.project_id,
            server.pinned_zone,
            server.zone,
            scene.facts.candidates.get(server.id),
        )


def _name(host: Host) -> str:
    return host.name


@dataclass(frozen=True)
class _Conditions:
    """What one server asks of a host."""

    scene: Scene
    server: Server
    checks_service: bool

    def unmet(self, host: Host) -> Iterator[Unmet]:
        if self.checks_service and not host.serves:
            yield SERVICE
        if self.scene.options.to and host.name not in self.scene.options.to:
            yield CHOSEN
        yield from self._place(host)
        yield from self._aggregates(host)
        yield from self._room(host)

    @cached_property
    def _source(self) -> Host | None:
        return self.scene.hosts.get(self.server.host or "")

    @cached_property
    def _zone(self) -> str | None:
        return pinned_zone(self.scene, self.server)

    def _place(self, host: Host) -> Iterator[Unmet]:
        if self._zone is not None and host.zone != self._zone:
            yield Unmet("pinned-az", f"no other host of zone {self._zone} can take it")
        source = self._source
        if source and source.hypervisor_type and host.hypervisor_type != source.hypervisor_type:
            yield KIND

    def _aggregates(self, host: Host) -> Iterator[Unmet]:
        metadata = self.scene.metadata
        here, there = metadata.get(self.server.host or "", {}), metadata.get(host.name, {})
        tenants = _tenants(there)
        if tenants and self.server.project_id not in tenants:
            yield Unmet("no-target", "the other hosts are kept for other projects")
        for wish, key, value in self._wishes:
            if _meets(here, key, value) and not _meets(there, key, value):
                yield Unmet("no-target", f"no other host is in an aggregate with {wish}")
        kinds = "instance_type"
        if _allows(here, kinds, self.server.flavor.name) and not _allows(
            there, kinds, self.server.flavor.name
        ):
            yield Unmet("no-target", f"no other host's aggregates allow flavor {self.server.flavor.name}")

    @cached_property
    def _wishes(self) -> tuple[tuple[str, str, str], ...]:
        specs = self.server.flavor.extra_specs
        return tuple(
            (f"{name.removeprefix(AGGREGATE_SCOPE)}={value}", name.removeprefix(AGGREGATE_SCOPE), value)
            for name, value in sorted(specs.items())
            if name.startswith(AGGREGATE_SCOPE)
        )

    def _room(self, host: Host) -> Iterator[Unmet]:
        shape = self.scene.shape(self.server)
        if any(name in host.resources and host.resources[name].free < n for name, n in shape.items()):
            yield ROOM
            return
        named = self.scene.facts.candidates.get(self.server.id)
        if named is not None and host.name not in named:
            lacking = self._traits - host.traits
            if lacking:
                yield Unmet("no-target", f"no other host has the trait {', '.join(sorted(lacking))}")
            else:
                yield PLACEMENT

    @cached_property
    def _traits(self) -> frozenset[str]:
        specs = {**self.server.image_properties, **self.server.flavor.extra_specs}
        return frozenset(
            name.removeprefix("trait:")
            for name, value in specs.items()
            if name.startswith("trait:") and value == "required"
        )


class _GroupConditions:
    """What the hard server group of one server asks of a host."""

    def __init__(self, scene: Scene, server: Server) -> None:
        self._together = affinity_hosts(scene, server)
        self._apart = scene.hard_group(server, "anti-affinity")
        members = self._apart.member_hosts if self._apart else {}
        self._members = Counter(host for member, host in members.items() if member != server.id)

    @property
    def matter(self) -> bool:
        return self._apart is not None or bool(self._together)

    def unmet(self, host: str) -> Iterator[Unmet]:
        if self._apart is not None and self._members[host] >= self._apart.max_server_per_host:
            yield Unmet("anti-affinity", f"every other host has a member of the group {self._apart.name}")
        if self._together and host not in self._together:
            where = ", ".join(sorted(self._together))
            yield Unmet("affinity", f"its affinity group is on {where}, with no room there")


def pinned_zone(scene: Scene, server: Server) -> str | None:
    """The zone it may not leave; where the API does not tell, the one it is in."""
    if scene.microversion < PINNED_ZONE_SEEN:
        return server.zone or None
    return server.pinned_zone


def _tenants(metadata: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """`AggregateMultiTenancyIsolation`: every key that begins with `filter_tenant_id` counts."""
    return frozenset().union(*(values for key, values in metadata.items() if key.startswith(TENANT)))


def _meets(metadata: Mapping[str, frozenset[str]], key: str, wish: str) -> bool:
    """Plain values and `<or>`; other operators are left to the scheduler."""
    if wish.startswith("<or>"):
        wishes = {word.strip() for word in wish.split("<or>") if word.strip()}
        return bool(wishes & metadata.get(key, frozenset()))
    return wish in metadata.get(key, frozenset())


def _allows(metadata: Mapping[str, frozenset[str]], key: str, value: str) -> bool:
    """A host whose aggregates do not say allows everything (`AggregateTypeAffinityFilter`)."""
    return key not in metadata or value in metadata[key]


def _blame(
    scene: Scene, server: Server, unmet: Mapping[str, tuple[Unmet, ...]], hosts: Sequence[Host]
) -> Bar:
    """The single condition that shuts out the most hosts by itself; else the one most hosts fail.

    What the operator chose comes first: it is the easiest to choose differently.
    """
    if not unmet:
        return Bar("no-target", "there is no other host")
    alone = Counter(conditions[0] for conditions in unmet.values() if len(conditions) == 1)
    some = alone or Counter(condition for conditions in unmet.values() for condition in conditions)
    blamed = min(some, key=lambda each: (each is not CHOSEN or each not in alone, -some[each], each.words))
    if blamed is ROOM:
        short = [host for host in hosts if ROOM in unmet.get(host.name, ())]
        near = [host for host in short if len(unmet[host.name]) == 1]
        return Bar("too-large", _shortage(scene.shape(server), near or short))
    return Bar(blamed.refusal_class, blamed.words, overridable=False)


def _shortage(shape: Mapping[str, int], hosts: Sequence[Host]) -> str:
    """The resource no host has enough of; or, when each has some, what the best of them lacks."""
    for name, amount in sorted(shape.items()):
        having = [host for host in hosts if name in host.resources]
        if not having:
            continue
        most = min(having, key=lambda host: (-host.resources[name].free, host.name))
        if most.resources[name].free < amount:
            return (
                f"{name}: needs {amount}, most free on any host is {most.resources[name].free} ({most.name})"
            )
    need = ", ".join(f"{amount} {name}" for name, amount in sorted(shape.items()))
    return f"no other host has {need} free at once"
