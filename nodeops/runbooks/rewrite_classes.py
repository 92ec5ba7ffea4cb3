"""The classes of refusal that only a failover by the database has: what it must check by itself.

Evacuation leaves these to Nova's scheduler and its claims; a rewrite of records passes them all by.
"""

from nodeops.plan import Risk
from nodeops.runbooks.refusal_class import RefusalClass

_HOSTS: tuple[RefusalClass, ...] = (
    RefusalClass(
        "use-evacuate",
        "nova evacuates it as it is, and its own way claims, binds and checks everything by itself",
        "its records are rewritten all the same, as when nova's scheduler or conductor is down",
        Risk.FORCE,
        only_by_name=True,
        hint="nodeops failover HOST does it by the API.",
        source="compute/api.py, evacuate: vm_state ACTIVE, STOPPED or ERROR",
    ),
    RefusalClass(
        "other-cell",
        "the target, or the record of the server, is in another cell: its rows are in another database",
        hint="Choose a target in the same cell.",
        source="objects/instance_mapping.py, host_mapping.py",
    ),
    RefusalClass(
        "not-one-node",
        "the host or the target has not exactly one compute node: to which a server belongs is not known",
        hint="Look at compute_nodes: one row for each host, none twice.",
        source="compute/resource_tracker.py asks by host and node",
    ),
    RefusalClass(
        "target-not-serving",
        "the target is disabled, forced down or down: a guest could not be started there",
        hint="Enable it, or choose another with --to.",
        source="servicegroup/api.py, service_is_up",
    ),
    RefusalClass(
        "other-hypervisor",
        "the target has another kind of hypervisor",
        hint="Choose a target of the same kind with --to.",
        source="conductor/tasks/live_migrate.py, _check_compatible_with_source_hypervisor",
    ),
)

_ROWS: tuple[RefusalClass, ...] = (
    RefusalClass(
        "records-disagree",
        "its rows contradict each other, or what the API says: somebody has rewritten or is changing them",
        hint="nodeops audit tells what is wrong; mend that first.",
        source="compute/resource_tracker.py asks by host and node",
    ),
    RefusalClass(
        "state-not-moved",
        "its state depends on what only its host or a task had: a rescue image, a build, a deletion",
        hint="nodeops failover HOST by the API knows such states: see what it refuses.",
        source="compute/vm_states.py, ALLOW_HARD_REBOOT",
    ),
    RefusalClass(
        "task-cut-off",
        "it was in a task that changes more than its row, which the death of its host cut off in the middle",
        hint="Reset its state (openstack server set --state) once it is clear where its disks are.",
        source="compute/task_states.py, allow_reboot",
    ),
    RefusalClass(
        "resize-unfinished",
        "a resize or migration of it is not finished: its old flavor, claims and disk are still kept",
        hint="Its owner confirms or reverts it, when both hosts live.",
        source="objects/migration_context.py",
    ),
    RefusalClass(
        "migration-open",
        "nova has a migration of it that is not ended: its guest may be on another host",
        hint="Look on that host; then set that migration to error (nova-manage, or nodeops audit).",
        source="db/main/api.py, migration_get_in_progress_by_instance",
    ),
    RefusalClass(
        "numa-claimed",
        "its CPUs are pinned, or its memory is in huge pages of the dead host: only nova claims them anew",
        hint="Evacuate it: nodeops failover HOST.",
        source="objects/instance_numa.py",
    ),
    RefusalClass(
        "pci-claimed",
        "it has PCI devices of the dead host: their rows belong to that host's compute node",
        hint="Evacuate it: nodeops failover HOST.",
        source="db/main/models.py, PciDevice",
    ),
    RefusalClass(
        "resources-claimed",
        "it holds persistent memory, a virtual GPU or an accelerator of the dead host",
        hint="Evacuate it: nodeops failover HOST.",
        source="objects/resource.py; scheduler/utils.py, claim_resources_on_destination",
    ),
    RefusalClass(
        "shares-mounted",
        "it has Manila shares mounted, whose access rules name the dead host",
        hint="Detach the shares first.",
        source="compute/api.py, block_shares_not_supported",
    ),
)

_PLACEMENT: tuple[RefusalClass, ...] = (
    RefusalClass(
        "placement-silent",
        "placement does not answer: what it holds cannot be moved, and both hosts would be counted wrong",
        hint="Bring placement back first; it needs neither nova nor the message queue.",
        source="compute/resource_tracker.py, _remove_deleted_instances_allocations",
    ),
    RefusalClass(
        "no-allocation",
        "placement counts it nowhere on the dead host",
        hint="nova-manage placement heal_allocations --instance ID makes it from the flavor.",
        source="cmd/manage.py, heal_allocations",
    ),
    RefusalClass(
        "nested-allocation",
        "it holds something on a part of the dead host (a GPU, a device, bandwidth), not on the whole",
        hint="Evacuate it: nodeops failover HOST.",
        source="scheduler/utils.py, claim_resources_on_destination",
    ),
    RefusalClass(
        "target-holds",
        "placement counts it on the target already: an evacuation or migration was begun",
        hint="nodeops audit tells what is left over.",
        source="scheduler/utils.py, claim_resources_on_destination",
    ),
)

_PORTS_AND_DISKS: tuple[RefusalClass, ...] = (
    RefusalClass(
        "network-silent",
        "neutron's API does not answer: whether the target's agent lives and how ports end is not seen",
        hint="With --bindings database only the rows are rewritten.",
        source="neutron/plugins/ml2/plugin.py, update_port",
    ),
    RefusalClass(
        "agent-dead",
        "no living network agent on the target binds its ports: neutron would answer binding_failed",
        hint="Start the agent there, or choose another target with --to.",
        source="neutron/plugins/ml2/drivers/mech_agent.py, bind_port",
    ),
    RefusalClass(
        "port-not-moved",
        "a port of it is passed through, has a minimum bandwidth, or is in the middle of a migration",
        hint="Evacuate it: nodeops failover HOST.",
        source="network/neutron.py, _update_port_binding_for_instance",
    ),
    RefusalClass(
        "port-elsewhere",
        "a port of it is not bound on the dead host",
        hint="nodeops audit tells what is wrong; mend that first.",
        source="neutron/plugins/ml2/models.py, PortBinding",
    ),
    RefusalClass(
        "disk-left-behind",
        "it has a disk that is not known to be on shared storage: rewritten, it would start without it",
        hint="When the disks are shared, say so: nodeops_storage=shared in the inventory.",
        source="virt/libvirt/driver.py, _hard_reboot makes missing disks anew",
    ),
    RefusalClass(
        "volume-silent",
        "cinder does not answer, and its volumes have to be attached anew to be used elsewhere",
        hint="With --keep-attachments servers on Ceph or NFS go without; others have to wait.",
        source="cinder/volume/api.py, attachment_create",
    ),
    RefusalClass(
        "volume-odd",
        "an attachment of its volumes is missing, doubled, of the old kind or shared with other servers",
        hint="nodeops audit tells what is wrong; mend that first.",
        source="virt/block_device.py, _legacy_volume_detach; compute/manager.py, _delete_dangling_bdms",
    ),
    RefusalClass(
        "connector-missing",
        "its volumes are exported to the dead host only (iSCSI, Fibre Channel), and how the storage is to "
        "know the target is told by nobody",
        hint="There: nova-manage volume_attachment get_connector --json > FILE; here: --connector FILE.",
        source="virt/block_device.py, refresh_connection_info: a hard reboot uses the stored one",
    ),
)

_UNDO: tuple[RefusalClass, ...] = (
    RefusalClass(
        "has-run",
        "its guest has run on the target since: its disks and its memory have gone on there",
        hint="When its old host is back and readmitted, migrate it home: nodeops readmit HOST --give-back.",
        source="compute/manager.py, reboot_instance",
    ),
    RefusalClass(
        "old-host-back",
        "its old host has come back and removed its copy, or may do so at any time",
        hint="It stays on the target; migrate it home once the host is readmitted.",
        source="compute/manager.py, _destroy_evacuated_instances",
    ),
    RefusalClass(
        "not-ours",
        "it was moved again since the run that is to be undone",
        hint="It is where somebody else wanted it.",
        source="db/main/models.py, Instance.host",
    ),
    RefusalClass(
        "not-saved",
        "the undo file of the run is gone or does not hold it: what it was cannot be put back",
        hint="Is this the machine, the user and the state directory of that run?",
        source="nova keeps no row as it was",
    ),
    RefusalClass(
        "attachment-gone",
        "the old attachment of a volume is deleted, and none like it can be made",
        hint="With Cinder's database configured before the run its connector would have been saved.",
        source="compute/manager.py, _delete_dangling_bdms destroys such a mapping",
    ),
)

OF_A_REWRITE: tuple[RefusalClass, ...] = (*_HOSTS, *_ROWS, *_PLACEMENT, *_PORTS_AND_DISKS, *_UNDO)
"""In the order in which they are checked."""
