"""Neutron's API for macvtap ports, with one thing mended.

In neutron 29 a port that was live-migrated once cannot be bound after an evacuation: its profile still says
`migrating_to`, its details have no `macvtap_source` any more, and mech_macvtap.py ends in a KeyError.
"""

from typing import Any

from neutron.plugins.ml2.drivers.macvtap.mech_driver.mech_macvtap import MacvtapMechanismDriver
from neutron.wsgi.api import application as application  # noqa: PLC0414 - what nodeops.lab.wsgi serves

says_so = MacvtapMechanismDriver._is_live_migration  # noqa: SLF001 - no public name for it


def is_live_migration(driver: Any, context: Any) -> bool:
    """Whether the port migrates from another host that is known."""
    details = (context.original or {}).get("binding:vif_details") or {}
    return says_so(driver, context) and "macvtap_source" in details


MacvtapMechanismDriver._is_live_migration = is_live_migration  # noqa: SLF001 - likewise
