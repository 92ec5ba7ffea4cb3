"""Targets for a whole set of servers at once: what fits where, spread over the hosts.

First the servers with the fewest choices, the largest first, each to the host it leaves the least loaded.
Where that does not place all, other orders and a tighter packing are tried, each followed by making room:
placed servers move aside for the one that does not fit. At last assignments are searched, within bounds.
"Does not fit" means that all of that failed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nodeops.model.facts import Resource

MOST_MADE_WAY = 4
"""Servers that move aside on one host for another."""
MOST_HOSTS_TRIED = 64
"""Hosts on which room is made for one server."""
ZONE_COST = 0.05
"""A host of another zone is taken when those of the same zone would be fuller by more than this share."""
MOST_SEARCHED = 200
MOST_EFFORT = 100_000
"""Times the last search asks whether a server fits on a host, before it gives up."""


Kind: TypeAlias = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """One server that needs a place."""

    id: str
    resources: Mapping[str, int]
    hosts: tuple[str, ...]
    """Each of them could take it alone."""
    near: frozenset[str] = frozenset()
    """Those of them in the same zone: taken while they are not much fuller than the others."""
    preferred: str | None = None
    """The host of an earlier choice, kept while it is good."""
    kind: Kind = field(init=False)
    """The same for demands of the same resources."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", tuple(sorted(self.resources.items())))


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
    if best is None or not best.left:
        return best or Placed({})
    return _Search(_Board(hosts, board.groups), demands, sizes).placed() or best


class _Search:
    """Try assignments, the server with the fewest hosts left first, until one holds or the effort is spent.

    It goes as deep as there are servers; for more than `MOST_SEARCHED` it would be spent before it begins.
    """

    def __init__(self, board: "_Board", demands: Sequence[Demand], sizes: Mapping[str, float]) -> None:
        self._board = board
        self._ordered = sorted(demands, key=lambda demand: (-sizes[demand.id], demand.id))
        self._effort = MOST_EFFORT
        self._wanted_by: dict[str, list[str]] = {}
        for demand in self._ordered:
            for host in demand.hosts:
                self._wanted_by.setdefault(host, []).append(demand.id)

    def placed(self) -> Placed | None:
        if len(self._ordered) > MOST_SEARCHED or self._board.hopeless(self._ordered):
            return None
        if not self._deeper(self._ordered):
            return None
        return Placed(dict(self._board.where))

    def _deeper(self, waiting: Sequence[Demand]) -> bool:
        if not waiting:
            return True
        demand, hosts = self._most_constrained(waiting)
        rest = [each for each in waiting if each is not demand]
        for host in self._unlike(hosts):
            self._board.put(demand, host)
            if self._deeper(rest):
                return True
            self._board.take(demand, host)
            if self._effort <= 0:
                return False
        return False

    def _most_constrained(self, waiting: Sequence[Demand]) -> tuple[Demand, list[str]]:
        """The largest among those with the fewest hosts left, and these hosts, the fullest first."""
        best = waiting[0], self._board.fitting(waiting[0])
        for demand in waiting[1:]:
            self._effort -= len(demand.hosts)
            if not best[1] or self._effort <= 0:
                break
            fitting = self._board.fitting(demand)
            if len(fitting) < len(best[1]):
                best = demand, fitting
        return best

    def _unlike(self, hosts: Iterable[str]) -> list[str]:
        """Of hosts that are alike, and that the same servers may go to, one is enough."""
        found: dict[object, str] = {}
        for host in hosts:
            found.setdefault((self._board.condition(host), tuple(self._wanted_by[host])), host)
        return list(found.values())


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
        self._loads: dict[str, dict[Kind, float | None]] = {}
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
        wanted = preferred is not None and preferred in demand.hosts and preferred != but
        if preferred is not None and wanted and self.fits(demand, preferred):
            return preferred
        sign = -1.0 if tight else 1.0
        grouped = demand.id in self._groups_of
        best: tuple[int, float, int, str] | None = None
        for host in demand.hosts:
            load = self._load_with(demand, host)
            if load is None or host == but or (grouped and not self._may_join(demand, host)):
                continue
            unwished = self._unwished(demand, host) if grouped else 0
            away = 0.0 if host in demand.near else ZONE_COST
            score = (unwished, sign * load + away, len(self._on.get(host, ())), host)
            if best is None or score < best:
                best = score
        return None if best is None else best[-1]

    def fitting(self, demand: Demand) -> list[str]:
        """Hosts it fits on, the fullest first."""
        found = [
            (-load, host)
            for host in demand.hosts
            if (load := self._load_with(demand, host)) is not None and self._may_join(demand, host)
        ]
        return [host for _, host in sorted(found)]

    def hopeless(self, demands: Iterable[Demand]) -> bool:
        """Whether all of them need more of something than all their hosts together have."""
        needed: dict[str, int] = {}
        hosts: set[str] = set()
        for demand in demands:
            hosts.update(demand.hosts)
            for name, amount in demand.resources.items():
                needed[name] = needed.get(name, 0) + amount
        return any(
            all(name in self._hosts.get(host, {}) for host in hosts)
            and sum(self._hosts[host][name].free for host in hosts) < amount
            for name, amount in needed.items()
        )

    def condition(self, host: str) -> object:
        """What is left on the host, and how many of each group are there."""
        resources, taken = self._hosts.get(host, {}), self._taken.get(host, {})
        left = tuple(sorted((name, each.free - taken.get(name, 0)) for name, each in resources.items()))
        return left, tuple(self._members.get((index, host), 0) for index in range(len(self.groups)))

    def fits(self, demand: Demand, host: str) -> bool:
        return self._load_with(demand, host) is not None and self._may_join(demand, host)

    def _may_join(self, demand: Demand, host: str) -> bool:
        """Whether no group has too many there."""
        return all(
            limit is None or self._members.get((index, host), 0) < limit
            for index in self._groups_of.get(demand.id, ())
            for limit in (self.groups[index].most,)
        )

    def _load_with(self, demand: Demand, host: str) -> float | None:
        """How full the host is with this server on it (see `_whole`), None when it has no room for it.

        Remembered for all servers of that size until something on the host changes.
        """
        known = self._loads.setdefault(host, {})
        kind = demand.kind
        if kind not in known:
            known[kind] = self._work_out(demand, host)
        return known[kind]

    def _work_out(self, demand: Demand, host: str) -> float | None:
        resources, taken = self._hosts.get(host, {}), self._taken.get(host, {})
        shares = []
        for name, amount in demand.resources.items():
            resource = resources.get(name)
            if resource is None:
                continue
            used = resource.used + taken.get(name, 0) + amount
            if used > resource.capacity:
                return None
            shares.append(used / resource.capacity if resource.capacity else 0.0)
        return _whole(shares)

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
        self._loads.pop(host, None)
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


def _whole(shares: Iterable[float]) -> float:
    """One figure for the shares of several resources: the largest; among equals their sum decides."""
    found = list(shares)
    return max(found, default=0.0) + sum(found) / 1000
