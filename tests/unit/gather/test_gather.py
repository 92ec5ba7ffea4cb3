"""What is gathered before a plan and after a run, and with how many calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from nodeops.errors import ApiError, AuthenticationError, ForbiddenError, UnknownHostError, UnsupportedError
from nodeops.gather import gather_drain, gather_evidence, gather_return
from nodeops.model.facts import (
    Aggregate,
    Flavor,
    HostSettings,
    Identity,
    Moved,
    Port,
    Resource,
    Server,
    ServerGroup,
    Storage,
)
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Action, Plan, Risk, ServerPlan, Step
from tests.fake_world import FakeWorld, small_cloud


@dataclass
class Cloud(FakeWorld):
    """Where a test says what Placement, Glance and the policies do."""

    microversion: str = "2.104"
    held: dict[str, dict[str, Mapping[str, int]]] = field(default_factory=dict)
    """Consumer -> provider -> amounts, when not what the fake makes of the flavor."""
    having: dict[str, frozenset[str]] = field(default_factory=dict)
    """Trait -> providers."""
    denied: dict[str, Exception] = field(default_factory=dict)
    """Method -> the error it raises."""
    asked: list[tuple[Mapping[str, int], Sequence[str], Sequence[str]]] = field(default_factory=list)

    def identity(self) -> Identity:
        return replace(super().identity(), compute_microversion=self.microversion)

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        self._deny("allocations_on")
        found = dict(super().allocations_on(provider_id))
        return found | {each: held[provider_id] for each, held in self.held.items() if provider_id in held}

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        return self.held.get(server_id) or super().allocation(server_id)

    def candidates(
        self, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = ()
    ) -> Mapping[str, Mapping[str, Resource]]:
        self._deny("candidates")
        self.asked.append((resources, required, forbidden))
        found = super().candidates(resources, required=required, forbidden=forbidden)
        return {
            provider: figures
            for provider, figures in found.items()
            if all(provider in self.having[trait] for trait in required)
        }

    def traits(self, required: Sequence[str]) -> frozenset[str]:
        return self.having[required[0]]

    def image_properties(self, image_id: str) -> Mapping[str, str]:
        self._deny("image_properties")
        super().image_properties(image_id)
        return {"hw_disk_bus": "virtio"}

    def ports_of(self, server_ids: Sequence[str]) -> tuple[Port, ...]:
        self._deny("ports_of")
        return super().ports_of(server_ids)

    def groups(self) -> tuple[ServerGroup, ...]:
        self._deny("groups")
        return super().groups()

    def _deny(self, name: str) -> None:
        if name in self.denied:
            raise self.denied[name]


def cloud(servers: int = 3, hosts: int = 3) -> Cloud:
    return Cloud(small_cloud(servers=servers, hosts=hosts).nova)


def change(world: Cloud, server_id: str, **changes: object) -> Server:
    world.nova.change(server_id, **changes)
    return world.nova.servers[server_id]


def test_a_host_with_its_servers() -> None:
    world = cloud()
    world.aggregate_list.append(Aggregate("fast", ("c01", "c03")))
    facts = gather_drain(world, "c01", {"c01": HostSettings(Storage.LOCAL)})
    assert facts.host.name == "c01"
    assert [host.aggregates for host in facts.hosts] == [("fast",), (), ("fast",)]
    assert [server.id for server in facts.servers] == ["s01", "s02", "s03"]
    assert facts.shapes["s01"] == {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10}
    assert facts.candidates["s01"] == {"c01", "c02", "c03"}
    assert facts.host.resources["VCPU"] == Resource(64, 3)
    assert [port.server_id for port in facts.ports] == ["s01", "s02", "s03"]
    assert facts.settings["c01"].storage is Storage.LOCAL
    assert facts.unseen == ()
    assert world.writes == []


def test_twenty_servers_of_three_flavors_take_fourteen_calls() -> None:
    world = small_cloud(servers=0, hosts=6)
    for number in range(20):
        world.nova.add_server(f"s{number}", "c01", ram_mb=1024 * (1 + number % 3), volume_ids=(f"v{number}",))
    gather_drain(world, "c01")
    # hosts is two HTTP calls on a real cloud, and so is migrations_from
    assert len(world.calls) + 2 <= 14


def test_an_empty_host_takes_few_calls() -> None:
    world = small_cloud(servers=0)
    facts = gather_drain(world, "c01")
    assert facts.servers == ()
    assert {call.name for call in world.calls} == {
        "identity",
        "hosts",
        "servers_on",
        "migrations_from",
        "aggregates",
    }


@pytest.mark.parametrize(
    ("asked", "near"),
    [("C01", "c01"), ("c1", "c01"), ("c01.example.org", "c01"), ("zebra", "lists the hosts")],
)
def test_an_unknown_host_is_told_with_the_near_ones(asked: str, near: str) -> None:
    with pytest.raises(UnknownHostError, match=f"host {asked}: no compute host has this name") as caught:
        gather_drain(cloud(), asked)
    assert near in caught.value.hint


def test_a_host_in_a_cell_out_of_reach_is_not_taken_for_empty() -> None:
    world = cloud()
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], service_id="", up=False)
    with pytest.raises(ApiError, match="nova cannot reach the cell it is in"):
        gather_drain(world, "c01")


def test_placement_is_asked_once_for_each_distinct_need() -> None:
    world = cloud(servers=6)
    change(world, "s06", flavor=Flavor("big", 2, 4096, 10))
    gather_drain(world, "c01")
    assert [resources for resources, _, _ in world.asked] == [
        {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10},
        {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 10},
    ]


def test_traits_of_flavor_and_image_are_asked_for() -> None:
    world = cloud(servers=1)
    world.having["CUSTOM_SSD"] = frozenset({"provider-c02"})
    flavor = Flavor("f", 1, 1024, 10, extra_specs={"trait:CUSTOM_SSD": "required", "hw:mem_page_size": "any"})
    change(world, "s01", flavor=flavor, image_properties={"trait:CUSTOM_OLD": "forbidden"})
    facts = gather_drain(world, "c01")
    assert world.asked[0][1:] == (("CUSTOM_SSD",), ("CUSTOM_OLD",))
    assert facts.candidates["s01"] == {"c02"}
    assert [host.traits for host in facts.hosts] == [frozenset(), {"CUSTOM_SSD"}, frozenset()]


def test_figures_of_hosts_that_are_too_small_are_there_too() -> None:
    world = cloud(servers=1)
    world.nova.add_host("c09", ram_mb=512)
    facts = gather_drain(world, "c01")
    assert "c09" not in facts.candidates["s01"]
    assert facts.hosts[-1].resources["MEMORY_MB"] == Resource(512, 0)


def test_a_disk_that_another_provider_counts_is_shared_storage() -> None:
    world = cloud(servers=2)
    own = {"VCPU": 1, "MEMORY_MB": 1024}
    for each in ("s01", "s02"):
        world.held[each] = {"provider-c01": own, "nfs": {"DISK_GB": 10}}
    facts = gather_drain(world, "c01")
    assert facts.shapes["s02"] == {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10}
    assert facts.settings["c01"].storage is Storage.SHARED
    known = gather_drain(world, "c01", {"c01": HostSettings(Storage.LOCAL)})
    assert known.settings["c01"].storage is Storage.LOCAL


def test_a_server_without_an_allocation_is_asked_for_by_its_flavor() -> None:
    world = cloud(servers=1)
    world.held["s01"] = {"provider-c01": {}}
    facts = gather_drain(world, "c01")
    assert facts.candidates["s01"] == {"c01", "c02", "c03"}


def test_servers_in_the_middle_of_a_move_are_taken_in() -> None:
    world = cloud(servers=3)
    world.cold_migrate("s01", "c02")
    world.nova.clock.sleep(10)
    assert world.nova.servers["s01"].status == "VERIFY_RESIZE"
    facts = gather_drain(world, "c01")
    assert {server.id: server.host for server in facts.servers} == {"s01": "c02", "s02": "c01", "s03": "c01"}
    world.confirm_resize("s01")
    world.nova.clock.sleep(10)
    assert "s01" not in {server.id for server in gather_drain(world, "c01").servers}


def test_servers_of_an_unfinished_run_are_taken_in_wherever_they_are() -> None:
    world = cloud(servers=2)
    world.nova.change("s01", host="c02")
    facts = gather_drain(world, "c01", also=["s01", "s02", "gone"])
    assert [server.id for server in facts.servers] == ["s02", "s01"]


def test_members_of_hard_groups_are_located() -> None:
    world = cloud(servers=2)
    world.nova.add_server("far", "c03")
    world.group_list += [
        ServerGroup("g1", "hard", "anti-affinity", ("s01", "far", "gone")),
        ServerGroup("g2", "soft", "soft-affinity", ("s02", "far2")),
        ServerGroup("g3", "none of ours", "affinity", ("far",)),
    ]
    hard, soft = gather_drain(world, "c01").groups
    assert hard.member_hosts == {"s01": "c01", "far": "c03", "gone": None}
    assert soft.member_hosts == {"s02": "c01"}


def test_image_properties_are_asked_for_where_the_api_does_not_tell_them() -> None:
    world = cloud()
    world.microversion = "2.96"
    facts = gather_drain(world, "c01")
    assert facts.servers[0].image_properties == {"hw_disk_bus": "virtio"}
    assert len(world.named("image_properties")) == 1


@pytest.mark.parametrize(
    ("method", "seen"),
    [
        ("candidates", "room"),
        ("allocations_on", "allocations"),
        ("ports_of", "ports"),
        ("groups", "server groups"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        ForbiddenError("x: policy", status=403),
        UnsupportedError("x: not there"),
        ApiError("x: 503", status=503),
    ],
)
def test_what_a_plan_can_do_without_is_noted(method: str, seen: str, error: Exception) -> None:
    world = cloud()
    world.denied[method] = error
    facts = gather_drain(world, "c01")
    assert facts.unseen == (f"{seen}: {error}",)
    assert len(facts.servers) == 3


def test_a_refused_login_is_not_taken_for_a_missing_service() -> None:
    world = cloud()
    world.denied["groups"] = AuthenticationError("refused")
    with pytest.raises(AuthenticationError):
        gather_drain(world, "c01")


def test_the_way_back_takes_what_still_exists() -> None:
    world = cloud(servers=0)
    for number in range(4):
        world.nova.add_server(f"s{number}", "c02")
    world.nova.add_server("s9", "c03")
    moved = [Moved(f"s{n}", f"name-of-s{n}", "c01", "c03" if n == 9 else "c02", {}) for n in (0, 1, 7, 9)]
    facts = gather_return(world, "c01", moved)
    assert [server.id for server in facts.servers] == ["s0", "s1", "s9"]
    assert facts.moved == tuple(moved)
    assert facts.candidates["s9"] == {"c01", "c02", "c03"}
    assert len(world.named("servers_on")) == 1
    assert [call.arguments for call in world.named("server")] == [("s7",), ("s9",)]


def drained(servers: Mapping[str, str]) -> tuple[Plan, list[StepResult]]:
    steps = tuple(
        Step(f"live-migrate:{each}", "live-migrate", each, each, "", Risk.LIVE, source="c01", target=target)
        for each, target in servers.items()
    )
    plans = tuple(
        ServerPlan(each, each, "ACTIVE", Action.LIVE_MIGRATE, target) for each, target in servers.items()
    )
    results = [StepResult(step.id, step.subject_id, step.action, StepState.DONE) for step in steps]
    return Plan("drain", "c01", "cloud", {}, steps, plans), results


def test_evidence_looks_at_everything_the_run_touched() -> None:
    world = cloud(servers=1)
    for number in range(2, 6):
        world.nova.add_server(f"s{number}", "c02", volume_ids=("v",))
    world.nova.add_server("elsewhere", "c03")
    plan, results = drained({"s01": "c02", "s2": "c02", "s3": "c02", "elsewhere": "c02", "gone": "c03"})
    evidence = gather_evidence(world, plan, results)
    assert evidence.host is not None
    assert {each: server and server.host for each, server in evidence.servers.items()} == {
        "s01": "c01",
        "s2": "c02",
        "s3": "c02",
        "elsewhere": "c03",
        "gone": None,
    }
    assert [server.id for server in evidence.on_host] == ["s01"]
    assert set(evidence.allocations) == {"c01", "c02", "c03"}
    assert set(evidence.allocations["c01"]) == {"s01"}
    assert {attachment.server_id for attachment in evidence.attachments} == {"s2", "s3"}
    assert {port.server_id for port in evidence.ports_bound_to_host} == {"s01"}
    assert evidence.unseen == ()
    assert world.writes == []


def test_evidence_believes_the_target_that_was_used_in_the_end() -> None:
    world = cloud(servers=0)
    world.nova.add_server("s1", "c03")
    world.nova.add_server("s2", "c03")
    plan, results = drained({"s1": "c02", "s2": "c02"})
    gather_evidence(world, plan, [replace(result, target="c03") for result in results])
    assert [call.arguments for call in world.named("servers_on")] == [("c01",), ("c03",)]
    assert world.named("server") == []


def test_evidence_of_twenty_servers_on_three_hosts_takes_few_calls() -> None:
    world = small_cloud(servers=0, hosts=4)
    places = {f"s{number}": f"c{2 + number % 3:02}" for number in range(20)}
    for each, place in places.items():
        world.nova.add_server(each, place, volume_ids=(f"v-{each}",))
    gather_evidence(world, *drained(places))
    assert len(world.calls) <= 13


def test_evidence_says_what_it_could_not_see() -> None:
    world = cloud()
    world.denied["ports_of"] = ForbiddenError("ports: policy", status=403)
    world.denied["allocations_on"] = UnsupportedError("placement: none")
    evidence = gather_evidence(world, *drained({"s01": "c02"}))
    assert evidence.unseen == ("ports: ports: policy", "allocations on c01: placement: none")
    assert evidence.allocations == {}


def test_evidence_of_a_host_whose_cell_is_out_of_reach_is_none() -> None:
    world = cloud()
    world.nova.hosts["c01"] = replace(world.nova.hosts["c01"], service_id="", up=False)
    with pytest.raises(ApiError, match="nova cannot reach the cell it is in"):
        gather_evidence(world, *drained({"s01": "c02"}))


def test_evidence_of_a_host_that_was_removed_is_told() -> None:
    world = small_cloud(servers=0)
    world.nova.add_server("s1", "c02")
    del world.nova.hosts["c01"]
    assert gather_evidence(world, *drained({"s1": "c02"})).host is None
