"""Which states contradict each other, and when a task is dead."""

from dataclasses import replace

import pytest

from nodeops.gather.states import gather_states
from nodeops.model.facts import PowerState, Server
from nodeops.model.states import Deed, Domain
from nodeops.plan import Risk
from nodeops.runbooks.contradictions import OLDER_THAN, Mismatch, contradictions
from nodeops.runbooks.mend_states import StatesOptions, plan_states
from nodeops.runbooks.mismatches import BY_STATES, CLASSES, Mend
from tests.fake_nova import FakeNova
from tests.fake_records import FakeHypervisors, FakeRecords

OLD, NEW = "2026-11-18T10:00:00Z", "2026-11-18T11:06:30Z"
"""An hour, and ten seconds before now."""


@pytest.fixture
def nova() -> FakeNova:
    nova = FakeNova()
    nova.add_host("c01")
    nova.add_host("c02")
    return nova


def add(nova: FakeNova, vm_state: str = "active", **changes: object) -> Server:
    server = nova.add_server("s1", "c01", vm_state=vm_state)
    nova.servers["s1"] = replace(server, updated=OLD, **changes)  # type: ignore[arg-type]  # fields of Server
    return nova.servers["s1"]


def find(
    records: FakeRecords, domains: tuple[Domain, ...] | None = None, host: str | None = "c01"
) -> tuple[Mismatch, ...]:
    hypervisors = None if domains is None else FakeHypervisors({"c01": domains})
    return contradictions(gather_states(records, host, hypervisors, older_than=OLDER_THAN))


def names(found: tuple[Mismatch, ...]) -> list[str]:
    return [each.kind.name for each in found]


CASES = [(vm, power, name) for vm, powers in BY_STATES.items() for power, name in powers.items()]


@pytest.mark.parametrize(("vm_state", "power", "name"), CASES)
def test_every_pair_of_the_table_is_found(nova: FakeNova, vm_state: str, power: int, name: str) -> None:
    state = "error" if vm_state not in {"active", "stopped", "paused"} else vm_state
    add(nova, state)
    nova.servers["s1"] = replace(nova.servers["s1"], vm_state=vm_state, power_state=power)
    assert names(find(FakeRecords(nova))) == [name]


@pytest.mark.parametrize(("vm_state", "power", "_name"), CASES)
def test_during_a_task_a_mismatch_means_nothing(
    nova: FakeNova,
    vm_state: str,
    power: int,
    _name: str,
) -> None:
    server = add(nova)
    changed = replace(server, vm_state=vm_state, power_state=power, task_state="rebooting", updated=NEW)
    nova.servers["s1"] = changed
    assert find(FakeRecords(nova)) == ()


@pytest.mark.parametrize(
    "vm_state", ["active", "stopped", "paused", "suspended", "rescued", "resized", "shelved"]
)
def test_what_agrees_is_no_finding(nova: FakeNova, vm_state: str) -> None:
    add(nova, vm_state)
    assert find(FakeRecords(nova)) == ()


def test_a_healthy_host_of_a_hundred_is_three_calls(nova: FakeNova) -> None:
    for number in range(100):
        nova.add_server(f"n{number}", "c01")
    records = FakeRecords(nova)
    assert find(records) == ()
    assert records.calls == ["hosts", "servers", "migrations"]


def test_guests_of_a_dead_host_are_not_judged(nova: FakeNova) -> None:
    add(nova, power_state=PowerState.SHUTDOWN)
    nova.hosts["c01"] = replace(nova.hosts["c01"], up=False)
    assert find(FakeRecords(nova)) == ()


# -- tasks


def test_an_old_task_without_anything_behind_it_is_a_finding(nova: FakeNova) -> None:
    add(nova, task_state="image_uploading")
    records = FakeRecords(nova)
    (found,) = find(records)
    assert found.kind.name == "task-stuck"
    assert "nothing was asked of it" in found.words
    assert found.mends(nova_is_right=False) == (Mend.SETTLE_ACTIVE,)


@pytest.mark.parametrize(
    ("deed", "name"),
    [
        (Deed("createImage", "req-1", 0.0, "c01", "compute_snapshot_instance"), "task-long"),
        (Deed("createImage", "req-1", 0.0, "c02", "compute_snapshot_instance"), "task-stuck"),
        (Deed("createImage", "req-1", 0.0, "gone", "compute_snapshot_instance"), "task-stuck"),
        (Deed("createImage", "req-1", 0.0, "", "compute_snapshot_instance"), "task-long"),
        (Deed("createImage", "req-1", 0.0), "task-stuck"),
    ],
)
def test_what_an_action_says_decides(nova: FakeNova, deed: Deed, name: str) -> None:
    add(nova, task_state="image_uploading")
    nova.hosts["c02"] = replace(nova.hosts["c02"], up=False)
    assert names(find(FakeRecords(nova, {"s1": deed}))) == [name]


@pytest.mark.parametrize(
    ("imaging", "name"),
    [(frozenset({"s1"}), "task-long"), (None, "task-long"), (frozenset(), "task-stuck")],
)
def test_an_upload_goes_on_although_its_action_has_ended(
    nova: FakeNova, imaging: frozenset[str] | None, name: str
) -> None:
    server = add(nova, task_state="image_uploading")
    records = FakeRecords(nova, {"s1": Deed("createImage", "req-1", 0.0)}, imaging=imaging)
    assert names(find(records)) == [name]
    nova.servers["s1"] = replace(server, updated="2026-11-18T10:50:00Z")
    assert names(find(records)) == ([name] if name == "task-stuck" else [])


def test_an_open_action_of_no_great_age_is_no_finding(nova: FakeNova) -> None:
    server = add(nova, task_state="image_uploading")
    nova.servers["s1"] = replace(server, updated="2026-11-18T10:50:00Z")
    deed = Deed("createImage", "req-1", 0.0, "c01", "compute_snapshot_instance")
    assert find(FakeRecords(nova, {"s1": deed})) == ()


def test_a_migration_that_goes_on_is_behind_it_and_one_that_stands_is_not(nova: FakeNova) -> None:
    add(nova)
    nova.live_migrate("s1", "c02", "req-1")
    nova.servers["s1"] = replace(nova.servers["s1"], updated=OLD)
    records = FakeRecords(nova)
    assert find(records) == ()
    nova.migrations[0] = replace(nova.migrations[0], updated=OLD)
    (found,) = find(records)
    assert found.kind.name == "task-stuck"
    assert "does not go on" in found.words


@pytest.mark.parametrize(("task", "name"), [("deleting", "delete-stuck"), ("spawning", "build-stuck")])
def test_deletions_and_builds_have_their_own_classes(nova: FakeNova, task: str, name: str) -> None:
    add(nova, task_state=task)
    assert names(find(FakeRecords(nova))) == [name]


def test_only_so_many_old_tasks_are_asked_about(nova: FakeNova) -> None:
    for number in range(30):
        nova.add_server(f"n{number}", "c01", task_state="rebooting", updated=OLD)
    records = FakeRecords(nova)
    assert len(find(records)) == 30
    assert records.calls.count("deed") == 10


# -- the hypervisor's own view


def domain(power: PowerState = PowerState.RUNNING, server_id: str = "s1", reason: str = "") -> Domain:
    return Domain(server_id, f"instance-{server_id}", power, reason)


def test_the_hypervisor_is_believed(nova: FakeNova) -> None:
    add(nova)
    (found,) = find(FakeRecords(nova), (domain(PowerState.PAUSED, reason="I/O error"),))
    assert found.kind.name == "paused-but-active"
    assert "I/O error" in found.words
    assert found.by_hypervisor
    assert names(find(FakeRecords(nova), ())) == ["no-guest"]


def test_a_stopped_server_need_not_be_defined(nova: FakeNova) -> None:
    add(nova, "stopped")
    assert find(FakeRecords(nova), ()) == ()


def test_a_record_that_lags_is_said_and_not_serious(nova: FakeNova) -> None:
    add(nova, power_state=PowerState.SHUTDOWN)
    (found,) = find(FakeRecords(nova), (domain(),))
    assert (found.kind.name, found.kind.serious) == ("power-behind", False)


def test_guests_that_nova_does_not_count_there(nova: FakeNova) -> None:
    for number in (1, 2):
        nova.add_server(f"other{number}", "c02")
    records = FakeRecords(nova)
    records.deleted["old"] = replace(nova.servers["other1"], id="old", vm_state="deleted")
    there = (
        domain(server_id="nobody"),
        domain(server_id="old"),
        domain(server_id="other1"),
        domain(PowerState.SHUTDOWN, server_id="other2"),
    )
    assert sorted(names(find(records, there))) == [
        "deleted-but-there", "left-over-guest", "two-guests", "unknown-guest",
    ]  # fmt: skip


def test_a_guest_on_the_move_is_no_second_one(nova: FakeNova) -> None:
    nova.add_server("other", "c02")
    nova.live_migrate("other", "c01", "req-1")
    assert find(FakeRecords(nova), (domain(server_id="other"),)) == ()


# -- the mend


def test_by_default_the_record_follows_the_guest_and_costs_nothing(nova: FakeNova) -> None:
    add(nova, power_state=PowerState.SHUTDOWN)
    facts = gather_states(FakeRecords(nova), "c01", older_than=OLDER_THAN)
    plan = plan_states(facts, StatesOptions())
    assert [step.id for step in plan.steps] == ["stop:s1"]
    assert plan.servers[0].risk is Risk.SAFE
    other = plan_states(facts, StatesOptions(nova_is_right=True))
    assert [(step.id, step.needs) for step in other.steps] == [("stop:s1", ()), ("start:s1", ("stop:s1",))]
    assert other.digest != plan.digest


def test_what_needs_a_person_is_a_finding_of_the_plan(nova: FakeNova) -> None:
    add(nova, "error", power_state=PowerState.SHUTDOWN)
    plan = plan_states(gather_states(FakeRecords(nova), "c01", older_than=OLDER_THAN), StatesOptions())
    assert plan.steps == ()
    assert [finding.code for finding in plan.findings] == ["error"]


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES.keys())
def test_every_class_tells_cause_and_mend(kind: object) -> None:
    each = CLASSES[kind.name]  # type: ignore[attr-defined]  # its own table
    assert each.seen and each.cause and each.mend  # noqa: PT018 - one fact
    rewrites = {Mend.SETTLE_ACTIVE, Mend.SETTLE_ERROR}
    if rewrites.intersection(each.guest_is_right):
        assert each.risk is Risk.FORCE
    assert bool(each.guest_is_right) is bool(each.nova_is_right)
