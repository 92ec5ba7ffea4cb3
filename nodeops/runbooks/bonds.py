"""What ties a server to its host besides its state: hardware, disks, a lock, its group.

Each tie asks for a way of moving; the hardest one that any of them asks for is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from nodeops.model.facts import PowerState, Server, Storage
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.scene import VTPM_MOVES_LIVE, Scene
from nodeops.runbooks.states import Stance

ACCELERATED = frozenset({"accelerator-direct", "accelerator-direct-physical"})
WHOLE_FUNCTION = "direct-physical"
UNPLUGGED = frozenset({"direct", "remote-managed", "vdpa", WHOLE_FUNCTION})
"""`VNIC_TYPES_DIRECT_PASSTHROUGH` in `nova/network/model.py`, without Cyborg's."""


class Way(IntEnum):
    """How a server gets to another host, from the kindest to the hardest."""

    LIVE = 0
    BLOCK = 1
    COLD = 2
    SHELVE = 3
    NONE = 4
    REBUILD = 5
    """Built anew by the target, after the death of its host."""


@dataclass(frozen=True, slots=True)
class Bond:
    """One tie: the way it asks for, and the bar it puts up (None: the way needs no leave)."""

    way: Way
    bar: Bar | None = None


def bonds(scene: Scene, server: Server, stance: Stance) -> tuple[Bond, ...]:
    """Every tie of a server that is moved in the state its stance says."""
    found = [*_lock(server)]
    if stance.moved_as is not None:
        found += _ports(scene, server, runs=stance.moved_as in {"active", "paused"})
    if stance.moved_as in {"active", "paused", "stopped"}:
        found += _machine(scene, server)
        found += _group(scene, server)
    if stance.moved_as in {"active", "paused"}:
        found += _running(scene, server, stance)
    if stance.moved_as == "stopped":
        found.append(Bond(Way.COLD))
    if specified(server, "tpm_version") and any(bond.way is Way.SHELVE for bond in found):
        words = "it has an emulated TPM, and nova does not shelve such a server"
        found.append(Bond(Way.NONE, Bar("vtpm", words, overridable=False)))
    return tuple(found)


def specified(server: Server, name: str) -> str | None:
    """`hw:NAME` of the flavor or `hw_NAME` of the image, the flavor first (`nova/virt/hardware.py`)."""
    return server.flavor.extra_specs.get(f"hw:{name}") or server.image_properties.get(f"hw_{name}")


def _lock(server: Server) -> Iterator[Bond]:
    if server.locked:
        reason = f": {server.locked_reason}" if server.locked_reason else ""
        yield Bond(Way.LIVE, Bar("locked", f"it is locked{reason}"))


def _machine(scene: Scene, server: Server) -> Iterator[Bond]:
    """What bars every way, or is lifted only by going through an image."""
    host = scene.hosts.get(server.host or "")
    if host is not None and host.hypervisor_type == "ironic":
        yield Bond(Way.NONE, Bar("bare-metal", "it is a machine of ironic, not a guest"))
    profile = server.flavor.extra_specs.get("accel:device_profile")
    if profile:
        words = f"its flavor {server.flavor.name} has the device profile {profile}"
        yield Bond(Way.SHELVE, Bar("accelerator", words))
    if specified(server, "tpm_version"):
        yield from _tpm(scene, server)


def _tpm(scene: Scene, server: Server) -> Iterator[Bond]:
    """An administrator can read the secret of no policy but `deployment` (`nova/vtpm.py`)."""
    security = server.flavor.extra_specs.get("hw:tpm_secret_security", "user")
    if security == "host" and scene.microversion >= VTPM_MOVES_LIVE:
        if server.vm_state == "stopped":
            words = "it has an emulated TPM whose secret is on the host: it moves live, and it is off"
            yield Bond(Way.NONE, Bar("vtpm", words, overridable=False))
        return
    words = f"it has an emulated TPM whose secret is kept by the policy {security}"
    deployment = security == "deployment"
    yield Bond(Way.COLD if deployment else Way.NONE, Bar("vtpm", words, overridable=deployment))


def _ports(scene: Scene, server: Server, *, runs: bool) -> Iterator[Bond]:
    for port in scene.ports.get(server.id, ()):
        if port.vnic_type in ACCELERATED:
            words = f"its port {port.id} is on an accelerator ({port.vnic_type})"
            yield Bond(Way.NONE, Bar("port-accelerator", words, overridable=False))
        elif runs and port.vnic_type in UNPLUGGED:
            words = f"its port {port.id} is passed through ({port.vnic_type}), and unplugged for the move"
            yield Bond(Way.COLD if port.vnic_type == WHOLE_FUNCTION else Way.LIVE, Bar("sriov", words))


def _group(scene: Scene, server: Server) -> Iterator[Bond]:
    """A group that is apart already lets a server go to where another member is."""
    group = scene.hard_group(server, "affinity")
    if group is None or affinity_hosts(scene, server):
        return
    others = sum(host == server.host for member, host in group.member_hosts.items() if member != server.id)
    company = f"with {others} more here" if others else "of which it alone is left"
    bar = Bar("affinity", f"it is in the affinity group {group.name}, {company}")
    yield Bond(Way.SHELVE, bar)


def affinity_hosts(scene: Scene, server: Server) -> frozenset[str]:
    """Other hosts with members of its affinity group: there the scheduler lets it go."""
    group = scene.hard_group(server, "affinity")
    if group is None:
        return frozenset()
    return frozenset(host for host in group.member_hosts.values() if host is not None) - {server.host or ""}


def _running(scene: Scene, server: Server, stance: Stance) -> Iterator[Bond]:
    """What bars only a live migration."""
    specs, shape = server.flavor.extra_specs, scene.shape(server)
    alias = specs.get("pci_passthrough:alias")
    if alias:
        yield Bond(Way.COLD, Bar("pci", f"its flavor {server.flavor.name} passes {alias} through"))
    if _has_vgpu(specs.keys() | shape.keys()):
        yield Bond(Way.COLD, Bar("vgpu", f"its flavor {server.flavor.name} has a virtual GPU"))
    if (specified(server, "mem_encryption") or "").lower() in {"true", "1", "yes", "on", "t", "y"}:
        yield Bond(Way.COLD, Bar("mem-encryption", "its memory is encrypted"))
    if specified(server, "cpu_policy") in {"dedicated", "mixed"} or "PCPU" in shape:
        words = f"its vCPUs are pinned ({shape.get('PCPU', server.flavor.vcpus)} of its own)"
        yield Bond(Way.LIVE, Bar("dedicated-cpu", words))
    if stance.moved_as == "active" and stance.power not in {PowerState.RUNNING, PowerState.PAUSED}:
        yield Bond(Way.COLD)
    if scene.storage(server.host) is Storage.LOCAL and has_local_disk(server):
        size = f"{server.local_disk_gb} GiB" if server.local_disk_gb else "its root disk"
        yield Bond(Way.BLOCK, Bar("local-disk", f"{size} of its disks are on {server.host} itself"))


def _has_vgpu(names: frozenset[str] | set[str]) -> bool:
    return any(name.removeprefix("resources").lstrip("0123456789:") == "VGPU" for name in names)


def has_local_disk(server: Server) -> bool:
    """Whether the host stores any disk of it; a flavor may give a root disk the size of its image (0)."""
    return not server.boots_from_volume or server.local_disk_gb > 0
