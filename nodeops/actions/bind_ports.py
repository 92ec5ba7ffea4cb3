"""`bind-ports`: Neutron binds a server's ports anew on another host; `tell-neutron`: it looks at them again.

Step: `subject_id` the server.
Params:
- `ports`: ids of its compute ports.
- `source`, `target`: names of the hosts.
- `owner`: the `device_owner` to set, `compute:<zone>`.

A PUT that names the host a port's row has already changes nothing (`_process_port_binding_attributes` in
`neutron/plugins/ml2/plugin.py`). So a port whose row was rewritten is first asked for without a host: then
Neutron sees it move, takes it down, schedules distributed routers and tells the agents. An answer of 200 does
not mean that it is bound: `binding_failed` is looked for.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import ready_or_failed
from nodeops.actions.kinds import CloudAction
from nodeops.actions.subject import left_alone
from nodeops.model.facts import Port
from nodeops.model.world import View, World
from nodeops.plan import Step

UNBOUND = frozenset({"unbound", "binding_failed"})
"""The vif_type of a port that no host has."""


@dataclass(frozen=True, slots=True)
class BindPorts(CloudAction):
    name: str = "bind-ports"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        target, open_ = str(step.params["target"]), _open(view, step)
        if not open_:
            return Look(State.DONE, f"its ports are bound on {target}")
        strange = sorted({port.host for port in open_} - {target, str(step.params["source"]), ""})
        if strange:
            return left_alone(f"a port of it is bound on {', '.join(strange)}")
        failed = [port.id for port in open_ if port.host == target and port.vif_type == "binding_failed"]
        if failed and sent is not None and not sent.ambiguous:
            return Look(State.FAILED, f"neutron cannot bind port {failed[0]} on {target}: look at its agent")
        return ready_or_failed(sent, "its ports are bound as before")

    def act(self, world: World, step: Step) -> str:
        target, owner = str(step.params["target"]), str(step.params["owner"])
        for port in _open(world, step):
            if port.host == target:
                world.bind_port(port.id, "")
            world.bind_port(port.id, target, owner)
        return ""


@dataclass(frozen=True, slots=True)
class TellNeutron(CloudAction):
    """For ports whose rows were put back while the agent of their host is dead.

    Neutron would fail to bind there, and is not asked to: a PUT of the host that the row names binds nothing,
    and makes the mechanism drivers write what they keep elsewhere, as OVN's does
    (`update_port_postcommit` in `neutron/plugins/ml2/drivers/ovn/mech_driver/mech_driver.py`).
    """

    name: str = "tell-neutron"
    takes_effect_at_once: bool = True

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:
        target = str(step.params["target"])
        elsewhere = [port for port in _ports(view, step) if port.host != target or port.vif_type in UNBOUND]
        if elsewhere:
            return left_alone(f"its port {elsewhere[0].id} is {elsewhere[0].vif_type} on {elsewhere[0].host}")
        if sent is None or sent.ambiguous:
            return Look(State.READY)
        return Look(State.DONE, "neutron was told")

    def act(self, world: World, step: Step) -> str:
        for port in _ports(world, step):
            world.bind_port(port.id, str(step.params["target"]), str(step.params["owner"]))
        return ""


def _ports(view: View, step: Step) -> list[Port]:
    """Those of the step that still exist."""
    wanted = cast("Collection[str]", step.params["ports"])
    return [port for port in view.ports_of([step.subject_id]) if port.id in wanted]


def _open(view: View, step: Step) -> list[Port]:
    """Those not bound on the target."""
    target = step.params["target"]
    return [port for port in _ports(view, step) if port.host != target or port.vif_type in UNBOUND]
