"""Starts neutron-macvtap-agent 29 without forking a worker.

As shipped it starts its privileged threads and forks afterwards, and the worker waits for them for ever.
"""

from functools import partial

from neutron.cmd.plugins.macvtap_neutron_agent import main
from neutron.plugins.ml2.drivers.macvtap.agent import macvtap_neutron_agent as agent

agent.service.launch = partial(agent.service.launch, no_fork=True)
main()
