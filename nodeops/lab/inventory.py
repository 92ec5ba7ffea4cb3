"""`<lab>/inventory.ini`: what the API does not tell of the lab's hosts; found by the name of its cloud."""

import shlex
import sys
from collections.abc import Mapping, Sequence

from nodeops.lab.layout import Layout, replace_text
from nodeops.lab.options import LabOptions

DATABASES = {"nova": "nova_cell1", "nova_api": "nova_api", "neutron": "neutron", "cinder": "cinder"}
"""Variable of the inventory -> database; the servers' cell is cell1."""
CONTROL = "control"
"""The host of all services but nova-compute: this machine."""
NOWHERE = "invalid"
"""A domain in which no name exists (RFC 2606): a simulated host's name may be somebody's real host."""


def write_inventory(layout: Layout, options: LabOptions) -> None:
    """Write it for simulated hosts: they have power, and neither address nor SSH."""
    hosts = [f"{name} ansible_host={name}.{layout.name}.{NOWHERE}" for name in options.host_names]
    write(layout, hosts, {"nodeops_storage": options.storage})


def write(layout: Layout, hosts: Sequence[str], variables: Mapping[str, str], *, remark: str = "") -> None:
    """Write these host lines, with these variables and those that every lab has."""
    every = {**variables, "nodeops_fence_command": fence_command(layout), **_databases(layout)}
    lines = [
        "# Written by `nodeops lab up`; used when the lab's cloud is chosen and no inventory is named.",
        *([f"# {remark}"] if remark else []),
        "[compute]",
        *hosts,
        "",
        "[compute:vars]",
        *(f"{name} = {value}" for name, value in every.items()),
        "",
        "[controllers]",
        f"{CONTROL} ansible_connection=local",
        "",
        "[controllers:vars]",
        f"nodeops_logs = {layout.logs}/*.log*",
    ]
    replace_text(layout.root / "inventory.ini", "\n".join(lines) + "\n")


def fence_command(layout: Layout) -> str:
    """The lab's own power switch, by this very Python."""
    python, root = shlex.quote(sys.executable), shlex.quote(str(layout.root))
    return f"{python} -m nodeops.cli.main lab power {{host}} {{action}} --lab-dir {root}"


def _databases(layout: Layout) -> dict[str, str]:
    """URLs with passwords are in files for their owner's eyes, as an inventory wants them."""
    found = {}
    for name, database in DATABASES.items():
        file = layout.etc / f"{name}-database.url"
        replace_text(file, layout.database_url(database) + "\n")
        found[f"nodeops_{name}_database"] = f"file:{file}"
    return found
