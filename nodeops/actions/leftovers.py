"""What removes left-overs of moves.

Actions: `drop-allocation`, `mend-allocation`, `delete-binding`, `rebind-port`, `delete-attachment`.

Step: `subject_id` the server, or the id of one that does not exist any more.
Params:
- `mend-allocation`: `wrong`, `right` root providers, `host` the server's host; None for one on no host.
- `delete-binding`: `port`, `host`.
- `rebind-port`: `port`, `host`, `owner` (its `device_owner`, or None to leave it).
- `delete-attachment`: `attachment`, `volume`.

Each looks once more whether it is a left-over before anything is removed: the server may be back, may have
moved, or may be moving. All take effect before the answer.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import AllocationAction, ready_or_failed
from nodeops.actions.bind_ports import UNBOUND
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import GONE, answer_refused, busy, left_alone
from nodeops.errors import ApiError
from nodeops.model.facts import Allocation, Port
from nodeops.model.world import View, World
from nodeops.plan import Step


@dataclass(frozen=True, slots=True)
class DropAllocation(AllocationAction):
    """Of a server that does not exist."""

    name: str = "drop-allocation"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        if not view.holding(step.subject_id).resources:
            return Look(State.DONE, "placement counts nothing for it")
        if view.server(step.subject_id) is not None:
            return left_alone("nova knows this server")
        return ready_or_failed(sent, "placement still counts it")

    def act(self, world: World, step: Step) -> str:
        held = world.holding(step.subject_id)
        return world.set_allocation(replace(held, resources={})) if held.resources else ""


@dataclass(frozen=True, slots=True)
class MendAllocation(AllocationAction):
    """Of a server that is counted where it is not."""

    name: str = "mend-allocation"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        changed = _changed(view, step)
        if changed is not None:
            return changed
        held = view.holding(step.subject_id)
        if held.resources == _mended(view, held, step):
            return Look(State.DONE, "placement counts it on its host alone")
        return ready_or_failed(sent, "placement's count is unchanged")

    def act(self, world: World, step: Step) -> str:
        held = world.holding(step.subject_id)
        mended = _mended(world, held, step)
        return world.set_allocation(replace(held, resources=mended)) if mended != held.resources else ""


def _changed(view: View, step: Step) -> Look | None:
    """None for a server that is where it was found, and not busy."""
    server = view.server(step.subject_id)
    if server is None:
        return GONE
    if server.host != step.params["host"]:
        return left_alone(f"is on {server.host or 'no host'} now")
    return None if server.task_state is None else busy(server)


def _mended(view: View, held: Allocation, step: Step) -> dict[str, dict[str, int]]:
    """Without the wrong host's tree; what the right one lacks is what the wrong one had."""
    wrong, right = str(step.params["wrong"]), step.params["right"]
    tree = view.tree(wrong) | {wrong}
    kept = {key: dict(amounts) for key, amounts in held.resources.items() if key not in tree}
    if right is not None and right not in kept and wrong in held.resources:
        kept[str(right)] = dict(held.resources[wrong])
    return kept


@dataclass(frozen=True, slots=True)
class DeleteBinding:
    """An INACTIVE one, of a server that is neither there nor moving."""

    name: str = "delete-binding"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        host, id_ = str(step.params["host"]), str(step.params["port"])
        port = next((each for each in view.ports_bound_to(host) if each.id == id_), None)
        if port is None:
            return Look(State.DONE, f"its port has no binding on {host}")
        if port.host == host:
            return left_alone(f"its port is bound on {host} by now")
        server = view.server(step.subject_id)
        if server is not None and server.task_state is not None:
            return busy(server)
        return ready_or_failed(sent, f"its port still has a binding on {host}")

    def act(self, world: World, step: Step) -> str:
        return world.delete_binding(str(step.params["port"]), str(step.params["host"]))

    def refused(self, step: Step, error: ApiError) -> Look:
        if error.status == HTTPStatus.NOT_FOUND:
            return Look(State.FAILED, error.message)
        if error.status == HTTPStatus.FORBIDDEN:
            words = "neutron leaves this to accounts with the role service, from 2024.1 on"
            return Look(State.FAILED, f"{error.message}: {words}", retry=False)
        return answer_refused(step, error)


@dataclass(frozen=True, slots=True)
class RebindPort(CloudAction):
    """To the host its server is on, when an agent there can bind it."""

    name: str = "rebind-port"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        changed = _changed(view, step)
        if changed is not None:
            return changed
        host, port = str(step.params["host"]), _port(view, step)
        if port is None:
            return Look(State.BLOCKED, "its port is gone")
        if port.host == host and port.vif_type not in UNBOUND:
            return Look(State.DONE, f"its port is bound on {host}")
        if sent is None and not any(each.alive and each.binds_ports for each in view.agents_on(host)):
            return Look(State.BLOCKED, f"no network agent that binds ports is alive on {host}")
        if sent is not None and not sent.ambiguous and port.host == host:
            return Look(State.FAILED, f"neutron cannot bind its port on {host}: look at the agent there")
        return ready_or_failed(sent, f"its port is {port.vif_type} on {port.host or 'no host'}")

    def act(self, world: World, step: Step) -> str:
        owner = step.params["owner"]
        world.bind_port(
            str(step.params["port"]), str(step.params["host"]), None if owner is None else str(owner)
        )
        return ""


def _port(view: View, step: Step) -> Port | None:
    return next((each for each in view.ports_of([step.subject_id]) if each.id == step.params["port"]), None)


@dataclass(frozen=True, slots=True)
class DeleteAttachment:
    """One that Nova does not name; Cinder itself asks Nova too (`cinder/volume/api.py`, CVE-2023-2088)."""

    name: str = "delete-attachment"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        id_ = step.params["attachment"]
        if all(each.id != id_ for each in view.attachments_of([step.subject_id])):
            return Look(State.DONE, "cinder has no such attachment any more")
        server = view.server(step.subject_id)
        if server is not None and server.task_state is not None:
            return busy(server)
        if any(each.attachment_id == id_ for each in view.volumes_of(step.subject_id)):
            return left_alone("nova names this attachment")
        return ready_or_failed(sent, "cinder still has the attachment")

    def act(self, world: World, step: Step) -> str:
        return world.delete_attachment(str(step.params["attachment"]))

    def refused(self, step: Step, error: ApiError) -> Look:
        if error.status == HTTPStatus.CONFLICT:
            return Look(State.FAILED, error.message, retry=False)
        return answer_refused(step, error)


LEFTOVERS = (DropAllocation(), MendAllocation(), DeleteBinding(), RebindPort(), DeleteAttachment())
