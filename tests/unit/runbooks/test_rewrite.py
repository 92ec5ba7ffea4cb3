"""What a failover by the database refuses, by name, and what it plans for the rest."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nodeops.model.facts import (
    Attachment,
    Flavor,
    Host,
    HostSettings,
    Identity,
    Inquest,
    Life,
    NetworkAgent,
    Port,
    Resource,
    Server,
    ServerGroup,
    Storage,
)
from nodeops.model.records import (
    BindingRecord,
    HostRecords,
    NodeRecord,
    Schema,
    ServerRecord,
    TombstoneRecord,
    VolumeRecord,
)
from nodeops.model.rewriting import Bindings, RewriteFacts
from nodeops.plan import Action, Level, Plan, Risk, Step
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.rewrite import plan_rewrite
from nodeops.runbooks.rewrite_classes import OF_A_REWRITE
from nodeops.runbooks.rewrite_scene import RewriteOptions, rewrite_options

SHAPE = {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10}
FLAVOR = Flavor("m1", 1, 1024, 10)
ALLOWED = frozenset({"use-evacuate", "memory-lost"})
CONNECTOR = {"host": "c02", "initiator": "iqn.2026-11.example:c02"}

Change = Callable[[RewriteFacts], RewriteFacts]


def node(name: str, number: int, **changes: Any) -> NodeRecord:
    made = NodeRecord(name, f"{name}.example", number, f"rp-{name}", "192.0.2.1", "QEMU", "cell-1")
    return replace(made, **changes)


def server(name: str, **changes: Any) -> Server:
    made = Server(
        name, f"{name}-name", "c01", "c01.example", "ACTIVE", "active", None, 1, FLAVOR,
        image_id="image", zone="nova",
    )  # fmt: skip
    return replace(made, **changes)


def binding(name: str, **changes: Any) -> BindingRecord:
    made = BindingRecord(f"port-{name}", name, "c01", "ACTIVE", "normal", "ovs", "compute:nova", levels=1)
    return replace(made, **changes)


def record(name: str, **changes: Any) -> ServerRecord:
    made = ServerRecord(
        name, f"{name}-name", "c01", "c01.example", 1, "active", None, 1, "nova", "cell-1",
        "2026-11-21T09:00:00.000000", bindings=(binding(name),),
    )  # fmt: skip
    return replace(made, **changes)


def volume(name: str, number: int = 1, driver: str = "iscsi", **changes: Any) -> VolumeRecord:
    made = VolumeRecord(number, name, f"v{number}", f"a{number}", "/dev/vdb", None, driver)
    return replace(made, **changes)


def facts(*names: str) -> RewriteFacts:
    room = {kind: Resource(10 * amount, 0) for kind, amount in SHAPE.items()}
    shared = HostSettings(Storage.SHARED)
    source = Host("c01", "s1", up=False, enabled=False, forced_down=True, provider_id="rp-c01")
    target = Host("c02", "s2", provider_id="rp-c02", resources=room)
    agent = NetworkAgent("agent", "Open vSwitch agent", "neutron-openvswitch-agent", "c02", alive=True)
    records = HostRecords(
        Schema("ab450ba04102", neutron=("x", "y"), releases=("2026.2",), has_compute_id=True),
        node("c01", 1),
        node("c02", 2),
        tuple(record(name) for name in names),
    )
    return RewriteFacts(
        identity=Identity("cloud", "http://cloud", "one", "admin", "admin", "2.104"),
        host=source,
        target=target,
        servers=tuple(server(name) for name in names),
        records=records,
        inquest=Inquest("c01", Life.DEAD, "power is off", ()),
        held={name: {"rp-c01": SHAPE} for name in names},
        source_tree=frozenset({"rp-c01", "gpu-c01"}),
        target_tree=frozenset({"rp-c02"}),
        ports=tuple(Port(f"port-{name}", name, "c01", "ACTIVE", "ovs") for name in names),
        agents=(agent,),
        attachments=(),
        settings={"c01": shared, "c02": shared},
    )


def options(**changes: Any) -> RewriteOptions:
    move = MoveOptions(allow=ALLOWED, to=("c02",), parallel=4, canary=False)
    return replace(RewriteOptions(move), **changes)


def of_row(**changes: Any) -> Change:
    def change(known: RewriteFacts) -> RewriteFacts:
        records = tuple(replace(each, **changes) for each in known.records.servers)
        return replace(known, records=replace(known.records, servers=records))

    return change


def of_server(**changes: Any) -> Change:
    return lambda known: replace(known, servers=tuple(replace(s, **changes) for s in known.servers))


def of_target(**changes: Any) -> Change:
    return lambda known: replace(known, target=replace(known.target, **changes))


def of_node(**changes: Any) -> Change:
    def change(known: RewriteFacts) -> RewriteFacts:
        return replace(known, records=replace(known.records, target=node("c02", 2, **changes)))

    return change


def of_facts(**changes: Any) -> Change:
    return lambda known: replace(known, **changes)


def with_volumes(*volumes: VolumeRecord, known: Mapping[str, str] | None = None) -> Change:
    """`known`: attachments that Cinder has, with their volumes; by default those of the rows."""
    has = known if known is not None else {str(v.attachment_id): v.volume_id for v in volumes}
    attachments = tuple(Attachment(key, value, "s", "attached") for key, value in has.items())

    def change(facts_: RewriteFacts) -> RewriteFacts:
        return replace(of_row(volumes=volumes)(facts_), attachments=attachments, connector=CONNECTOR)

    return change


def both(*changes: Change) -> Change:
    def change(known: RewriteFacts) -> RewriteFacts:
        for each in changes:
            known = each(known)
        return known

    return change


def extra(**specs: str) -> Change:
    return of_server(flavor=replace(FLAVOR, extra_specs={k.replace("__", ":"): v for k, v in specs.items()}))


def in_state(vm_state: str) -> Change:
    return both(of_server(vm_state=vm_state, status=vm_state.upper()), of_row(vm_state=vm_state))


REFUSALS: Mapping[str, tuple[str, Change]] = {
    "target in another cell": ("other-cell", of_node(cell="cell-2")),
    "server in another cell": ("other-cell", of_row(cell="cell-2")),
    "target with two nodes": ("not-one-node", of_node(nodes=2)),
    "target without a node": (
        "not-one-node",
        lambda known: replace(known, records=replace(known.records, target=None)),
    ),
    "target disabled": ("target-not-serving", of_target(enabled=False)),
    "target down": ("target-not-serving", of_target(up=False)),
    "target disabled in its row": ("target-not-serving", of_node(service_up=False)),
    "another hypervisor": ("other-hypervisor", of_node(hypervisor_type="VMware vCenter Server")),
    "no row": ("records-disagree", of_facts(records=facts().records)),
    "half rewritten by hand": ("records-disagree", of_row(node="c09.example")),
    "state changed": ("records-disagree", of_row(vm_state="stopped")),
    "never ran": ("never-started", of_row(launched=False)),
    "being deleted": ("deleting", of_row(task_state="deleting")),
    "resizing": ("task-cut-off", of_row(task_state="resize_migrated")),
    "rebuilding": ("task-cut-off", of_row(task_state="rebuilding")),
    "rescued": ("state-not-moved", in_state("rescued")),
    "offloaded": ("state-not-moved", in_state("shelved_offloaded")),
    "resized": ("resize-unfinished", of_row(migration_context=True)),
    "migration open": ("migration-open", of_row(open_migrations=("live-migration running",))),
    "pinned": ("numa-claimed", of_row(numa=True)),
    "pci": ("pci-claimed", of_row(pci=True)),
    "pci by flavor": ("pci-claimed", extra(pci_passthrough__alias="gpu:1")),
    "pmem": ("resources-claimed", of_row(resources=True)),
    "vgpu": ("resources-claimed", extra(resources__VGPU="1")),
    "accelerator": ("resources-claimed", extra(accel__device_profile="fpga")),
    "shares": ("shares-mounted", of_row(shares=True)),
    "vtpm": ("vtpm", extra(hw__tpm_version="2.0")),
    "placement silent": ("placement-silent", of_facts(held=None)),
    "no allocation": ("no-allocation", of_facts(held={})),
    "nested": ("nested-allocation", of_facts(held={"s": {"rp-c01": SHAPE, "gpu-c01": {"VGPU": 1}}})),
    "on both": ("target-holds", of_facts(held={"s": {"rp-c01": SHAPE, "rp-c02": SHAPE}})),
    "too large": ("too-large", of_target(resources={"VCPU": Resource(1, 1)})),
    "pinned to a zone": ("pinned-az", of_row(pinned_zone="az9")),
    "neutron silent": ("network-silent", of_facts(ports=None)),
    "agents silent": ("network-silent", of_facts(agents=None)),
    "no agent": ("agent-dead", of_facts(agents=())),
    "agent dead": (
        "agent-dead",
        lambda known: replace(known, agents=tuple(replace(a, alive=False) for a in known.agents or ())),
    ),
    "sr-iov": ("port-not-moved", of_row(bindings=(binding("s", vnic_type="direct"),))),
    "migrating port": ("port-not-moved", of_row(bindings=(binding("s", profile='{"migrating_to": "c3"}'),))),
    "bandwidth": (
        "port-not-moved",
        of_facts(ports=(Port("port-s", "s", "c01", "ACTIVE", "ovs", has_resource_request=True),)),
    ),
    "port elsewhere": ("port-elsewhere", of_row(bindings=(binding("s", host="c03"),))),
    "local disk": ("disk-left-behind", of_facts(settings={"c01": HostSettings(Storage.LOCAL)})),
    "storage not known": ("disk-left-behind", of_facts(settings={})),
    "cinder silent": ("volume-silent", both(with_volumes(volume("s")), of_facts(attachments=None))),
    "attached in the old way": ("volume-odd", with_volumes(volume("s", attachment_id=None))),
    "attachment gone": ("volume-odd", with_volumes(volume("s"), known={})),
    "attached twice": ("volume-odd", with_volumes(volume("s"), known={"a1": "v1", "a9": "v1"})),
    "shared volume": ("volume-odd", with_volumes(volume("s", multiattach=True))),
    "no connector": ("connector-missing", both(with_volumes(volume("s")), of_facts(connector=None))),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change"), REFUSALS.values(), ids=REFUSALS)
def test_refused(name: str, change: Change) -> None:
    plan = plan_rewrite(change(facts("s")), options())
    (planned,) = plan.servers
    assert [each.refusal_class for each in planned.refusals] == [name]
    assert planned.action is Action.NONE
    assert plan.steps == ()
    assert planned.refusals[0].override is None or CLASSES[name].risk is not None


def test_every_class_of_a_rewrite_has_a_case() -> None:
    undo = {"has-run", "old-host-back", "not-ours", "not-saved", "attachment-gone"}
    tested = {name for name, _ in REFUSALS.values()} | undo | {"use-evacuate"}
    assert {each.name for each in OF_A_REWRITE} <= tested


@pytest.mark.parametrize("vm_state", ["active", "stopped", "error"])
def test_what_nova_evacuates_is_left_to_it(vm_state: str) -> None:
    plan = plan_rewrite(
        in_state(vm_state)(facts("s")), RewriteOptions(MoveOptions(to=("c02",), risk=Risk.FORCE))
    )
    (planned,) = plan.servers
    assert [(each.refusal_class, each.override) for each in planned.refusals] == [
        ("use-evacuate", "--allow use-evacuate")
    ]


@pytest.mark.parametrize("vm_state", ["paused", "suspended"])
def test_lost_memory_has_to_be_allowed(vm_state: str) -> None:
    known = in_state(vm_state)(facts("s"))
    plan = plan_rewrite(known, RewriteOptions(MoveOptions(to=("c02",))))
    assert plan.servers[0].refusals[0].refusal_class == "memory-lost"
    plan = plan_rewrite(known, options())
    assert plan.steps[-1].action == "reboot-hard"
    assert plan.servers[0].state["vm_state"] == "active"


def actions(plan: Plan, subject: str = "s") -> list[str]:
    return [step.action for step in plan.steps if step.subject_id == subject]


def step(plan: Plan, key: str) -> Step:
    return next(each for each in plan.steps if each.id == key)


def test_the_steps_in_their_order() -> None:
    known = with_volumes(volume("s"))(facts("s"))
    plan = plan_rewrite(replace(known, host=replace(known.host, enabled=True, forced_down=False)), options())
    assert [each.id for each in plan.steps] == [
        "disable-service:c01",
        "force-down:c01",
        "save-images:c01",
        "rewrite-allocation:s",
        "rewrite-records:s",
        "rewrite-bindings:s",
        "bind-ports:s",
        "renew-attachments:s",
        "reboot-hard:s",
    ]
    for before, after in zip(plan.steps, plan.steps[1:], strict=False):
        assert after.needs == (before.id,)


def test_a_stopped_and_a_shelved_one_are_not_started() -> None:
    for vm_state in ("stopped", "shelved"):
        plan = plan_rewrite(in_state(vm_state)(facts("s")), options())
        assert "reboot-hard" not in actions(plan)
        assert "power_state" not in _said(step(plan, "rewrite-records:s"), "changed")
        assert plan.servers[0].state["vm_state"] == vm_state


def _said(found: Step, name: str) -> Mapping[str, Any]:
    said = found.params[name]
    assert isinstance(said, Mapping)
    return said


@pytest.mark.parametrize(
    ("way", "wanted"),
    [
        (Bindings.BOTH, ["rewrite-bindings", "bind-ports"]),
        (Bindings.API, ["bind-ports"]),
        (Bindings.DATABASE, ["rewrite-bindings"]),
    ],
)
def test_ways_of_binding(way: Bindings, wanted: list[str]) -> None:
    plan = plan_rewrite(facts("s"), options(bindings=way))
    assert [each for each in actions(plan) if "bind" in each] == wanted
    if way.in_database:
        assert step(plan, "rewrite-bindings:s").params["unbind"] is way.by_api


def test_a_silent_neutron_is_no_matter_to_the_database_way() -> None:
    plan = plan_rewrite(replace(facts("s"), ports=None, agents=None), options(bindings=Bindings.DATABASE))
    assert not plan.refused
    assert "neutron-not-told" in {each.code for each in plan.findings}


def test_an_inactive_binding_on_the_target_is_removed_by_the_rows_only() -> None:
    left = (binding("s"), binding("s", host="c02", status="INACTIVE"))
    known = of_row(bindings=left)(facts("s"))
    assert not plan_rewrite(known, options()).refused
    plan = plan_rewrite(known, options(bindings=Bindings.API))
    assert plan.servers[0].refusals[0].refusal_class == "port-not-moved"


def test_ports_of_routers_are_left_alone() -> None:
    router = binding("s", port_id="router", device_owner="network:router_interface", host="c09")
    plan = plan_rewrite(of_row(bindings=(binding("s"), router))(facts("s")), options())
    assert step(plan, "rewrite-bindings:s").params["ports"] == ["port-s"]


def test_the_row_and_the_tombstone() -> None:
    found = step(plan_rewrite(facts("s"), options()), "rewrite-records:s")
    assert _said(found, "expected") == {
        "host": "c01",
        "node": "c01.example",
        "vm_state": "active",
        "task_state": None,
        "updated_at": "2026-11-21T09:00:00.000000",
    }
    assert _said(found, "changed") == {
        "host": "c02",
        "node": "c02.example",
        "launched_on": "c02",
        "availability_zone": "nova",
        "task_state": None,
        "compute_id": 2,
        "power_state": 0,
    }
    tombstone = _said(found, "tombstone")
    assert (tombstone["migration_type"], tombstone["status"]) == ("evacuation", "done")
    assert (tombstone["source_compute"], tombstone["dest_compute"]) == ("c01", "c02")


def test_an_older_schema_has_no_compute_id() -> None:
    known = facts("s")
    schema = replace(known.records.schema, has_compute_id=False)
    plan = plan_rewrite(replace(known, records=replace(known.records, schema=schema)), options())
    said = step(plan, "rewrite-records:s")
    assert "compute_id" not in _said(said, "changed")
    assert "dest_compute_id" not in _said(said, "tombstone")


def test_the_same_row_has_the_same_tombstone_and_a_later_one_another() -> None:
    first = plan_rewrite(facts("s"), options())
    assert first.digest == plan_rewrite(facts("s"), options()).digest
    later = plan_rewrite(of_row(updated_at="2026-11-21T10:00:00.000000")(facts("s")), options())
    uuids = {_said(step(plan, "rewrite-records:s"), "tombstone")["uuid"] for plan in (first, later)}
    assert len(uuids) == 2
    assert first.digest != later.digest


def test_volumes_that_any_host_can_use() -> None:
    known = with_volumes(volume("s", driver="rbd"))(facts("s"))
    assert "renew-attachments" in actions(plan_rewrite(known, options()))
    for kept in (replace(known, connector=None), known):
        way = options(keep_attachments=kept is known)
        plan = plan_rewrite(kept, way)
        assert not plan.refused
        assert "renew-attachments" not in actions(plan)
        assert "attachments-kept" in {each.code for each in plan.findings}


def test_host_bound_volumes_are_attached_anew_whatever_is_said() -> None:
    plan = plan_rewrite(with_volumes(volume("s"))(facts("s")), options(keep_attachments=True))
    assert "renew-attachments" in actions(plan)


def test_a_disk_that_placement_counts_elsewhere_is_shared() -> None:
    held = {"s": {"rp-c01": {"VCPU": 1, "MEMORY_MB": 1024}}}
    assert not plan_rewrite(replace(facts("s"), settings={}, held=held), options()).refused


def test_room_for_all_of_them_together() -> None:
    known = facts("a", "b", "c")
    room = {"VCPU": Resource(2, 0), "MEMORY_MB": Resource(9999, 0), "DISK_GB": Resource(9999, 0)}
    plan = plan_rewrite(replace(known, target=replace(known.target, resources=room)), options())
    assert [(each.name, [r.refusal_class for r in each.refusals]) for each in plan.servers] == [
        ("a-name", []),
        ("b-name", []),
        ("c-name", ["no-room"]),
    ]
    assert not plan.fits


def grouped(policy: str, *members: str, places: Mapping[str, str | None], most: int = 1) -> RewriteFacts:
    group = ServerGroup("g", "group", policy, members, most, places)
    return replace(facts("a", "b"), groups=(group,))


def test_anti_affinity_lets_in_as_many_as_may_be() -> None:
    known = grouped("anti-affinity", "a", "b", places={"a": "c01", "b": "c01"})
    plan = plan_rewrite(known, options())
    assert [[r.refusal_class for r in each.refusals] for each in plan.servers] == [[], ["anti-affinity"]]
    known = grouped("anti-affinity", "a", "x", places={"a": "c01", "x": "c02"})
    assert [each.name for each in plan_rewrite(known, options()).refused] == ["a-name"]


def test_affinity_goes_together_or_not_at_all() -> None:
    known = grouped("affinity", "a", "b", places={"a": "c01", "b": "c01"})
    assert not plan_rewrite(known, options()).refused
    records = tuple(replace(each, numa=each.id == "b") for each in known.records.servers)
    plan = plan_rewrite(replace(known, records=replace(known.records, servers=records)), options())
    assert [[r.refusal_class for r in each.refusals] for each in plan.servers] == [
        ["affinity"],
        ["numa-claimed"],
    ]
    known = grouped("affinity", "a", "x", places={"a": "c01", "x": "c03"})
    assert [each.name for each in plan_rewrite(known, options()).refused] == ["a-name"]


def codes(plan: Plan, level: Level) -> set[str]:
    return {each.code for each in plan.findings if each.level is level}


def test_a_host_that_is_not_proved_dead() -> None:
    known = replace(facts("s"), inquest=None)
    assert "not-proved-dead" in codes(plan_rewrite(known, options()), Level.ERROR)
    assert "fenced-by-word" in codes(plan_rewrite(known, options(fenced_by="outlet 7")), Level.WARNING)
    alive = replace(known, inquest=Inquest("c01", Life.ALIVE, "it answers", ()))
    assert "host-alive" in codes(plan_rewrite(alive, options(fenced_by="outlet 7")), Level.ERROR)
    up = replace(known, host=replace(known.host, up=True, forced_down=False))
    assert "host-up" in codes(plan_rewrite(up, options()), Level.ERROR)


def test_rights_and_schema() -> None:
    known = replace(facts("s"), rights=("may not UPDATE nova.instances",))
    assert "rights-missing" in codes(plan_rewrite(known, options()), Level.ERROR)
    schema = Schema("ffffffffffff", neutron=("x", "y"))
    known = replace(known, rights=(), records=replace(known.records, schema=schema))
    assert "schema-unknown" in codes(plan_rewrite(known, options()), Level.WARNING)
    without = replace(known, records=replace(known.records, schema=replace(schema, neutron=())))
    assert "neutron-database-missing" in codes(plan_rewrite(without, options()), Level.ERROR)
    plan = plan_rewrite(without, options(bindings=Bindings.API))
    assert "neutron-database-missing" not in codes(plan, Level.ERROR)
    assert "bind-ports" in actions(plan)


def test_the_options_are_found_again() -> None:
    said = options(bindings=Bindings.API, keep_attachments=True, fenced_by="outlet 7", connector="c.json")
    found = rewrite_options(plan_rewrite(facts("s"), said))
    assert replace(found, move=replace(found.move, prefer={})) == said


def test_a_server_that_was_rewritten_is_gone_on_with() -> None:
    """Only what is seen not to be done is planned again, and as it was planned."""
    first = plan_rewrite(with_volumes(volume("s"))(facts("s")), options())
    steps = {each.id: each for each in first.steps}
    uuid = str(_said(steps["rewrite-records:s"], "tombstone")["uuid"])
    known = with_volumes(volume("s"))(facts("s"))
    there = of_row(host="c02", node="c02.example", compute_id=2, power_state=0)(known)
    there = of_server(host="c02", node="c02.example", power_state=0)(there)
    there = replace(
        there,
        records=replace(there.records, tombstones=(TombstoneRecord(uuid, "s", "c01", "c02", "done"),)),
        held={"s": {"rp-c02": SHAPE}},
        earlier=steps,
        sent=frozenset({"rewrite-records:s"}),
    )
    plan = plan_rewrite(there, options())
    assert actions(plan) == ["rewrite-bindings", "bind-ports", "renew-attachments", "reboot-hard"]
    assert step(plan, "renew-attachments:s") == steps["renew-attachments:s"]
    other = replace(there, records=replace(there.records, tombstones=()))
    assert plan_rewrite(other, options()).servers == ()
