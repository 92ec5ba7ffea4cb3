"""What the actions of a rewrite see, when somebody else was at it, and what a refusal means."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.actions.action import Action, Look, Sent, State
from nodeops.actions.allocation import MoveAllocation
from nodeops.actions.attachments import RenewAttachments, Volume, stored
from nodeops.actions.bind_ports import BindPorts, TellNeutron
from nodeops.actions.reboot import RebootHard
from nodeops.actions.rewrite_bindings import RewriteBindings
from nodeops.actions.rewrite_records import RestoreRecords, RewriteRecords
from nodeops.actions.save_images import SaveImages
from nodeops.errors import ApiError, ConfigurationError, RecordsChangedError
from nodeops.gather.rewrite import gather_rewrite
from nodeops.model import undo_file
from nodeops.model.facts import Explanation, PowerState
from nodeops.plan import Json, Plan, Step
from nodeops.runbooks.rewrite import plan_rewrite
from tests.fake_databases import FakeRecords
from tests.fake_world import FakeWorld
from tests.faults.rewrite_scenario import DEAD, OPTIONS, SHARED, dead_host

UNSURE = Sent(at=0.0, ambiguous=True, waited=1.0)
SETTLED = Sent(at=0.0, ambiguous=True, waited=60.0)
ANSWERED = Sent(at=0.0, request_id="req-1", waited=5.0)


@pytest.fixture
def world() -> FakeWorld:
    nova = dead_host("runs", "off")
    return FakeWorld(nova, databases=FakeRecords(nova))


@pytest.fixture
def plan(world: FakeWorld) -> Plan:
    return plan_rewrite(gather_rewrite(world, "c01", "c02", DEAD, SHARED), OPTIONS)


def step(plan: Plan, key: str, **params: Json) -> Step:
    found = next(each for each in plan.steps if each.id == key)
    return replace(found, params={**found.params, **params})


def look(action: Action, world: FakeWorld, of: Step, sent: Sent | None = None) -> Look:
    return action.look(world, of, sent)


@pytest.mark.parametrize(
    ("action", "key"),
    [
        (MoveAllocation(), "rewrite-allocation:runs"),
        (RewriteRecords(), "rewrite-records:runs"),
        (RewriteBindings(), "rewrite-bindings:runs"),
        (BindPorts(), "bind-ports:runs"),
        (RenewAttachments(), "renew-attachments:vols"),
    ],
)
def test_before_and_after(world: FakeWorld, plan: Plan, action: Action, key: str) -> None:
    of = step(plan, key)
    assert look(action, world, of).state is State.READY
    assert look(action, world, of, UNSURE).state is State.MOVING
    assert look(action, world, of, SETTLED).state is State.READY
    assert look(action, world, of, ANSWERED).state is State.FAILED
    action.act(world, of)
    assert look(action, world, of).state is State.DONE


def test_a_server_that_is_gone(world: FakeWorld, plan: Plan) -> None:
    world.nova.delete("runs")
    for action in (RewriteRecords(), RewriteBindings(), RebootHard()):
        key = f"{action.name}:runs"
        assert look(action, world, step(plan, key)).state is State.BLOCKED
    world.nova.delete("vols")
    assert look(RenewAttachments(), world, step(plan, "renew-attachments:vols")).state is State.BLOCKED


def test_an_allocation_that_somebody_else_has_changed(world: FakeWorld, plan: Plan) -> None:
    of, held = step(plan, "rewrite-allocation:runs"), world.nova.placement.of("runs")
    source, target = str(of.params["source"]), str(of.params["target"])
    for odd in ({source: held[source], target: held[source]}, {"provider-c03": held[source]}):
        world.nova.placement.keep("runs", odd)
        assert look(MoveAllocation(), world, of).state is State.BLOCKED


@pytest.mark.parametrize(
    ("words", "retry"),
    [("consumer generation conflict", True), ("Unable to allocate inventory: VCPU", False)],
)
def test_conflicts_of_placement(plan: Plan, *, words: str, retry: bool) -> None:
    said = ApiError(words, status=409)
    assert MoveAllocation().refused(step(plan, "rewrite-allocation:runs"), said).retry is retry


def test_a_row_that_is_not_as_planned(world: FakeWorld, plan: Plan) -> None:
    of = step(plan, "rewrite-records:runs")
    world.nova.change("runs", vm_state="error")
    found = look(RewriteRecords(), world, of)
    assert found.state is State.BLOCKED
    assert "vm_state is error and was active" in found.words
    world.nova.change("runs", vm_state="active", host="c02")
    assert "not by this rewrite" in look(RewriteRecords(), world, of).words


@pytest.mark.parametrize("action", [RewriteRecords(), RewriteBindings()], ids=lambda each: each.name)
def test_many_are_seen_as_each_of_them_alone(
    world: FakeWorld, plan: Plan, action: RewriteRecords | RewriteBindings
) -> None:
    steps = [each for each in plan.steps if each.action == action.name]
    assert len(steps) > 1
    action.act(world, steps[0])
    for sent in (None, UNSURE, ANSWERED):
        alone = [action.look(world, each, sent) for each in steps]
        asked = len(world.calls)
        assert action.look_at_many(world, [(each, sent) for each in steps]) == alone
        assert len(world.calls) - asked <= 2
    assert action.look(world, steps[0], None).state is State.DONE


def test_what_a_database_says(plan: Plan) -> None:
    of = step(plan, "rewrite-records:runs")
    assert not RewriteRecords().refused(of, RecordsChangedError("row changed")).retry
    assert RewriteRecords().refused(of, ApiError("deadlock", status=500)).retry


def test_a_port_that_neutron_cannot_bind(world: FakeWorld, plan: Plan) -> None:
    of = step(plan, "bind-ports:runs")
    world.nova.neutron.dead_agents.add("c02")
    BindPorts().act(world, of)
    found = look(BindPorts(), world, of, ANSWERED)
    assert found.state is State.FAILED
    assert "cannot bind port port-runs on c02" in found.words
    world.nova.neutron.dead_agents.clear()
    BindPorts().act(world, of)
    assert look(BindPorts(), world, of, ANSWERED).state is State.DONE


def test_a_port_whose_row_was_rewritten_is_unbound_first(world: FakeWorld, plan: Plan) -> None:
    RewriteBindings().act(world, step(plan, "rewrite-bindings:runs"))
    of = step(plan, "bind-ports:runs")
    assert look(BindPorts(), world, of).state is State.READY
    BindPorts().act(world, of)
    asked = [call.arguments[1] for call in world.named("bind_port")]
    assert asked == ["", "c02"]


def test_a_port_that_is_somewhere_else(world: FakeWorld, plan: Plan) -> None:
    world.nova.neutron.bind("port-runs", "c03", None)
    assert look(BindPorts(), world, step(plan, "bind-ports:runs")).state is State.BLOCKED
    assert look(RewriteBindings(), world, step(plan, "rewrite-bindings:runs")).state is State.BLOCKED


def test_neutron_is_told_of_ports_that_are_there(world: FakeWorld, plan: Plan) -> None:
    of = step(plan, "bind-ports:runs", target="c01")
    assert look(TellNeutron(), world, of).state is State.READY
    TellNeutron().act(world, of)
    assert look(TellNeutron(), world, of, ANSWERED).state is State.DONE
    assert world.nova.neutron.get("port-runs").vif_type == "ovs"
    world.nova.neutron.bind("port-runs", "c03", None)
    assert look(TellNeutron(), world, of).state is State.BLOCKED


def test_a_volume_that_was_detached(world: FakeWorld, plan: Plan) -> None:
    of = step(plan, "renew-attachments:vols")
    world.nova.servers["vols"] = replace(world.nova.servers["vols"], volume_ids=("v1",))
    assert "not attached to it any more" in look(RenewAttachments(), world, of).words


def test_a_connection_as_nova_keeps_it() -> None:
    volume = Volume("v1", 1, "a1", "", "/dev/vdb", multiattach=True, current="a1", attachments={})
    info = {"driver_volume_type": "iscsi", "target_lun": 1, "attachment_id": "a2"}
    found = stored(info, "s1", volume)
    assert found["driver_volume_type"] == "iscsi"
    assert found["data"] == {"target_lun": 1}
    assert (found["serial"], found["instance"], found["multiattach"]) == ("v1", "s1", True)


def test_a_reboot(world: FakeWorld, plan: Plan) -> None:
    for key in ("rewrite-allocation", "rewrite-records"):
        action = MoveAllocation() if key == "rewrite-allocation" else RewriteRecords()
        action.act(world, step(plan, f"{key}:runs"))
    of = step(plan, "reboot-hard:runs")
    assert look(RebootHard(), world, of).state is State.READY
    RebootHard().act(world, of)
    assert look(RebootHard(), world, of, ANSWERED).state is State.MOVING
    assert look(RebootHard(), world, of).state is State.MOVING  # whoever asked for it
    world.nova.clock.sleep(5)
    assert look(RebootHard(), world, of, ANSWERED).state is State.DONE
    world.nova.change("runs", vm_state="error", power_state=PowerState.SHUTDOWN)
    world.nova.explanations["req-1"] = Explanation("no such disk", "req-1")
    found = look(RebootHard(), world, of, ANSWERED)
    assert (found.state, "no such disk" in found.words) == (State.FAILED, True)
    world.nova.change("runs", host="c03")
    assert look(RebootHard(), world, of).state is State.BLOCKED


class TestUndoFile:
    def test_another_runs_file_is_not_touched(self, world: FakeWorld, plan: Plan, tmp_path: Path) -> None:
        of, action = step(plan, "save-images:c01", run="f-1"), SaveImages(directory=tmp_path)
        path = undo_file.path_of("f-1", tmp_path)
        undo_file.write(path, undo_file.UndoFile("f-1", "another cloud", "c01"))
        before = path.read_bytes()
        assert look(action, world, of).state is State.BLOCKED
        assert path.read_bytes() == before

    def test_what_is_saved_stays_and_what_is_missing_is_added(
        self, world: FakeWorld, plan: Plan, tmp_path: Path
    ) -> None:
        action = SaveImages(directory=tmp_path)
        of = step(plan, "save-images:c01", run="f-1", servers=["runs"])
        action.act(world, of)
        assert look(action, world, of).state is State.DONE
        world.nova.change("runs", vm_state="error")
        more = step(plan, "save-images:c01", run="f-1", servers=["runs", "off"])
        assert look(action, world, more).state is State.READY
        action.act(world, more)
        saved = undo_file.read(undo_file.path_of("f-1", tmp_path))
        assert saved is not None
        assert saved.servers["runs"].tables["instances"][0]["vm_state"] == "active"
        assert saved.servers.keys() == {"runs", "off"}

    def test_a_disk_that_takes_nothing(self, world: FakeWorld, plan: Plan) -> None:
        of, action = step(plan, "save-images:c01", run="f-1"), SaveImages(directory=Path("/proc"))
        with pytest.raises(ApiError, match="undo file") as raised:
            action.act(world, of)
        assert not action.refused(of, raised.value).retry

    def test_what_is_no_undo_file(self, world: FakeWorld, plan: Plan, tmp_path: Path) -> None:
        of, action = step(plan, "save-images:c01", run="f-1"), SaveImages(directory=tmp_path)
        for text in ("{", "[]", '{"format": "nodeops undo", "version": 99}'):
            undo_file.path_of("f-1", tmp_path).write_text(text)
            assert look(action, world, of).state is State.BLOCKED
            with pytest.raises(ConfigurationError):
                undo_file.read(undo_file.path_of("f-1", tmp_path))

    def test_a_restore_without_it_fails_alone(self, world: FakeWorld, plan: Plan, tmp_path: Path) -> None:
        of = step(plan, "rewrite-records:runs", run="f-1")
        RewriteRecords().act(world, of)
        action = RestoreRecords(directory=tmp_path)
        assert look(action, world, of).state is State.READY
        with pytest.raises(RecordsChangedError):
            action.act(world, of)

    def test_a_restore_when_the_old_host_is_back(self, world: FakeWorld, plan: Plan) -> None:
        of = step(plan, "rewrite-records:runs", run="f-1")
        RewriteRecords().act(world, of)
        world.nova.set_migration(len(world.nova.migrations), status="completed")
        assert look(RestoreRecords(), world, of).state is State.BLOCKED
