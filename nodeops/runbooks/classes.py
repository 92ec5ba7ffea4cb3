"""Every class of refusal: what it means, what would override it, what that costs.

The table in the documentation is made from this module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodeops.plan import Refusal, Risk
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.reattach_classes import OF_A_REATTACH
from nodeops.runbooks.recover_classes import OF_A_RECOVERY
from nodeops.runbooks.refusal_class import RefusalClass
from nodeops.runbooks.rewrite_classes import OF_A_REWRITE

_STORAGE_AND_STATE: tuple[RefusalClass, ...] = (
    RefusalClass(
        "local-disk",
        "its disks are on the host itself, and every block of them has to be copied over the network",
        "block-migrate: the disks are copied while it runs",
        Risk.LIVE,
        by_name=True,
        source="virt/libvirt/driver.py, check_can_live_migrate_source",
    ),
    RefusalClass(
        "suspended",
        "its memory is in a file on the host; nova moves no suspended server",
        "it is resumed, live-migrated and suspended again",
        Risk.REBOOT,
        source="compute/api.py, live_migrate: vm_state must be ACTIVE or PAUSED",
    ),
    RefusalClass(
        "rescued",
        "it runs from its rescue image; nova moves no rescued server",
        "it is unrescued, live-migrated and rescued again with its own image; another rescue image is lost",
        Risk.REBOOT,
        source="compute/api.py, live_migrate, resize; rescue",
    ),
    RefusalClass(
        "error",
        "nova calls it ERROR and moves it in no way",
        "when its guest runs, its state is reset to active and it is live-migrated",
        Risk.FORCE,
        hint="A guest that does not run: look at its fault, then reboot it hard, rebuild or delete it.",
        source="compute/api.py, live_migrate, resize: ERROR is in no list",
    ),
    RefusalClass(
        "verify-resize",
        "it was resized or migrated, and its owner can still go back: its old disk is kept for that",
        "the resize is confirmed, which takes the way back from its owner; then it is moved if it is here",
        Risk.REBOOT,
        hint="Its owner can confirm or revert it.",
        source="compute/api.py, confirm_resize: vm_state RESIZED",
    ),
    RefusalClass(
        "power-mismatch",
        "nova's state and the hypervisor's do not agree",
        "it is cold-migrated, which powers it off and leaves it as nova believes it to be",
        Risk.REBOOT,
        hint="Start or stop it, so that both agree; nova itself does so within ten minutes.",
        source="conductor/tasks/live_migrate.py, _check_instance_is_active",
    ),
    RefusalClass(
        "locked",
        "it was locked: somebody wants nobody to touch it",
        "it is moved all the same, as an administrator may",
        Risk.REBOOT,
        source="compute/api.py, check_instance_lock: not for administrators",
    ),
    RefusalClass(
        "deleting",
        "it is being deleted",
        "its end is waited for",
        Risk.SAFE,
        by_name=True,
        hint="A deletion that hangs ends with nova-compute's restart.",
        source="compute/api.py: no task may run; compute/manager.py, _init_instance",
    ),
    RefusalClass(
        "soft-deleted",
        "its owner deleted it, and it is kept for a while in case it is wanted again",
        hint="Delete it for good (forceDelete) or restore it first.",
        source="compute/api.py: SOFT_DELETED allows restore and delete only",
    ),
    RefusalClass(
        "busy",
        "it is in a task whose end is not known, or that nothing works on any more",
        "a task that nothing works on is reset (reset-state active); then it is live-migrated",
        Risk.FORCE,
        hint="Wait until it has ended and run the same command again.",
        source="compute/api.py: task_state must be None; compute/task_states.py",
    ),
)

_HARDWARE: tuple[RefusalClass, ...] = (
    RefusalClass(
        "pci",
        "its flavor passes a PCI device through; nova moves that live only when its alias says "
        "live_migratable, which the API does not tell",
        "cold-migrate: it is powered off, and on again at the target",
        Risk.REBOOT,
        source="conductor/tasks/live_migrate.py, _check_can_migrate_pci",
    ),
    RefusalClass(
        "sriov",
        "it has an SR-IOV port: nova unplugs it for the live migration and plugs one in at the target, so "
        "the guest is without that network meanwhile unless it bonds it with another",
        "live-migrate; cold-migrate when the whole physical function is passed through",
        Risk.REBOOT,
        source="virt/libvirt/driver.py, _detach_direct_passthrough_vifs; network/model.py",
    ),
    RefusalClass(
        "vgpu",
        "it has a virtual GPU; that moves live only between hosts of the same type with libvirt 8.6, "
        "QEMU 8.1 and a driver that can, which the API does not tell",
        "cold-migrate: it is powered off, and on again at the target",
        Risk.REBOOT,
        source="virt/libvirt/driver.py, _host_can_support_mdev_live_migration",
    ),
    RefusalClass(
        "vtpm",
        "it has an emulated TPM whose secret only its owner can read: an administrator can neither migrate "
        "nor shelve it; with hw:tpm_secret_security=host it moves live from 2026.1 on",
        "with hw:tpm_secret_security=deployment: cold-migrate, powered off and on again",
        Risk.REBOOT,
        hint="Its owner can resize the server to a flavor with hw:tpm_secret_security=host, or delete it.",
        source="compute/api.py, reject_legacy_vtpm_live_migration, reject_vtpm_instances; vtpm.py",
    ),
    RefusalClass(
        "mem-encryption",
        "its memory is encrypted (SEV); nova refuses to move it live",
        "cold-migrate: it is powered off, and on again at the target",
        Risk.REBOOT,
        source="compute/api.py, reject_mem_enc_instances",
    ),
    RefusalClass(
        "accelerator",
        "its flavor has a device profile; nova neither live- nor cold-migrates it",
        "it is shelved, offloaded and unshelved at the target: off meanwhile, its disk goes through an image",
        Risk.REBOOT,
        source="compute/api.py, block_accelerators",
    ),
    RefusalClass(
        "port-accelerator",
        "it has a port on an accelerator; nova neither migrates nor shelves it",
        hint="Detach that port, or delete the server.",
        source="compute/api.py, block_port_accelerators",
    ),
    RefusalClass(
        "dedicated-cpu",
        "its vCPUs are pinned: it moves live only where enough are free in NUMA cells of its shape, which "
        "Placement does not tell, and such guests often do not bear a pause",
        "live-migrate; a target without the cells is refused by nova and replaced",
        Risk.LIVE,
        by_name=True,
        source="scheduler/filters/numa_topology_filter.py; compute/manager.py, _live_migration_claim",
    ),
    RefusalClass(
        "bare-metal",
        "it is a machine of Ironic, not a guest: it cannot be moved at all",
        source="virt/ironic/driver.py has no live_migration",
    ),
)

_PLACE: tuple[RefusalClass, ...] = (
    RefusalClass(
        "pinned-az",
        "it was booted into an availability zone, and no other host of that zone can take it",
        hint="Enable a host in that zone, or unpin the server: shelve it, offload it and unshelve it with "
        "another zone or none.",
        source="scheduler/request_filter.py, map_az_to_placement_aggregate",
    ),
    RefusalClass(
        "affinity",
        "its server group keeps its members on one host; nova allows no single one to leave",
        "all members are shelved, offloaded and unshelved on one target: off meanwhile",
        Risk.REBOOT,
        source="scheduler/filters/affinity_filter.py; scheduler/utils.py, setup_instance_group",
    ),
    RefusalClass(
        "anti-affinity",
        "every host that could take it has as many members of its server group as may be together",
        hint="Add a host, or move or delete another member.",
        source="scheduler/filters/affinity_filter.py; compute/manager.py, _validate_instance_group_policy",
    ),
    RefusalClass(
        "too-large",
        "no other host has room for it, even if nothing else were moved",
        hint="Free or add a host, or name a smaller flavor with its owner.",
        source="placement: allocation candidates",
    ),
    RefusalClass(
        "no-room",
        "there is room for it alone, and not together with the others",
        hint="Free or add a host, or drain in two parts.",
        source="placement: allocation candidates",
    ),
    RefusalClass(
        "no-target",
        "no other host may take it, for another reason than room",
        source="scheduler/filters; scheduler/request_filter.py",
    ),
)

_DEAD_HOST: tuple[RefusalClass, ...] = (
    RefusalClass(
        "host-alive",
        "the host was fenced, it is said, and the evidence says that it lives: then its guests run, and an "
        "evacuation makes second copies that write to the same disks",
        "its servers are evacuated all the same",
        Risk.FORCE,
        only_by_name=True,
        hint="Power it off first: nodeops inquest HOST --fence.",
        source="compute/api.py, evacuate asks for nova-compute only",
    ),
    RefusalClass(
        "would-lose-disk",
        "it has a disk that is not known to be on shared storage: evacuation builds that disk anew, from its "
        "image or empty, and what was written to it is left on the dead host",
        "it is evacuated, and its local disks begin anew",
        Risk.FORCE,
        only_by_name=True,
        hint="When the disks are shared, say so: nodeops_storage=shared in the inventory. Else repair the "
        "host, or copy the disks from its drives.",
        source="compute/manager.py, _do_rebuild_instance: instance_on_disk",
    ),
    RefusalClass(
        "mid-migration",
        "its live migration was under way when the host died: its guest may run on the target without "
        "nova's knowledge, and an evacuation would start a second one on its disks",
        "it is evacuated; look on the migration's target first (virsh list --all)",
        Risk.FORCE,
        only_by_name=True,
        source="compute/manager.py, _post_live_migration: the record moves last",
    ),
    RefusalClass(
        "memory-lost",
        "it was paused or suspended: nova evacuates only ACTIVE, SHUTOFF and ERROR servers, and the memory "
        "its owner kept is lost with the host, whatever is done",
        "its state is set to error, it is evacuated, and it stays powered off as its owner had halted it; by "
        "the database: its records are moved, it is rebooted hard, and it runs",
        Risk.FORCE,
        source="compute/api.py, evacuate: vm_state ACTIVE, STOPPED or ERROR",
    ),
    RefusalClass(
        "rescue-lost",
        "it ran from its rescue image, which nova does not evacuate",
        "its state is set to error, it is evacuated, and rescued again with its own image; one that boots "
        "from a volume is left powered off instead",
        Risk.FORCE,
        hint="Its owner wanted it off its own disk: ask, if there is time.",
        source="compute/api.py, evacuate: vm_state ACTIVE, STOPPED or ERROR",
    ),
    RefusalClass(
        "shelved-there",
        "it is shelved and not yet offloaded: its image is safe, and nova neither offloads nor evacuates it "
        "while its host is down",
        "its state is set to error, it is evacuated from its disk and left powered off; it is no longer "
        "shelved, and its shelved image is left over",
        Risk.FORCE,
        hint="The database way moves it and keeps it shelved: --method database.",
        source="compute/api.py, evacuate, shelve_offload, unshelve",
    ),
    RefusalClass(
        "resize-open",
        "it was resized or migrated to this host and its owner has not confirmed: nova does not evacuate it "
        "so, and its old disk on the host it came from is kept for going back",
        "the resize is confirmed, which removes the old disk, and it is evacuated",
        Risk.FORCE,
        only_by_name=True,
        hint="When the disks are local, the old one may be all that is left of it: save it first.",
        source="compute/api.py, evacuate, confirm_resize, revert_resize",
    ),
    RefusalClass(
        "mid-resize",
        "it was being resized or migrated when the host died: where its disk is, and under which name, is "
        "not known (INSTANCE_resize), and an evacuation would not find it and build a new one",
        "it is evacuated; only for a server whose disks are all volumes",
        Risk.FORCE,
        only_by_name=True,
        hint="Look for its disk on the shared storage; the database way can move its record after that.",
        source="virt/libvirt/driver.py, migrate_disk_and_power_off",
    ),
    RefusalClass(
        "never-started",
        "it was still being built, or never ran: nova evacuates only what has run once, and there is "
        "nothing to save",
        hint="Delete it and build it again.",
        source="compute/api.py, check_instance_state: must_have_launched",
    ),
)

CLASSES: Mapping[str, RefusalClass] = {
    each.name: each
    for each in (
        *_STORAGE_AND_STATE,
        *_HARDWARE,
        *_PLACE,
        *_DEAD_HOST,
        *OF_A_REWRITE,
        *OF_A_REATTACH,
        *OF_A_RECOVERY,
    )
}
"""By name, in the order of the documentation."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What stands in the way of one server."""

    refusal_class: str
    reason: str
    overridable: bool = True
    """Whether the class's override works for this server."""

    def allowed(self, options: MoveOptions) -> bool:
        return self.overridable and CLASSES[self.refusal_class].allowed(options)

    def refusal(self) -> Refusal:
        return CLASSES[self.refusal_class].refusal(self.reason, overridable=self.overridable)


def refusals(bars: Iterable[Bar]) -> tuple[Refusal, ...]:
    """One per class, in their order; one that has no override counts for its class."""
    found: dict[str, Bar] = {}
    for bar in bars:
        known = found.get(bar.refusal_class)
        if known is None or (known.overridable and not bar.overridable):
            found[bar.refusal_class] = bar
    return tuple(bar.refusal() for bar in found.values())
