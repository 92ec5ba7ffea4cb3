"""All that is looked at of this host at once, before and after work on it.

It changes nothing, but for a file in the instances path that is written and removed at once.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from nodeops.onhost import domains, services
from nodeops.onhost.boot import boot
from nodeops.onhost.message_bus import bus
from nodeops.onhost.programs import tried
from nodeops.onhost.space import space
from nodeops.onhost.trouble import Trouble

BEGUN = time.time()
"""When this process was, as nearly as can be told."""
INSTANCES = "/var/lib/nova/instances"


def condition(asked: dict[str, Any]) -> dict[str, Any]:
    """`begun` and `ended` are this host's time, to be compared with who asks."""
    compute, virsh = services.find_compute(asked), _virsh()
    found = {
        "begun": BEGUN,
        "boot": boot(asked),
        "system_state": services.system_state(),
        "failed_units": services.failed_units(),
        "synchronised": _synchronised(),
        "compute": compute,
        "services": services.others(),
        "bus": bus(compute),
        "libvirt": _libvirt(virsh) if virsh else None,
        "guests": _guests(virsh) if virsh else None,
        "instances": space(Path(asked.get("instances") or INSTANCES), write=True),
        "root": space(Path("/"), write=False),
    }
    return {**found, "ended": time.time()}


def _synchronised() -> bool | None:
    ended = tried(("timedatectl", "show", "--property=NTPSynchronized", "--value"))
    return None if ended.code else {"yes": True, "no": False}.get(ended.out.strip())


def _virsh() -> list[str] | None:
    try:
        return [*domains.virsh(), "--readonly"]
    except Trouble:
        return None


def _libvirt(virsh: list[str]) -> dict[str, Any]:
    asked = tried([*virsh, "version"])
    if asked.code:
        return {"answers": False, "trouble": asked.words}
    version = re.search(r"Using library: libvirt (\S+)", asked.out)
    emulator = re.search(r"Running hypervisor: \S+ (\S+)", asked.out)
    capabilities = tried([*virsh, "capabilities"]).out
    cpu = re.search(r"<host>.*?<cpu>.*?<model>([^<]+)</model>", capabilities, re.DOTALL)
    return {
        "answers": True,
        "version": version[1] if version else "",
        "emulator": emulator[1] if emulator else "",
        "cpu_model": cpu[1] if cpu else "",
    }


def _guests(virsh: list[str]) -> list[str] | None:
    ended = tried([*virsh, "list", "--uuid"])
    return None if ended.code else ended.out.split()
