"""Targets for a whole set of servers at once: what fits where, spread over the hosts.

First the servers with the fewest choices, the largest first, each to the host it leaves the least loaded.
Where that does not place all, other orders and a tighter packing are tried, each followed by making room:
placed servers move aside for the one that does not fit. "Does not fit" means that all of that failed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nodeops.facts import Resource

MOST_MADE_WAY = 4
"""Servers that move aside on one host for another."""
MOST_HOSTS_TRIED = 64
"""Hosts on which room is made for one server."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One server that needs a place."""

    id: str
    resources: Mapping[str, int]
    hosts: tuple[str, ...]
    """Each of them could take it alone."""
    near: frozenset[str] = frozenset()
    """Those of them that are better than the others: the same zone."""
    preferred: str | None = None
    """The host of an earlier choice, kept while it is good."""


@dataclass(frozen=True, slots=True)
class Group:
    """Servers that keep apart or together."""

    members: frozenset[str]
    """Ids of demands."""
    most: int | None = None
    """Hard anti-affinity: so many on one host; None: no limit."""
    wish: int = 0
    """Soft: 1 to be apart, -1 to be together."""
    already: Mapping[str, int] = field(default_factory=dict)
    """Members that are on hosts already and stay there."""


@dataclass(frozen=True, slots=True)
class Placed:
    targets: Mapping[str, str]
    """Demand id -> host."""
    left: tuple[str, ...] = ()
    """Demands that found no place beside the others."""


Score: TypeAlias = tuple[float, ...]
Order: TypeAlias = Callable[[Demand], tuple[float | str, ...]]


def place(
    demands: Sequence[Demand],
    hosts: Mapping[str, Mapping[str, Resource]],
    groups: Iterable[Group] = (),
) -> Placed:
    """A place for every demand, or as many as any of the strategies found one for.

    The same input gives the same answer, whatever its order.
    """
    board = _Board(hosts, tuple(groups))
    sizes = board.sizes(demands)
    best: Placed | None = None
    for order, tight in _strategies(sizes):
        found = _attempt(_Board(hosts, board.groups), sorted(demands, key=order), tight=tight)
        if best is None or len(found.left) < len(best.left):
            best = found
        if not best.left:
            break
    return best or Placed({})


def _strategies(sizes: Mapping[str, float]) -> tuple[tuple[Order, bool], ...]:
    def constrained_first(demand: Demand) -> tuple[float | str, ...]:
        return (demand.preferred is None, len(demand.hosts), -sizes[demand.id], demand.id)

    def largest_first(demand: Demand) -> tuple[float | str, ...]:
        return (-sizes[demand.id], len(demand.hosts), demand.id)

    def largest_memory_first(demand: Demand) -> tuple[float | str, ...]:
        return (-demand.resources.get("MEMORY_MB", 0), -sizes[demand.id], demand.id)

    return (
        (constrained_first, False),
        (largest_first, False),
        (constrained_first, True),
        (largest_first, True),
        (largest_memory_first, True),
    )


def _attempt(board: "_Board", ordered: Sequence[Demand], *, tight: bool) -> Placed:
    waiting = []
    for demand in ordered:
        host = board.best(demand, tight=tight)
        if host is None:
            waiting.append(demand)
        else:
            board.put(demand, host)
    left = [demand for demand in waiting if not board.make_room(demand)]
    left = [demand for demand in left if not board.make_room(demand)] if len(left) < len(waiting) else left
    return Placed(dict(board.where), tuple(sorted(demand.id for demand in left)))


class _Board:
    """What is where so far."""

    def __init__(self, hosts: Mapping[str, Mapping[str, Resource]], groups: tuple[Group, ...]) -> None:
        self.groups = groups
        self.where: dict[str, str] = {}
        self._hosts = hosts
        self._taken: dict[str, dict[str, int]] = {}
        self._on: dict[str, dict[str, Demand]] = {}
        self._members: dict[tuple[int, str], int] = {
            (index, host): count
            for index, group in enumerate(groups)
            for host, count in group.already.items()
        }
        self._groups_of: dict[str, list[int]] = {}
        for index, group in enumerate(groups):
            for member in group.members:
                self._groups_of.setdefault(member, []).append(index)

    def sizes(self, demands: Iterable[Demand]) -> dict[str, float]:
        """How large each is, by its shares of all there is of each resource; see `_whole`."""
        total: dict[str, int] = {}
        for resources in self._hosts.values():
            for name, resource in resources.items():
                total[name] = total.get(name, 0) + resource.capacity
        return {
            demand.id: _whole(
                amount / total[name] for name, amount in demand.resources.items() if total.get(name)
            )
            for demand in demands
        }

    def best(self, demand: Demand, *, tight: bool = False, but: str | None = None) -> str | None:
        """The best host it fits on, None when it fits on none."""
        preferred = demand.preferred
        if preferred in demand.hosts and preferred != but and self.fits(demand, str(preferred)):
            return preferred
        fitting = [host for host in demand.hosts if host != but and self.fits(demand, host)]
        if not fitting:
            return None
        sign = -1.0 if tight else 1.0
        return min(
            fitting,
            key=lambda host: (
                host not in demand.near,
                self._unwished(demand, host),
                sign * self._load(demand, host),
                host,
            ),
        )

    def fits(self, demand: Demand, host: str) -> bool:
        resources, taken = self._hosts.get(host, {}), self._taken.get(host, {})
        for name, amount in demand.resources.items():
            resource = resources.get(name)
            if resource is not None and resource.free - taken.get(name, 0) < amount:
                return False
        return all(
            limit is None or self._members.get((index, host), 0) < limit
            for index in self._groups_of.get(demand.id, ())
            for limit in (self.groups[index].most,)
        )

    def put(self, demand: Demand, host: str) -> None:
        self._change(demand, host, 1)
        self.where[demand.id] = host
        self._on.setdefault(host, {})[demand.id] = demand

    def take(self, demand: Demand, host: str) -> None:
        self._change(demand, host, -1)
        del self.where[demand.id]
        del self._on[host][demand.id]

    def make_room(self, demand: Demand) -> bool:
        """Place it, if need be where others can move aside."""
        host = self.best(demand)
        if host is not None:
            self.put(demand, host)
            return True
        return any(self._make_room_on(demand, host) for host in demand.hosts[:MOST_HOSTS_TRIED])

    def _make_room_on(self, demand: Demand, host: str) -> bool:
        """The fewest that are enough move aside, the smaller rather than the larger; all of it or nothing."""
        movable = sorted(
            (each for each in self._on.get(host, {}).values() if len(each.hosts) > 1),
            key=lambda each: (sum(each.resources.values()), each.id),
        )
        moved: list[tuple[Demand, str]] = []
        for each in movable:
            if self.fits(demand, host) or len(moved) == MOST_MADE_WAY:
                break
            if self._helps(each, demand, host):
                other = self.best(each, tight=True, but=host)
                if other is not None:
                    self.take(each, host)
                    self.put(each, other)
                    moved.append((each, other))
        if self.fits(demand, host):
            self.put(demand, host)
            return True
        for each, other in reversed(moved):
            self.take(each, other)
            self.put(each, host)
        return False

    def _helps(self, each: Demand, demand: Demand, host: str) -> bool:
        """Whether its going gives something the other one lacks there."""
        resources, taken = self._hosts.get(host, {}), self._taken.get(host, {})
        lacking = [
            name
            for name, amount in demand.resources.items()
            if name in resources and resources[name].free - taken.get(name, 0) < amount
        ]
        if any(each.resources.get(name) for name in lacking):
            return True
        return bool(set(self._groups_of.get(each.id, ())) & set(self._groups_of.get(demand.id, ())))

    def _change(self, demand: Demand, host: str, sign: int) -> None:
        taken = self._taken.setdefault(host, {})
        for name, amount in demand.resources.items():
            taken[name] = taken.get(name, 0) + sign * amount
        for index in self._groups_of.get(demand.id, ()):
            key = (index, host)
            self._members[key] = self._members.get(key, 0) + sign

    def _unwished(self, demand: Demand, host: str) -> int:
        return sum(
            self.groups[index].wish * self._members.get((index, host), 0)
            for index in self._groups_of.get(demand.id, ())
        )

    def _load(self, demand: Demand, host: str) -> float:
        """How full the host is with this server on it; see `_whole`."""
        resources, taken = self._hosts.get(host, {}), self._taken.get(host, {})
        return _whole(
            (resources[name].used + taken.get(name, 0) + amount) / resources[name].capacity
            for name, amount in demand.resources.items()
            if name in resources and resources[name].capacity
        )


def _whole(shares: Iterable[float]) -> float:
    """One figure for the shares of several resources: the largest; among equals their sum decides."""
    found = list(shares)
    return max(found, default=0.0) + sum(found) / 1000
