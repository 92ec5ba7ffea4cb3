"""Whatever the cloud looks like, these hold for a drain's plan."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nodeops.model.facts import DrainFacts
from nodeops.plan import Action, Plan, ServerPlan
from nodeops.runbooks.classify import concerned
from nodeops.runbooks.drain import plan_drain, replace_target
from nodeops.runbooks.moves import PLACE_CLASSES
from nodeops.runbooks.options import MoveOptions, options_of
from nodeops.runbooks.scene import Scene
from tests.plans.form import case_of

NAMES = tuple("abcdefgh")
OTHERS = ("c02", "c03", "c04", "c05")
ZONES = ("az1", "az2")
SPECS: tuple[dict[str, str], ...] = (
    {},
    {"pci_passthrough:alias": "nic:1"},
    {"hw:cpu_policy": "dedicated"},
    {"resources:VGPU": "1"},
    {"accel:device_profile": "fpga"},
    {"trait:CUSTOM_SSD": "required"},
    {"hw:tpm_version": "2.0"},
)
TASKS = ("image_uploading", "migrating", "deleting", "powering-off", "resize_prep", "unheard-of")
STATES = ("active", "stopped", "paused", "suspended", "rescued", "error", "shelved", "resized", "soft-delete")
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


yes = st.sampled_from([True, True, True, False])
no = yes.map(lambda value: not value)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from(others))


@st.composite
def server(draw: st.DrawFn, name: str) -> dict[str, Any]:
    said = {
        "name": name,
        "ram": draw(st.sampled_from([512, 4096, 20000, 40000])),
        "vcpus": draw(st.sampled_from([1, 8, 30])),
        "vm_state": draw(mostly("active", *STATES)),
        "task": draw(mostly(None, *TASKS)),
        "specs": draw(mostly({}, *SPECS)),
        "pinned": draw(mostly(None, *ZONES)),
        "zone": "az1",
        "boot": draw(st.sampled_from(["volume", "image"])),
    }
    if draw(no):
        said["locked"] = "quiet"
    if draw(no):
        said["power"] = draw(st.sampled_from([0, 1, 3, 4]))
    return said


@st.composite
def host(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "zone": draw(st.sampled_from(ZONES)),
        "used": {"MEMORY_MB": draw(st.sampled_from([0, 20000, 50000]))},
        "enabled": draw(yes),
        "up": draw(yes),
        "forced_down": draw(no),
        "traits": draw(mostly([], ["CUSTOM_SSD"])),
        "room": {"PCPU": 16, "VGPU": 1},
    }


@st.composite
def clouds(draw: st.DrawFn) -> dict[str, Any]:
    names = NAMES[: draw(st.integers(0, len(NAMES)))]
    hosts = {name: draw(host()) for name in OTHERS[: draw(st.integers(0, len(OTHERS)))]}
    groups: dict[str, Any] = {}
    free = list(names)
    for number in range(draw(st.integers(0, 2))):
        members = free[number * 3 : number * 3 + draw(st.integers(0, 3))]
        elsewhere = {f"x{number}": draw(st.sampled_from(OTHERS))} if draw(st.booleans()) else {}
        groups[f"g{number}"] = {
            "policy": draw(
                st.sampled_from(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"])
            ),
            "most": draw(st.integers(1, 2)),
            "members": dict.fromkeys(members) | elsewhere,
        }
    return {
        "host_says": {"zone": "az1"},
        "hosts": hosts,
        "servers": [draw(server(name)) for name in names],
        "groups": groups,
        "settings": {"c01": {"storage": draw(st.sampled_from(["shared", "local", "unknown"]))}},
        "migrations": [{"server": name, "status": "running", "target": "c02"} for name in names[:1]],
        "options": {
            "risk": draw(st.sampled_from(["live", "reboot", "force"])),
            "allow": draw(st.lists(st.sampled_from(["local-disk", "locked", "suspended"]), unique=True)),
            "to": draw(mostly([], ["c02"], ["c02", "c03"])),
        },
    }


def planned(data: dict[str, Any]) -> tuple[DrainFacts, MoveOptions, Plan]:
    case = case_of(data)
    return case.facts, case.options, case.plan()


def going(plan: Plan) -> list[ServerPlan]:
    return [each for each in plan.servers if each.target is not None]


@calm
@given(clouds())
def test_never_over_capacity(data: dict[str, Any]) -> None:
    facts, options, plan = planned(data)
    scene = Scene(facts, options)
    taken: dict[str, Counter[str]] = {}
    for each in going(plan):
        taken.setdefault(str(each.target), Counter()).update(scene.shape(scene.servers[each.id]))
    for name, amounts in taken.items():
        for resource, amount in amounts.items():
            assert scene.hosts[name].resources[resource].free >= amount
    for load in plan.targets:
        assert all(used <= capacity for used, capacity in load.after.values())


@calm
@given(clouds())
def test_hard_groups_hold(data: dict[str, Any]) -> None:
    facts, _, plan = planned(data)
    where = {each.id: each.target for each in going(plan)}
    offloaded = {step.subject_id for step in plan.steps if step.action in {"shelve-offload", "wait-deleted"}}
    for group in facts.groups:
        places = {member: where.get(member, host) for member, host in group.member_hosts.items()}
        if group.policy == "anti-affinity":
            moved_to = {where[member] for member in group.members if member in where}
            counts = Counter(places.values())
            assert all(counts[target] <= group.max_server_per_host for target in moved_to)
        if group.policy == "affinity":
            before = {host for host in group.member_hosts.values() if host}
            after = {places[m] for m in group.members if m in where or m not in offloaded}
            assert len(after) <= max(1, len(before))


@calm
@given(clouds())
def test_targets_serve_and_are_allowed(data: dict[str, Any]) -> None:
    facts, options, plan = planned(data)
    scene = Scene(facts, options)
    for each in going(plan):
        target, pinned = scene.hosts[str(each.target)], scene.servers[each.id].pinned_zone
        assert target.serves
        assert target.name != plan.host
        assert pinned in {None, target.zone}
        assert not options.to or target.name in options.to
    assert {step.target for step in plan.steps if step.target} == {each.target for each in going(plan)}


@calm
@given(clouds())
def test_every_server_has_one_answer_with_words(data: dict[str, Any]) -> None:
    facts, options, plan = planned(data)
    told = Counter(each.id for each in plan.servers)
    assert told == Counter({each.id: 1 for each in concerned(Scene(facts, options))})
    changed = {step.subject_id for step in plan.steps}
    for each in plan.servers:
        assert each.refused != (each.id in changed)
        assert each.why or each.refusals
        assert all(refusal.reason for refusal in each.refusals)


@calm
@given(clouds(), st.randoms(use_true_random=False))
def test_same_facts_same_digest(data: dict[str, Any], chance: random.Random) -> None:
    facts, options, plan = planned(data)

    def shuffled(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(chance.sample(values, len(values)))

    other = replace(
        facts, hosts=shuffled(facts.hosts), servers=shuffled(facts.servers), groups=shuffled(facts.groups)
    )
    assert plan_drain(other, options).digest == plan.digest


@calm
@given(clouds())
def test_an_override_does_what_it_says(data: dict[str, Any]) -> None:
    """Allowing all that a server is refused for lets it go, unless others keep it."""
    facts, options, plan = planned(data)
    for each in plan.refused:
        if not all(refusal.override for refusal in each.refusals):
            continue
        more = replace(options, allow=options.allow | {r.refusal_class for r in each.refusals})
        again = next(server for server in plan_drain(facts, more).servers if server.id == each.id)
        classes = {refusal.refusal_class for refusal in again.refusals}
        assert classes <= PLACE_CLASSES | {"affinity"}


@calm
@given(clouds(), st.data())
def test_planning_in_the_middle_gives_the_rest(data: dict[str, Any], chance: st.DataObject) -> None:
    """Some servers have arrived, with their allocation: the others are planned as before."""
    data["groups"] = {name: each for name, each in data["groups"].items() if each["policy"] != "affinity"}
    _, _, plan = planned(data)
    assume(not any(r.refusal_class == "no-room" for each in plan.servers for r in each.refusals))
    whole = [each for each in going(plan) if each.action in {Action.LIVE_MIGRATE, Action.BLOCK_MIGRATE}]
    single = [each for each in whole if sum(step.subject_id == each.id for step in plan.steps) == 1]
    done = chance.draw(st.sets(st.sampled_from([each.id for each in single]))) if single else set()
    later = _with_arrivals(data, {each.id: str(each.target) for each in single if each.id in done})
    facts, _, _ = planned(later)
    rest = plan_drain(facts, replace(options_of(plan), risk=case_of(data).options.risk))
    assert [s for s in rest.steps if s.source] == [
        s for s in plan.steps if s.source and s.subject_id not in done
    ]
    assert {each.id for each in rest.servers} == {each.id for each in plan.servers} - done


def _with_arrivals(data: dict[str, Any], arrived: dict[str, str]) -> dict[str, Any]:
    used = {name: Counter(each["used"]) for name, each in data["hosts"].items()}
    scene = Scene(case_of(data).facts, MoveOptions())
    for name, target in arrived.items():
        used[target].update(scene.shape(scene.servers[name]))
    return {
        **data,
        "hosts": {name: {**each, "used": dict(used[name])} for name, each in data["hosts"].items()},
        "servers": [
            {
                **each,
                "host": arrived.get(each["name"], "c01"),
                "task": None if each["name"] in arrived else each["task"],
            }
            for each in data["servers"]
        ],
    }


@calm
@given(clouds(), st.data())
def test_a_replaced_target_is_another_good_one(data: dict[str, Any], chance: st.DataObject) -> None:
    facts, options, plan = planned(data)
    moves = [step for step in plan.steps if step.target]
    assume(moves)
    step = chance.draw(st.sampled_from(moves))
    refused = frozenset({str(step.target)})
    while (other := replace_target(facts, plan, step, refused)) is not None:
        target = str(other.target)
        assert target not in refused
        assert Scene(facts, options).hosts[target].serves
        assert not options.to or target in options.to
        assert replace(other, target=step.target) == step
        refused |= {target}
