"""Starts neutron-macvtap-agent 29 with three things mended.

- It starts its privileged threads and forks afterwards, and the worker waits for them for ever.
- A device that goes away while it is looked at ends the agent's loop for good, though the process lives on
  (`macvtap_neutron_agent.py`, `get_all_devices`, called outside the loop's own handling of errors).
- A port that comes by live migration, and is seen before its binding here is active, stays DOWN: the agent is
  not told when that becomes active, and does not ask again (`_common_agent.py`, `_process_device_if_exists`).
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


def process(loop: Any, details: dict[str, Any]) -> None:
    """See to a device, and to one whose binding is not active yet in the next round again."""
    as_shipped(loop, details)
    if constants.NO_ACTIVE_BINDING in details:
        loop.rpc_callbacks.updated_devices.add(details["device"])


as_shipped = agent.ca.CommonAgentLoop._process_device_if_exists  # noqa: SLF001 - no public name for it
agent.ca.CommonAgentLoop._process_device_if_exists = process  # noqa: SLF001 - likewise
agent.service.launch = partial(agent.service.launch, no_fork=True)
agent.MacvtapManager.get_all_devices = devices
main()
