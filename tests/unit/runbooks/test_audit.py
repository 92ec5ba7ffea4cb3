"""What an audit calls a left-over, and what it does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from nodeops.gather.audit import gather_audit
from nodeops.model.facts import Attachment, Migration, Port
from nodeops.model.leftovers import EVERYWHERE
from nodeops.plan import Plan
from nodeops.runbooks.audit import Leftover, leftovers
from nodeops.runbooks.leftovers import CLASSES
from nodeops.runbooks.mend_leftovers import plan_audit
from tests.fake_databases import FakeRecords
from tests.fake_evacuation import come_back, evacuate, force_down
from tests.fake_nova import FakeNova
from tests.fake_world import FakeWorld, FaultKind, small_cloud

OLD = "2026-11-18T10:00:00"
SHAPE = {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10}


@pytest.fixture
def world() -> FakeWorld:
    """s01 has two volumes, the first its root."""
    world = small_cloud()
    world.nova.change("s01", volume_ids=("v1", "v2"), image_id=None, root_device="/dev/vda")
    return world


def found(world: FakeWorld, scope: str = EVERYWHERE) -> tuple[Leftover, ...]:
    return leftovers(gather_audit(world, scope, world.nova.clock.now()))


def kinds(world: FakeWorld, scope: str = EVERYWHERE) -> list[str]:
    return [each.kind.name for each in found(world, scope)]


def plan(world: FakeWorld, scope: str = EVERYWHERE) -> Plan:
    return plan_audit(gather_audit(world, scope, world.nova.clock.now()))


def failed_before(nova: FakeNova) -> None:
    """What tells that c02 had something to do with it."""
    nova.migrations.append(Migration(1, "m1", "s01", "live-migration", "error", "c01", "c02"))


def rewritten_by_hand(nova: FakeNova) -> None:
    """The old guide's SQL: the host alone, nothing else."""
    server = nova.servers["s01"]
    nova.neutron.freeze(server)
    nova.cinder.freeze(server)
    held = dict(nova.placement.of("s01"))
    nova.servers["s01"] = replace(server, host="c02")
    nova.placement.keep("s01", held)


def stray_allocation(nova: FakeNova) -> None:
    nova.placement.held["deleted"] = {"provider-c02": dict(SHAPE)}


def doubled_allocation(nova: FakeNova) -> None:
    nova.placement.held["s01"] = {"provider-c01": dict(SHAPE), "provider-c02": dict(SHAPE)}
    failed_before(nova)


def lost_allocation(nova: FakeNova) -> None:
    nova.placement.held["s01"] = {}


def inactive_binding(nova: FakeNova) -> None:
    nova.neutron.inactive.add(("port-s01", "c02"))


def port_elsewhere(nova: FakeNova) -> None:
    nova.neutron.keep(replace(nova.neutron.get("port-s01"), host="c02"))
    failed_before(nova)


def failed_binding(nova: FakeNova) -> None:
    nova.neutron.keep(replace(nova.neutron.get("port-s01"), vif_type="binding_failed", status="DOWN"))


def stray_port(nova: FakeNova) -> None:
    port = Port("port-x", "deleted", "c01", "DOWN", "ovs", device_owner="compute:nova")
    nova.neutron.bound[port.id] = port


def stray_attachment(nova: FakeNova) -> None:
    nova.cinder.made["a1"] = Attachment("a1", "v9", "deleted", "attached", "c01", "rbd")


def doubled_attachment(nova: FakeNova) -> None:
    nova.cinder.made["a1"] = Attachment("a1", "v1", "s01", "attaching", "c02", "rbd")


def dangling_attachment(nova: FakeNova) -> None:
    nova.cinder.made["a2"] = Attachment("a2", "v8", "s01", "attached", "c01", "rbd")


def lost_attachment(nova: FakeNova) -> None:
    nova.cinder.gone.add("attachment-v2-s01")


def attachment_elsewhere(nova: FakeNova) -> None:
    nova.cinder.freeze(nova.servers["s01"])
    nova.cinder.made["attachment-v2-s01"] = replace(nova.cinder.made["attachment-v2-s01"], host="c02")
    failed_before(nova)


def half_attached(nova: FakeNova) -> None:
    nova.cinder.freeze(nova.servers["s01"])
    nova.cinder.made["attachment-v2-s01"] = replace(nova.cinder.made["attachment-v2-s01"], status="reserved")


def wrong_case(nova: FakeNova) -> None:
    nova.neutron.freeze(nova.servers["s02"])
    nova.placement.held["s02"] = {}
    nova.servers["s02"] = replace(nova.servers["s02"], host="C01")


def wrong_node(nova: FakeNova) -> None:
    nova.servers["s03"] = replace(nova.servers["s03"], node="c02.example")


def open_migration(nova: FakeNova) -> None:
    nova.migrations.append(
        Migration(1, "m1", "s01", "live-migration", "running", "c01", "c02", created=OLD, updated=OLD)
    )


def dead_task(nova: FakeNova) -> None:
    nova.change("s01", task_state="image_uploading", updated=OLD)


BROKEN: dict[str, tuple[Callable[[FakeNova], None], set[str]]] = {
    "allocation-of-no-server": (stray_allocation, {"allocation-of-no-server"}),
    "allocation-elsewhere": (doubled_allocation, {"allocation-elsewhere"}),
    "allocation-missing": (lost_allocation, {"allocation-missing"}),
    "binding-left-over": (inactive_binding, {"binding-left-over"}),
    "port-elsewhere": (port_elsewhere, {"port-elsewhere"}),
    "port-not-bound": (failed_binding, {"port-not-bound"}),
    "port-of-no-server": (stray_port, {"port-of-no-server"}),
    "attachment-of-no-server": (stray_attachment, {"attachment-of-no-server"}),
    "attachment-doubled": (doubled_attachment, {"attachment-dangling"}),
    "attachment-dangling": (dangling_attachment, {"attachment-dangling"}),
    "attachment-missing": (lost_attachment, {"attachment-missing"}),
    "attachment-elsewhere": (attachment_elsewhere, {"attachment-elsewhere"}),
    "attachment-not-complete": (half_attached, {"attachment-not-complete"}),
    "host-unknown": (wrong_case, {"host-unknown", "port-elsewhere"}),
    "node-disagrees": (wrong_node, {"node-disagrees"}),
    "migration-open": (open_migration, {"migration-open"}),
    "task-stuck": (dead_task, {"task-stuck"}),
    "the old guide's SQL": (
        rewritten_by_hand,
        {"moved-without-record", "allocation-elsewhere", "port-elsewhere", "attachment-elsewhere",
         "node-disagrees"},
    ),
}  # fmt: skip


def test_a_clean_cloud_has_nothing(world: FakeWorld) -> None:
    assert kinds(world) == []
    assert kinds(world, "c01") == []


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found_in_the_cloud_and_on_the_host(world: FakeWorld, case: str) -> None:
    break_it, wanted = BROKEN[case]
    break_it(world.nova)
    assert {each.kind.name for each in found(world)} == wanted
    on_hosts = {name for host in world.nova.hosts for name in kinds(world, host)}
    assert wanted - {"host-unknown"} <= on_hosts


def test_what_is_under_way_is_no_left_over(world: FakeWorld) -> None:
    world.live_migrate("s01", "c02")
    world.nova.neutron.inactive.add(("port-s01", "c02"))
    doubled_attachment(world.nova)
    world.nova.placement.held["s01"] = {"provider-c01": dict(SHAPE), "provider-c02": dict(SHAPE)}
    assert kinds(world) == []


def test_what_waits_for_a_confirmation_is_no_left_over(world: FakeWorld) -> None:
    world.cold_migrate("s02", "c02")
    while world.nova.servers["s02"].vm_state != "resized":
        world.nova.clock.sleep(1)
    migration = world.nova.migrations[-1]
    world.nova.placement.held[migration.uuid] = {"provider-c01": dict(SHAPE)}
    assert kinds(world) == []


def test_an_evacuated_server_waits_for_its_old_host(world: FakeWorld) -> None:
    nova = world.nova
    nova.hosts["c01"] = replace(nova.hosts["c01"], up=False)
    force_down(nova, "service-c01", forced=True)
    evacuate(nova, "s02", "c02", "req-1")
    while nova.migrations[-1].status != "done":
        nova.clock.sleep(1)
    waiting = {each.kind.name for each in found(world) if each.id == "s02"}
    assert waiting == {"allocation-of-evacuated", "tombstone-waiting"}
    assert not any(CLASSES[name].serious for name in waiting)
    nova.clock.sleep(100)
    nova.hosts["c01"] = replace(nova.hosts["c01"], last_seen=nova.stamp())
    assert "tombstone-open" in kinds(world, "c01")
    force_down_lifted = replace(nova.hosts["c01"], up=True, forced_down=False, last_seen="")
    nova.hosts["c01"] = force_down_lifted
    assert "tombstone-open" in kinds(world, "c01")
    come_back(nova, "c01")
    assert kinds(world) == []


def test_the_databases_tell_more(world: FakeWorld) -> None:
    world.databases = FakeRecords(world.nova)
    facts = gather_audit(world, EVERYWHERE, world.nova.clock.now())
    assert leftovers(facts) == ()
    assert facts.records is not None
    row = facts.records["s02"]
    wrong = replace(facts, records={"s02": replace(row, compute_id=99)})
    assert [each.kind.name for each in leftovers(wrong)] == ["compute-id-disagrees"]
    row = facts.records["s01"]
    twice = replace(facts, records={"s01": replace(row, volumes=(*row.volumes, row.volumes[0]))})
    assert [each.kind.name for each in leftovers(twice)] == ["volume-doubled"]


def test_the_plan_has_a_step_for_each_that_the_api_can_mend(world: FakeWorld) -> None:
    for name in ("allocation-of-no-server", "binding-left-over", "attachment-dangling", "task-stuck"):
        BROKEN[name][0](world.nova)
    world.nova.change("s01", task_state=None)
    dead = replace(world.nova.servers["s03"], task_state="image_uploading", updated=OLD)
    world.nova.servers["s03"] = dead
    made = plan(world)
    assert sorted(step.id for step in made.steps) == [
        "delete-attachment:s01:a2",
        "delete-binding:s01:port-s01:c02",
        "drop-allocation:deleted",
        "settle-active:s03",
    ]
    assert {server.id for server in made.servers} == {"s01", "s03", "deleted"}
    assert made.digest == plan(world).digest


def test_what_needs_a_person_is_a_finding_of_the_plan(world: FakeWorld) -> None:
    wrong_node(world.nova)
    made = plan(world)
    assert made.steps == ()
    assert [finding.code for finding in made.findings] == ["node-disagrees"]
    assert "name-of-s03" in made.findings[0].words


def test_calls_do_not_grow_with_the_servers() -> None:
    few, many = small_cloud(servers=3), small_cloud(servers=300)
    for world in (few, many):
        gather_audit(world, EVERYWHERE, world.nova.clock.now())
    assert len(few.calls) == len(many.calls)


def test_what_cannot_be_asked_is_said(world: FakeWorld) -> None:
    def refuse(name: str, _: tuple[object, ...]) -> None:
        if name == "attachments":
            world.faults[len(world.calls)] = FaultKind.UNAVAILABLE

    world.before.append(refuse)
    facts = gather_audit(world, EVERYWHERE, world.nova.clock.now())
    assert facts.attachments is None
    assert any("volume attachments" in words for words in facts.unseen)
    assert leftovers(facts) == ()
