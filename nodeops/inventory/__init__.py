"""What the cloud's API does not tell of the hosts: an Ansible INI inventory, read and typed.

`load` reads a file; `Inventory.settings` is what planning needs of a host. Variables of others are ignored,
since inventories are shared with Ansible.
"""

from nodeops.inventory.places import EMPTY, Inventory, Place, load, parse
from nodeops.inventory.variables import DatabaseUrl, ServiceManager

__all__ = ["EMPTY", "DatabaseUrl", "Inventory", "Place", "ServiceManager", "load", "parse"]
