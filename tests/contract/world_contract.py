"""What the engine relies on, asked of the fake in memory and of a real cloud alike: a fake that lies fails.

`test_fake_world.py` holds the fake to it, `tests/lab/test_contract.py` Nova, Placement and Neutron.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from nodeops.errors import ApiError
from nodeops.model.facts import Host, PowerState, Server, Volume
from nodeops.model.world import World

NOBODY = "00000000-0000-0000-0000-000000000000"


class Stage(Protocol):
    """A cloud with two hosts that are up and enabled, and no server of anybody's on the first."""

    world: World
    here: str
    there: str

    def boot(self, count: int = 1) -> list[str]:
        """Ids of servers that run on `here`."""
        ...

    def volume(self) -> str:
        """Id of a volume of no server."""
        ...

    def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until it is so; fails when it takes too long."""
        ...


class WorldContract:
    """Each test has a `stage`."""

    def test_hosts(self, stage: Stage) -> None:
        stage.boot()
        hosts = {host.name: host for host in stage.world.hosts()}
        here = hosts[stage.here]
        assert here.serves
        assert here.service_id
        assert here.node
        assert here.provider_id
        assert here.disabled_reason == ""
        assert here.provider_id != hosts[stage.there].provider_id

    def test_one_host_is_matched_exactly(self, stage: Stage) -> None:
        found = stage.world.host(stage.here)
        assert found is not None
        assert (found.name, found.serves) == (stage.here, True)
        assert stage.world.host(stage.here[:-1]) is None
        assert stage.world.host(stage.here.upper()) is None

    def test_servers_of_a_host(self, stage: Stage) -> None:
        ids = stage.boot(2)
        servers = {server.id: server for server in stage.world.servers_on(stage.here)}
        assert set(ids) <= set(servers)
        server = servers[ids[0]]
        assert (server.host, server.status, server.vm_state, server.task_state) == (
            stage.here,
            "ACTIVE",
            "active",
            None,
        )
        assert server.power_state == PowerState.RUNNING
        assert server.flavor.ram_mb > 0
        assert server.flavor.vcpus > 0
        assert stage.world.server(ids[0]) == server

    def test_a_server_that_does_not_exist(self, stage: Stage) -> None:
        world = stage.world
        assert world.server(NOBODY) is None
        assert world.progress(NOBODY) is None
        assert world.migrations_of(NOBODY) == ()
        assert world.ports_of([NOBODY]) == ()
        assert world.allocation(NOBODY) == {}
        refused(404, lambda: world.live_migrate(NOBODY, stage.there))
        refused(404, lambda: world.stop(NOBODY))

    def test_a_live_migration(self, stage: Stage) -> None:
        world = stage.world
        (moving,) = stage.boot()
        before = only(world.server(moving))
        request_id = world.live_migrate(moving, stage.there)
        assert request_id.startswith("req-")
        # Nova sets the task before it answers: a look right afterwards never finds it unsent.
        seen = only(world.server(moving))
        assert seen.task_state == "migrating" or seen.host == stage.there
        stage.until(lambda: only(world.server(moving)).host == stage.there and settled(world, moving))
        after = only(world.server(moving))
        assert (after.status, after.vm_state, after.power_state) == (
            before.status,
            before.vm_state,
            before.power_state,
        )
        newest = world.migrations_of(moving)[0]
        assert (newest.type, newest.source, newest.target) == ("live-migration", stage.here, stage.there)
        stage.until(lambda: world.migrations_of(moving)[0].status == "completed")
        assert world.migrations_of(moving)[0].ended
        assert moving in {each.server_id for each in world.migrations_from(stage.here)}
        assert {each.server_id for each in world.migrations_from(stage.here, server_id=moving)} == {moving}
        assert moving not in {each.server_id for each in world.migrations_from(stage.there)}
        assert world.progress(moving) is None

    def test_where_a_moved_server_is_counted_and_bound(self, stage: Stage) -> None:
        world = stage.world
        moved, stays = stage.boot(2)
        providers = {host.name: host.provider_id or "" for host in world.hosts()}
        here, there = providers[stage.here], providers[stage.there]
        shape = world.allocation(moved)[here]
        assert shape["MEMORY_MB"] == only(world.server(moved)).flavor.ram_mb
        assert world.allocations_on(here)[moved] == shape
        world.live_migrate(moved, stage.there)
        stage.until(lambda: only(world.server(moved)).host == stage.there and settled(world, moved))
        stage.until(lambda: world.migrations_of(moved)[0].ended)
        assert world.allocation(moved) == {there: shape}
        assert moved not in world.allocations_on(here)
        assert world.allocations_on(there)[moved] == shape
        stage.until(lambda: all(port.status == "ACTIVE" for port in world.ports_of([moved])))
        assert {port.host for port in world.ports_of([moved])} == {stage.there}
        bound = {port.server_id for port in world.ports_bound_to(stage.here)}
        assert stays in bound
        assert moved not in bound

    def test_who_has_room(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        here, there = (host_of(world, name).provider_id or "" for name in (stage.here, stage.there))
        candidates = world.candidates(world.allocation(one)[here])
        assert there in candidates
        memory = candidates[there]["MEMORY_MB"]
        assert memory.free >= only(world.server(one)).flavor.ram_mb
        assert there not in world.candidates({"MEMORY_MB": memory.free + 1})

    def test_a_target_that_is_the_source_is_refused_later(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        request_id = world.live_migrate(one, stage.here)
        stage.until(lambda: settled(world, one) and world.migrations_of(one)[0].ended)
        assert only(world.server(one)).host == stage.here
        assert only(world.server(one)).status == "ACTIVE"
        assert world.migrations_of(one)[0].status == "error"
        explanation = world.explain(one, request_id)
        assert explanation is not None
        assert explanation.words.startswith("No valid host was found")
        assert explanation.request_id == request_id

    def test_a_target_that_does_not_exist_is_refused_at_once(self, stage: Stage) -> None:
        (one,) = stage.boot()
        error = refused(400, lambda: stage.world.live_migrate(one, "no-such-host"))
        assert "no-such-host could not be found" in error.message
        assert not error.ambiguous
        assert only(stage.world.server(one)).task_state is None

    def test_a_cold_migration_waits_for_its_confirmation(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        refused(409, lambda: world.confirm_resize(one))
        world.cold_migrate(one, stage.there)
        assert only(world.server(one)).task_state is not None
        stage.until(lambda: only(world.server(one)).status == "VERIFY_RESIZE" and settled(world, one))
        waiting = world.migrations_from(stage.here)[0]
        assert (waiting.server_id, waiting.type, waiting.status) == (one, "migration", "finished")
        assert not waiting.ended
        assert world.confirm_resize(one).startswith("req-")
        stage.until(lambda: only(world.server(one)).status == "ACTIVE")
        stage.until(lambda: world.migrations_of(one)[0].status == "confirmed")
        assert only(world.server(one)).host == stage.there

    def test_powers_and_their_refusals(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        for operation, status, power in (
            (world.pause, "PAUSED", PowerState.PAUSED),
            (world.unpause, "ACTIVE", PowerState.RUNNING),
            (world.suspend, "SUSPENDED", PowerState.SHUTDOWN),
            (world.resume, "ACTIVE", PowerState.RUNNING),
            (world.stop, "SHUTOFF", PowerState.SHUTDOWN),
        ):
            assert operation(one).startswith("req-")
            stage.until(lambda: settled(world, one))
            server = only(world.server(one))
            assert (server.status, server.power_state) == (status, power)
        error = refused(409, lambda: world.live_migrate(one, stage.there))
        assert "while it is in vm_state stopped" in error.message
        assert not error.ambiguous
        refused(409, lambda: world.pause(one))
        world.start(one)
        stage.until(lambda: settled(world, one))
        assert only(world.server(one)).status == "ACTIVE"

    def test_a_lock_has_its_reason_until_it_is_taken_off(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        assert world.lock(one, "nodeops r1 by ann@here: inspect").startswith("req-")
        server = only(world.server(one))
        assert (server.locked, server.locked_reason) == (True, "nodeops r1 by ann@here: inspect")
        assert world.unlock(one).startswith("req-")
        server = only(world.server(one))
        assert (server.locked, server.locked_reason) == (False, "")

    def test_shelve_and_offload(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        world.shelve(one)
        stage.until(lambda: settled(world, one))
        if only(world.server(one)).status == "SHELVED":
            assert only(world.server(one)).host == stage.here
            world.shelve_offload(one)
            stage.until(lambda: settled(world, one))
        assert only(world.server(one)).status == "SHELVED_OFFLOADED"
        assert only(world.server(one)).host is None
        assert one not in {server.id for server in world.servers_on(stage.here)}
        world.unshelve(one, stage.there)
        stage.until(lambda: settled(world, one))
        assert (only(world.server(one)).status, only(world.server(one)).host) == ("ACTIVE", stage.there)

    def test_a_host_is_disabled_and_enabled(self, stage: Stage) -> None:
        world = stage.world
        service_id = host_of(world, stage.here).service_id
        world.disable(service_id, "contract: nodeops")
        try:
            host = host_of(world, stage.here)
            assert (host.enabled, host.up, host.serves) == (False, True, False)
            assert host.disabled_reason == "contract: nodeops"
        finally:
            world.enable(service_id)
        host = host_of(world, stage.here)
        assert (host.enabled, host.disabled_reason) == (True, "")
        refused(404, lambda: world.disable(NOBODY, "x"))

    def test_lists_of_the_whole_cloud(self, stage: Stage) -> None:
        world = stage.world
        ids = set(stage.boot(2))
        assert ids <= {server.id for server in world.servers()}
        ports = {port.server_id: port for port in world.ports()}
        assert ids <= ports.keys()
        assert {ports[each].host for each in ids} == {stage.here}
        assert all(port.device_owner.startswith("compute:") for port in ports.values())
        assert not ids & {migration.server_id for migration in world.unfinished_migrations()}
        one = min(ids)
        world.cold_migrate(one, stage.there)
        stage.until(lambda: only(world.server(one)).status == "VERIFY_RESIZE" and settled(world, one))
        assert {m.status for m in world.unfinished_migrations() if m.server_id == one} == {"finished"}

    def test_an_allocation_is_replaced_by_its_generation(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        here, there = (host_of(world, name).provider_id or "" for name in (stage.here, stage.there))
        held = world.holding(one)
        assert held.resources == world.allocation(one)
        assert held.generation is not None
        assert here in world.tree(here)
        counted = world.resources_of(here)
        assert all(counted[name].used >= amount for name, amount in held.resources[here].items())
        assert all(counted[name].capacity >= counted[name].used for name in held.resources[here])
        assert world.holding(NOBODY).resources == {}
        both = replace(held, resources={here: held.resources[here], there: held.resources[here]})
        world.set_allocation(both)
        assert world.allocation(one).keys() == {here, there}
        refused(409, lambda: world.set_allocation(held))
        world.set_allocation(replace(world.holding(one), resources=held.resources))
        assert world.allocation(one) == held.resources

    def test_a_port_is_bound_elsewhere_and_back(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        (port,) = world.ports_of([one])
        agents = world.agents_on(stage.there)
        assert any(agent.alive and agent.binds_ports for agent in agents)
        assert world.agents_on(stage.there.upper()) == ()
        bound = world.bind_port(port.id, stage.there)
        assert (bound.host, bound.failed) == (stage.there, False)
        assert bound.device_owner == port.device_owner
        assert port.id not in {each.id for each in world.ports_bound_to(stage.here)}
        back = world.bind_port(port.id, stage.here, port.device_owner)
        assert (back.host, back.failed) == (stage.here, False)
        assert world.bind_port(port.id, "no-such-host").failed
        world.bind_port(port.id, stage.here)
        refused(404, lambda: world.delete_binding(port.id, stage.there))

    def test_a_hard_reboot_ends_active(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        assert world.reboot_hard(one).startswith("req-")
        assert only(world.server(one)).task_state is not None
        stage.until(lambda: settled(world, one))
        after = only(world.server(one))
        assert (after.status, after.power_state) == ("ACTIVE", PowerState.RUNNING)

    def test_a_host_that_is_up_is_not_evacuated_unless_forced_down(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        service_id = host_of(world, stage.here).service_id
        refused(400, lambda: world.evacuate(one, stage.there))
        world.force_down(service_id, forced=True)
        try:
            host = host_of(world, stage.here)
            assert (host.forced_down, host.up, host.serves) == (True, False, False)
            refused(404, lambda: world.evacuate(one, "no-such-host"))
        finally:
            world.force_down(service_id, forced=False)
        assert not host_of(world, stage.here).forced_down
        refused(404, lambda: world.force_down(NOBODY, forced=True))

    def test_a_volume_comes_and_goes(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        volume = stage.volume()
        assert world.volume(NOBODY) is None
        assert only_volume(world, volume).status == "available"
        world.attach_volume(one, volume, None)
        stage.until(lambda: only_volume(world, volume).status == "in-use")
        (named,) = world.volumes_of(one)
        assert (named.volume_id, named.server_id) == (volume, one)
        assert volume in only(world.server(one)).volume_ids
        (attachment,) = world.attachments_of([one])
        assert (attachment.id, attachment.status) == (named.attachment_id, "attached")
        assert attachment.id in {each.id for each in world.attachments()}
        (seen,) = only_volume(world, volume).attachments
        assert (seen.id, seen.server_id, seen.host) == (attachment.id, one, stage.here)
        refused(409, lambda: world.delete_attachment(attachment.id))
        world.detach_volume(one, volume)
        stage.until(lambda: world.volumes_of(one) == ())
        stage.until(lambda: only_volume(world, volume).status == "available")
        refused(404, lambda: world.detach_volume(one, volume))

    def test_an_attachment_that_nobody_names_is_deleted(self, stage: Stage) -> None:
        world = stage.world
        (one,) = stage.boot()
        volume = stage.volume()
        made, info = world.create_attachment(volume, one, None, "/dev/vdb")
        assert info == {}
        assert only_volume(world, volume).status == "reserved"
        world.complete_attachment(made)
        assert only_volume(world, volume).status == "in-use"
        assert world.volumes_of(one) == ()
        world.delete_attachment(made)
        world.delete_attachment(made)
        assert only_volume(world, volume).status == "available"


def only_volume(world: World, volume_id: str) -> Volume:
    found = world.volume(volume_id)
    assert found is not None
    return found


def only(server: Server | None) -> Server:
    assert server is not None
    return server


def host_of(world: World, name: str) -> Host:
    return next(host for host in world.hosts() if host.name == name)


def settled(world: World, server_id: str) -> bool:
    return only(world.server(server_id)).task_state is None


def refused(status: int, call: Callable[[], object]) -> ApiError:
    """An answer that says no, and says so for certain."""
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.status == status
    assert not caught.value.ambiguous
    return caught.value
