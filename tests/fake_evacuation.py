"""What becomes of a dead host's servers, and of the host when it is back.

As in `nova/compute/api.py` and `conductor/manager.py`: the task is `rebuilding` and a record `accepted`
before the answer; without a host the server is in ERROR; the row moves after the guest runs, and the record
is `done` last. The source keeps its allocation and its guests until its nova-compute starts
(`nova/compute/manager.py`, `_destroy_evacuated_instances`).
"""

from dataclasses import replace

from nodeops.model.facts import Explanation, Host, PowerState, Server
from tests.fake_nova import FakeNova
from tests.fake_placement import shape
from tests.fake_refusal import refuse

EVACUABLE = frozenset({"active", "stopped", "error"})
REBOOTABLE = frozenset({"active", "stopped", "paused", "suspended", "error"})


def evacuate(nova: FakeNova, server_id: str, target: str | None, request_id: str) -> None:
    server = nova.get(server_id)
    source = nova.hosts[server.host or ""]
    _check(nova, server, source, target)
    stopped = server.vm_state == "stopped"
    nova.change(server_id, task_state="rebuilding")
    nova.arrived.append(("evacuate", server_id))
    migration_id = nova.new_migration(server_id, "evacuation", "accepted", target)

    def placed() -> None:
        there = nova.pick(server, target, source.name) if server_id in nova.servers else None
        if there is None:
            _no_valid_host(nova, migration_id, request_id)
            return
        nova.set_migration(migration_id, status="pre-migrating", target=there)
        here = nova.placement.provider(source.name)
        held = {here: shape(server), nova.placement.provider(there): shape(server)}
        nova.placement.keep(server_id, held)
        nova.at(nova.copy_seconds(server), lambda: spawned(there))

    def spawned(there: str) -> None:
        task = "powering-off" if stopped else None
        nova.change(server_id, vm_state="active", power_state=PowerState.RUNNING, task_state=task, fault=None)
        if stopped:
            nova.at(0.5, lambda: off(there))
        else:
            nova.at(0.2, lambda: arrived(there))

    def off(there: str) -> None:
        nova.change(server_id, vm_state="stopped", power_state=PowerState.SHUTDOWN, task_state=None)
        nova.at(0.2, lambda: arrived(there))

    def arrived(there: str) -> None:
        nova.change(server_id, host=there)
        held = {nova.placement.provider(name): shape(server) for name in (source.name, there)}
        nova.placement.keep(server_id, held)
        nova.at(0.2, lambda: nova.set_migration(migration_id, status="done"))

    nova.at(nova.schedule_seconds, placed)


def _check(nova: FakeNova, server: Server, source: Host, target: str | None) -> None:
    if server.vm_state not in EVACUABLE:
        state = f"vm_state {server.vm_state}"
        raise refuse(409, f"Cannot 'evacuate' instance {server.id} while it is in {state}")
    if source.up and not source.forced_down:
        raise refuse(400, f"Compute service of {source.name} is still in use.")
    if target == source.name:
        raise refuse(400, "The target host can't be the same one.")
    if target is not None and target not in nova.hosts:
        raise refuse(404, f"Compute host {target} not found.")


def _no_valid_host(nova: FakeNova, migration_id: int, request_id: str) -> None:
    """`nova/conductor/manager.py`, `rebuild_instance`."""
    nova.change(nova.migration(migration_id).server_id, vm_state="error", task_state=None)
    nova.set_migration(migration_id, status="error")
    words = "No valid host was found. There are not enough hosts available."
    nova.explanations[request_id] = Explanation(words, request_id, "rebuild_server", "conductor")


def force_down(nova: FakeNova, service_id: str, *, forced: bool) -> None:
    for host in nova.hosts.values():
        if host.service_id == service_id:
            if not forced and tombstones(nova, host.name):
                raise refuse(
                    400, f"Unable to force up host {host.name} as `done` evacuation migration records remain"
                )
            nova.hosts[host.name] = replace(host, forced_down=forced)
            nova.arrived.append(("force_down" if forced else "lift_force_down", service_id))
            return
    raise refuse(404, f"Compute service {service_id} could not be found.")


def tombstones(nova: FakeNova, host: str) -> list[int]:
    """Ids of evacuations that the host has not cleaned up."""
    return [m.id for m in nova.migrations if (m.source, m.type, m.status) == (host, "evacuation", "done")]


def come_back(nova: FakeNova, host: str) -> None:
    """Its nova-compute starts: what was evacuated is removed there, and the records are completed."""
    nova.hosts[host] = replace(nova.hosts[host], up=True)
    provider = nova.placement.provider(host)
    for migration_id in tombstones(nova, host):
        server_id = nova.migration(migration_id).server_id
        held = dict(nova.placement.of(server_id))
        server = nova.servers.get(server_id)
        if server is None or server.host != host:
            held.pop(provider, None)
            nova.placement.keep(server_id, held)
            nova.guests.get(host, set()).discard(server_id)
        nova.set_migration(migration_id, status="completed")


def reboot_hard(nova: FakeNova, server_id: str) -> None:
    """`nova/compute/manager.py`, `reboot_instance`: ends ACTIVE, whatever the state was."""
    server = nova.get(server_id)
    if server.vm_state not in REBOOTABLE or server.task_state not in {None, "rebooting", "rebooting_hard"}:
        raise refuse(409, f"Cannot 'reboot' instance {server_id} while it is in vm_state {server.vm_state}")
    nova.change(server_id, task_state="rebooting_hard")
    nova.arrived.append(("reboot_hard", server_id))

    def rebooted() -> None:
        if server.host is None or not nova.hosts[server.host].up:
            return
        nova.change(server_id, vm_state="active", power_state=PowerState.RUNNING, task_state=None, fault=None)

    nova.at(nova.task_seconds, rebooted)
