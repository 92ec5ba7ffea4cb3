"""The Open vSwitch agents of all simulated hosts: `python -m nodeops.lab.agent.main --state-dir DIR`.

One process reports an agent per host and wires what the driver plugs, over Neutron's own RPC, so that
ports are bound, go ACTIVE and DOWN, and Nova gets its `network-vif-plugged`. A host without power is silent.

It pulls a port's bindings from the server when it needs them. The push cache of neutron/agent/rpc.py still
says `migrating_to` right after a live migration's activation, and the port would stay DOWN; asking for device
details (neutron/plugins/ml2/rpc.py) sets the port to BUILD each time.
"""

import argparse
import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import oslo_messaging
from neutron import objects
from neutron.agent import rpc as agent_rpc
from neutron.api.rpc.callbacks import resources
from neutron.api.rpc.handlers import resources_rpc
from neutron.common import config as neutron_config
from neutron.conf import service as service_options
from neutron.conf.agent import common as agent_options
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib.agent import topics
from oslo_config import cfg

from nodeops.lab.agent.wiring import HostWiring, Todo
from nodeops.lab.hypervisor.condition import read_condition
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.settings import Settings, read_settings
from nodeops.lab.hypervisor.vifs import Bridge, Stamp

LOG = logging.getLogger(__name__)
TICK_SECONDS = 0.2
WORKERS = 6
ANSWER_SECONDS, LONGEST_ANSWER_SECONDS = 10, 60
"""For one call: a broker that was started again never answers what it was asked before."""


def agent_state(host: str, address: str) -> dict[str, Any]:
    """Return what an Open vSwitch agent says of itself; the fields port binding reads are these."""
    return {
        "binary": "neutron-openvswitch-agent",
        "host": host,
        "agent_type": constants.AGENT_TYPE_OVS,
        "topic": "N/A",
        "configurations": {
            "bridge_mappings": {"physnet1": "br-ex"},
            "tunnel_types": ["vxlan"],
            "tunneling_ip": address,
            "integration_bridge": "br-int",
            "datapath_type": "system",
            "ovs_hybrid_plug": False,
            "l2_population": False,
            "arp_responder_enabled": False,
            "enable_distributed_routing": False,
            "extensions": [],
            "in_distributed_mode": False,
        },
    }


class HostAgent:
    """The agent of one host."""

    def __init__(self, place: HostPlace, plugin: Any, ports: Any) -> None:
        self.place = place
        self.wiring = HostWiring()
        self.started = False
        self._bridge = Bridge(place.vifs)
        self._plugin = plugin
        self._ports = ports
        self._context = neutron_context.get_admin_context_without_session()
        self._running: Future[None] | None = None

    @property
    def agent_id(self) -> str:
        return f"ovs-agent-{self.place.host}"

    def look(self, pool: ThreadPoolExecutor) -> None:
        """Compare the bridge with what is wired and have the difference done, one batch at a time."""
        if self._running is not None:
            if not self._running.done():
                return
            self._running.result()
            self._running = None
        if not read_condition(self.place).runs_agent:
            self.wiring.forget()
            return
        plugged = self._bridge.plugged()
        todo = self.wiring.todo(plugged, time.monotonic())
        if todo:
            self._running = pool.submit(self._work, plugged, todo)

    def _work(self, plugged: dict[str, Stamp], todo: Todo) -> None:
        try:
            failed = self._tell(todo)
        except oslo_messaging.MessagingException as error:
            LOG.warning("%s: %s", self.agent_id, error)
            failed = {*todo.wire, *todo.refresh, *todo.unwire}
        self.wiring.done(plugged, todo, failed, time.monotonic())

    def _tell(self, todo: Todo) -> set[str]:
        """Tell Neutron, and return the ports it could not do."""
        host, asked = self.place.host, [*todo.wire, *todo.refresh]
        failed: set[str] = set()
        up: list[str] = []
        if asked:
            found = self._ports.bulk_pull(self._context, resources.PORT, {"id": asked})
            bindings = {
                port.id: {binding.host: binding.status for binding in port.bindings} for port in found
            }
            up = [port for port in asked if self._to_be_up(port, bindings.get(port, {}), todo)]
            failed = {port for port in todo.wire if host not in bindings.get(port, {})}
        result = self._plugin.update_device_list(self._context, up, list(todo.unwire), self.agent_id, host)
        LOG.info("%s up %s down %s failed %s", self.agent_id, up, todo.unwire, failed)
        return failed | set(result["failed_devices_up"]) | set(result["failed_devices_down"])

    def _to_be_up(self, port: str, bindings: dict[str, str], todo: Todo) -> bool:
        """Tell whether the port is to be reported up.

        A port plugged ahead of a live migration has an inactive binding here; reporting it up makes Neutron
        send Nova the event it waits for (neutron/plugins/ml2/rpc.py, update_device_up).
        """
        here = bindings.get(self.place.host)
        return here == constants.ACTIVE or (here is not None and port in todo.wire)


class PortEvents:
    """Neutron's notifications to agents; names, arguments and version are its AgentNotifierApi's."""

    target = oslo_messaging.Target(version="1.5")

    def __init__(self, note: Callable[[str, str | None], None]) -> None:
        self._note = note

    def port_update(self, _context: Any, **kwargs: Any) -> None:
        self._note(kwargs["port"]["id"], None)

    def binding_activate(self, _context: Any, **kwargs: Any) -> None:
        self._note(kwargs["port_id"], kwargs["host"])


class Agents:
    """The agents of all hosts of one lab."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._agents: dict[str, HostAgent] = {}
        self._plugin = agent_rpc.PluginApi(topics.PLUGIN)
        self._ports = resources_rpc.ResourcesPullRpcApi()
        self._reports = agent_rpc.PluginReportStateAPI(topics.REPORTS)
        self._context = neutron_context.get_admin_context_without_session()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Report and wire until told to stop."""
        signal.signal(signal.SIGTERM, lambda _signal, _frame: self.stopping.set())
        signal.signal(signal.SIGINT, lambda _signal, _frame: self.stopping.set())
        consumers = [[topics.PORT, topics.UPDATE], [topics.PORT_BINDING, topics.ACTIVATE]]
        agent_rpc.create_consumers([PortEvents(self.note)], topics.AGENT, consumers)
        threading.Thread(target=self._report_always, daemon=True).start()
        with ThreadPoolExecutor(WORKERS) as pool:
            while not self.stopping.wait(TICK_SECONDS):
                for agent in self._known(read_settings(self._state_dir)):
                    agent.look(pool)

    def note(self, port_id: str, host: str | None) -> None:
        for agent in list(self._agents.values()):
            if host in {None, agent.place.host}:
                agent.wiring.changed(port_id)

    def _known(self, settings: Settings) -> list[HostAgent]:
        for shape in settings.hosts:
            if shape.name not in self._agents:
                place = HostPlace(self._state_dir, shape.name)
                self._agents[shape.name] = HostAgent(place, self._plugin, self._ports)
        return [self._agents[shape.name] for shape in settings.hosts]

    def _report_always(self) -> None:
        """Report every host at Neutron's interval; a failure ends the round, and the next comes soon."""
        interval = cfg.CONF.AGENT.report_interval
        try:
            while not self.stopping.is_set():
                began = time.monotonic()
                settings = read_settings(self._state_dir)
                complete = all(self._report(agent, settings) for agent in self._known(settings))
                pause = interval if complete else min(1.0, interval)
                self.stopping.wait(max(0.0, began + pause - time.monotonic()))
        finally:
            self.stopping.set()

    def _report(self, agent: HostAgent, settings: Settings) -> bool:
        """Report one agent; return False when Neutron did not hear it."""
        if not read_condition(agent.place).runs_agent:
            agent.started = False
            return True
        state = agent_state(agent.place.host, settings.address(agent.place.host))
        if not agent.started:
            state["start_flag"] = True
        try:
            self._reports.report_state(self._context, state, use_call=True)
        except oslo_messaging.MessagingException as error:
            LOG.warning("%s could not report: %s", agent.agent_id, error)
            return False
        agent.started = True
        return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="nodeops.lab.agent.main", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="the lab's state directory")
    options = parser.parse_args()
    etc = options.state_dir / "etc" / "neutron"
    neutron_config.register_common_config_options()
    agent_options.register_agent_state_opts_helper(cfg.CONF)
    # neutron_lib reads rpc_response_max_timeout when a call was not answered in time.
    service_options.register_service_opts(service_options.RPC_EXTRA_OPTS)
    cfg.CONF.set_override("rpc_response_max_timeout", LONGEST_ANSWER_SECONDS)
    log = options.state_dir / "logs" / "neutron-agents.log"
    neutron_config.init(["--config-file", str(etc / "neutron.conf"), "--log-file", str(log)])
    neutron_config.setup_logging()
    objects.register_objects()
    agents = Agents(options.state_dir)
    cfg.CONF.set_override("rpc_response_timeout", ANSWER_SECONDS)  # known since the first RPC client is
    agents.run()


if __name__ == "__main__":
    main()
