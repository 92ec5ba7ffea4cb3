"""Starts neutron-macvtap-agent 29 without forking a worker, and with a look at devices that does not break.

As shipped it starts its privileged threads and forks afterwards, and the worker waits for them for ever.
A device that goes away while it is looked at ends the agent's loop for good, though the process lives on
(`macvtap_neutron_agent.py`, `get_all_devices`, called outside the loop's own handling of errors).
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from neutron.cmd.plugins.macvtap_neutron_agent import main
from neutron.plugins.ml2.drivers.macvtap.agent import macvtap_neutron_agent as agent
from neutron_lib import constants


def devices(manager: Any) -> set[str]:
    """Return the MAC addresses of the macvtap devices that are there, and remember their names."""
    found: dict[str, str] = {}
    for path in Path(agent.MACVTAP_FS).glob(f"{constants.MACVTAP_DEVICE_PREFIX}*"):
        with suppress(OSError):
            found[(path / "address").read_text(encoding="ascii").strip()] = path.name
    manager.mac_device_name_mappings = found
    return set(found)


agent.service.launch = partial(agent.service.launch, no_fork=True)
agent.MacvtapManager.get_all_devices = devices
main()
