"""Placing a set of servers at once."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeops.model.facts import Resource
from nodeops.runbooks.capacity import Demand, Group, place

HOSTS = ("c02", "c03", "c04")


def room(memory: int, used: int = 0) -> dict[str, Resource]:
    return {"MEMORY_MB": Resource(memory, used)}


def demand(name: str, memory: int, hosts: tuple[str, ...] = HOSTS, preferred: str | None = None) -> Demand:
    return Demand(name, {"MEMORY_MB": memory}, hosts, frozenset(hosts), preferred)


def test_each_to_the_least_loaded() -> None:
    found = place([demand("a", 4), demand("b", 4), demand("c", 4)], {host: room(16) for host in HOSTS})
    assert found.targets == {"a": "c02", "b": "c03", "c": "c04"}
    assert found.left == ()


def test_spread_by_number_where_no_figures_are_known() -> None:
    found = place([demand(name, 1) for name in "abcdef"], {})
    assert sorted(found.targets.values()) == ["c02", "c02", "c03", "c03", "c04", "c04"]


def test_those_with_the_fewest_choices_first() -> None:
    found = place(
        [demand("any", 10, ("c02", "c03")), demand("one", 8, ("c02",))], {"c02": room(16), "c03": room(12, 2)}
    )
    assert found.targets == {"one": "c02", "any": "c03"}


def test_a_resource_that_is_not_known_does_not_count() -> None:
    found = place([Demand("a", {"MEMORY_MB": 4, "CUSTOM": 1}, ("c02",))], {"c02": room(16)})
    assert found.targets == {"a": "c02"}


def test_an_earlier_choice_is_kept_while_it_fits() -> None:
    rooms = {host: room(16) for host in HOSTS}
    kept = [demand("a", 4, preferred="c04"), demand("b", 4, preferred="c04")]
    assert place(kept, rooms).targets == {"a": "c04", "b": "c04"}
    assert place([demand("a", 20, preferred="c04")], rooms | {"c03": room(20)}).targets == {"a": "c03"}
    assert place([demand("a", 4, ("c02",), preferred="c04")], rooms).targets == {"a": "c02"}


def test_smaller_ones_move_aside() -> None:
    demands = [
        demand("small-1", 3, ("c02", "c03")),
        demand("small-2", 3, ("c02", "c03")),
        demand("large", 7, ("c02",)),
    ]
    found = place(demands, {"c02": room(10), "c03": room(10)})
    assert found.left == ()


def test_what_does_not_fit_is_named_and_the_rest_is_placed() -> None:
    both = ("c02", "c03")
    three = [demand("a", 9, both), demand("b", 9, both), demand("c", 9, both)]
    found = place(three, {"c02": room(10), "c03": room(10)})
    assert len(found.left) == 1
    assert len(found.targets) == 2


def test_hard_groups_hold_and_soft_ones_give_way() -> None:
    rooms = {"c02": room(16), "c03": room(16)}
    pair = [demand("a", 2, ("c02", "c03")), demand("b", 2, ("c02", "c03")), demand("c", 2, ("c02", "c03"))]
    members = frozenset("abc")
    hard = place(pair, rooms, [Group(members, most=1)])
    assert len(set(hard.targets.values())) == 2
    assert len(hard.left) == 1
    assert place(pair, rooms, [Group(members, wish=1)]).left == ()
    together = place(pair, rooms, [Group(members, wish=-1)])
    assert len(set(together.targets.values())) == 1


def test_members_that_are_there_already_count() -> None:
    group = Group(frozenset({"a"}), most=2, already={"c02": 2, "c03": 1})
    assert place([demand("a", 1, ("c02", "c03"))], {"c02": room(9), "c03": room(9, 8)}, [group]).targets == {
        "a": "c03"
    }


def test_a_tight_packing_is_searched_for() -> None:
    """Every host is filled to the last mebibyte and the last vCPU: no rule of thumb finds that."""
    vcpus = ((8, 1, 3), (2, 4, 6), (5, 5, 2))
    memory = ((3, 7, 10), (9, 1, 10), (4, 8, 8))
    demands = [
        Demand(f"s{row}{column}", {"VCPU": vcpus[row][column], "MEMORY_MB": memory[row][column]}, HOSTS)
        for row, column in product(range(3), range(3))
    ]
    rooms = {host: {"VCPU": Resource(12, 0), "MEMORY_MB": Resource(20, 0)} for host in HOSTS}
    assert place(demands, rooms).left == ()


def test_the_same_whatever_the_order() -> None:
    demands = [demand(f"s{i}", 1 + i % 4) for i in range(12)]
    rooms = {host: room(11) for host in HOSTS}
    assert place(demands, rooms) == place(demands[::-1], dict(reversed(rooms.items())))


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)
capacities = st.lists(st.integers(1, 20), min_size=1, max_size=3)


@settings(deadline=None)
@given(sizes, capacities, st.data())
def test_what_fits_is_found(memory: list[int], capacity: list[int], data: st.DataObject) -> None:
    """Against trying every assignment: where all fit, all are placed, and never over capacity."""
    hosts = HOSTS[: len(capacity)]
    rooms = {host: room(size) for host, size in zip(hosts, capacity, strict=True)}
    allowed = [
        tuple(sorted(data.draw(st.sets(st.sampled_from(hosts), min_size=1), label=f"hosts of {i}")))
        for i in range(len(memory))
    ]
    demands = [demand(f"s{i}", size, allowed[i]) for i, size in enumerate(memory)]
    found = place(demands, rooms)
    for host in hosts:
        taken = sum(size for i, size in enumerate(memory) if found.targets.get(f"s{i}") == host)
        assert taken <= rooms[host]["MEMORY_MB"].capacity
    assert set(found.targets) | set(found.left) == {each.id for each in demands}
    assert all(found.targets[each.id] in each.hosts for each in demands if each.id in found.targets)
    possible = any(
        all(
            sum(size for size, where in zip(memory, choice, strict=True) if where == host)
            <= rooms[host]["MEMORY_MB"].capacity
            for host in hosts
        )
        for choice in product(*allowed)
    )
    if possible:
        assert found.left == ()
