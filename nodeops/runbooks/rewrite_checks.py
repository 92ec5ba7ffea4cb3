"""Everything that may be in the way of a rewrite of one server, before the first is touched.

Nova's scheduler and claims are passed by, so what they would have checked is checked here, and named.
"""

import json
from collections.abc import Iterator

from nodeops.model.facts import Server, Storage
from nodeops.model.records import BindingRecord, ServerRecord, VolumeRecord
from nodeops.model.rewriting import Bindings
from nodeops.runbooks.bonds import has_local_disk, specified
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.rewrite_scene import RewriteScene, host_bound

MOVED_STATES = frozenset({"active", "stopped", "paused", "suspended", "error", "shelved"})
EVACUATED = frozenset({"active", "stopped", "error"})
HARMLESS_TASKS = frozenset(
    {
        "rebooting",
        "rebooting_hard",
        "reboot_pending",
        "reboot_pending_hard",
        "reboot_started",
        "reboot_started_hard",
        "powering-on",
        "powering-off",
        "pausing",
        "unpausing",
        "suspending",
        "resuming",
        "migrating",
        "image_snapshot",
        "image_snapshot_pending",
        "image_pending_upload",
        "image_uploading",
        "image_backup",
        "updating_password",
    }
)
"""Tasks that are over when the row is on another host; of a migration only when its record has ended."""
BOUND_TO_HOST = frozenset({"migrating_to", "pci_slot", "allocation"})
"""Keys of a binding's profile that name the old host or a claim there."""


def bars_of_hosts(scene: RewriteScene) -> Iterator[Bar]:
    """What no server can be rewritten with: they are refused all together."""
    source, target, host = scene.source, scene.target, scene.facts.target
    if source.cell != target.cell and target.nodes:
        yield Bar("other-cell", f"{host.name} is in another cell than {source.host}")
    for each in (source, target):
        if each.nodes != 1:
            yield Bar("not-one-node", f"{each.host} has {each.nodes} compute nodes in the database")
    if not host.serves or (target.nodes and not target.service_up):
        state = f"disabled: {host.disabled_reason or 'no reason given'}" if not host.enabled else "down"
        yield Bar("target-not-serving", f"{host.name} is {state}")
    if target.nodes and source.hypervisor_type != target.hypervisor_type:
        words = f"{host.name} runs {target.hypervisor_type}, {source.host} {source.hypervisor_type}"
        yield Bar("other-hypervisor", words)


def bars_of_server(scene: RewriteScene, server: Server) -> Iterator[Bar]:
    """Of one server that the API has on the dead host."""
    record = scene.records.get(server.id)
    if record is None:
        yield Bar("records-disagree", f"the cell of {scene.source.host} has no such server on it")
        return
    yield from _row(scene, server, record)
    yield from _state(server, record)
    yield from _claims(server, record)
    yield from _placement(scene, server)
    yield from _place(scene, server, record)
    yield from _ports(scene, record)
    yield from _disks(scene, server)
    yield from _volumes(scene, record)


def _row(scene: RewriteScene, server: Server, record: ServerRecord) -> Iterator[Bar]:
    source = scene.source
    if record.cell != source.cell:
        yield Bar("other-cell", f"it is mapped to another cell than {source.host}")
    if (record.host, record.node) != (source.host, source.node):
        words = f"its row says host {record.host}, node {record.node}; {source.host}'s node is {source.node}"
        yield Bar("records-disagree", words)
    elif record.vm_state != server.vm_state:
        yield Bar("records-disagree", f"its row says {record.vm_state}, and the API {server.vm_state}")


def _state(server: Server, record: ServerRecord) -> Iterator[Bar]:
    if not record.launched or record.vm_state == "building":
        yield Bar("never-started", f"it never ran ({server.status})")
        return
    task = record.task_state
    if task in {"deleting", "soft-deleting"}:
        yield Bar("deleting", f"it is being deleted ({task})", overridable=False)
    elif task is not None and task not in HARMLESS_TASKS:
        yield Bar("task-cut-off", f"it was in the task {task}")
    if record.vm_state not in MOVED_STATES:
        yield Bar("state-not-moved", f"it is {server.status}")
    elif record.vm_state in {"paused", "suspended"}:
        words = f"it is {record.vm_state}: rebooted hard on the target it runs, its memory is lost"
        yield Bar("memory-lost", words)
    elif record.vm_state in EVACUATED and not _refused_by_evacuate(record, server):
        yield Bar("use-evacuate", f"it is {server.status}, which nova evacuates")


def _refused_by_evacuate(record: ServerRecord, server: Server) -> bool:
    return record.shares or specified(server, "tpm_version") is not None


def _claims(server: Server, record: ServerRecord) -> Iterator[Bar]:
    specs = server.flavor.extra_specs
    if record.migration_context:
        yield Bar("resize-unfinished", "its row holds the context of a resize or migration")
    if record.open_migrations:
        yield Bar("migration-open", f"a migration is open: {', '.join(record.open_migrations)}")
    if record.numa:
        yield Bar("numa-claimed", "its row holds pinned CPUs or huge pages of the dead host")
    if record.pci or "pci_passthrough:alias" in specs:
        yield Bar("pci-claimed", "it has a PCI device of the dead host")
    if record.resources or "accel:device_profile" in specs or any("VGPU" in name for name in specs):
        yield Bar("resources-claimed", f"its flavor {server.flavor.name} claims a device of the dead host")
    if record.shares:
        yield Bar("shares-mounted", "it has Manila shares")
    if specified(server, "tpm_version"):
        yield Bar("vtpm", "it has an emulated TPM, whose state is on the dead host", overridable=False)


def _placement(scene: RewriteScene, server: Server) -> Iterator[Bar]:
    """What it holds, by trees; its own allocation on the target is no surprise in an unfinished run."""
    facts = scene.facts
    if facts.held is None:
        yield Bar("placement-silent", "placement did not say what it holds")
        return
    held, ours = scene.held(server.id).keys(), scene.sent("rewrite-allocation", server.id)
    nested = (held & facts.source_tree) - {scene.source.uuid}
    there = held & facts.target_tree
    if nested:
        yield Bar("nested-allocation", f"it holds something on provider {', '.join(sorted(nested))}")
    if there and not ours:
        yield Bar("target-holds", f"placement counts it on {facts.target.name} already")
    if scene.source.uuid not in held and not (there and ours):
        yield Bar("no-allocation", f"placement does not count it on {scene.source.host}")


def _place(scene: RewriteScene, server: Server, record: ServerRecord) -> Iterator[Bar]:
    target = scene.facts.target
    pinned = record.pinned_zone or server.pinned_zone
    if pinned is not None and pinned != target.zone:
        words = f"it was booted into the zone {pinned}, and {target.name} is in {target.zone}"
        yield Bar("pinned-az", words, overridable=False)


def _ports(scene: RewriteScene, record: ServerRecord) -> Iterator[Bar]:
    bindings = scene.bindings(record)
    if not bindings and scene.sees_bindings:
        return
    facts, way = scene.facts, scene.options.bindings
    if way.by_api and (facts.ports is None or facts.agents is None):
        yield Bar("network-silent", "neutron's API does not answer")
    elif facts.agents is not None and not any(each.binds_ports and each.alive for each in facts.agents):
        yield Bar("agent-dead", f"{facts.target.name} has no living agent that binds ports")
    for binding in bindings:
        yield from _binding(scene, record, binding)
    for port in scene.api_ports.get(record.id, ()):
        if port.has_resource_request:
            yield Bar("port-not-moved", f"its port {port.id} has a minimum bandwidth or packet rate")


def _binding(scene: RewriteScene, record: ServerRecord, binding: BindingRecord) -> Iterator[Bar]:
    port, here = binding.port_id, {scene.source.host}
    if scene.sent("rewrite-bindings", record.id) or scene.sent("bind-ports", record.id):
        here |= {scene.target.host, ""}
    if binding.vnic_type != "normal":
        yield Bar("port-not-moved", f"its port {port} is passed through ({binding.vnic_type})")
    names = BOUND_TO_HOST & _profile(binding.profile)
    if names:
        yield Bar("port-not-moved", f"the profile of its port {port} has {', '.join(sorted(names))}")
    if binding.host not in here:
        yield Bar("port-elsewhere", f"its port {port} is bound on {binding.host or 'no host'}")
    left = [
        each
        for each in record.bindings
        if each.port_id == port and each.status != "ACTIVE" and each.host == scene.target.host
    ]
    if left and scene.options.bindings is Bindings.API:
        words = f"its port {port} has an inactive binding on {scene.target.host}; --bindings both removes it"
        yield Bar("port-not-moved", words)


def _profile(text: str) -> frozenset[str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return frozenset()
    return frozenset(found) if isinstance(found, dict) else frozenset()


def _disks(scene: RewriteScene, server: Server) -> Iterator[Bar]:
    if not has_local_disk(server):
        return
    for host in (scene.source.host, scene.target.host):
        storage = scene.storage(host, server)
        if storage is not Storage.SHARED:
            where = "is" if storage is Storage.LOCAL else "may be"
            yield Bar("disk-left-behind", f"its disk {where} on {host} itself: storage there is {storage}")
            return


def _volumes(scene: RewriteScene, record: ServerRecord) -> Iterator[Bar]:
    renewed = scene.renewed(record)
    for volume in record.volumes:
        if volume.attachment_id is None:
            words = f"volume {volume.volume_id} is attached in the old way, without an attachment of cinder's"
            yield Bar("volume-odd", words)
        elif scene.facts.attachments is not None:
            yield from _attachments(scene, record, volume)
        elif host_bound(volume) or not scene.options.keep_attachments:
            yield Bar("volume-silent", f"cinder did not say how volume {volume.volume_id} is attached")
    if scene.facts.connector is None and any(host_bound(each) for each in renewed):
        kinds = ", ".join(sorted({each.driver or "unknown" for each in renewed if host_bound(each)}))
        yield Bar("connector-missing", f"its volumes are {kinds}, exported to {scene.source.host} only")


def _attachments(scene: RewriteScene, record: ServerRecord, volume: VolumeRecord) -> Iterator[Bar]:
    known = {each.id for each in scene.attachments.get((record.id, volume.volume_id), ())}
    if volume.attachment_id not in known:
        words = f"cinder has no attachment {volume.attachment_id} of volume {volume.volume_id}"
        yield Bar("volume-odd", words)
    elif len(known) > 1 and not scene.sent("renew-attachments", record.id):
        yield Bar("volume-odd", f"volume {volume.volume_id} is attached to it {len(known)} times")
    elif volume.multiattach and volume in scene.renewed(record):
        yield Bar("volume-odd", f"volume {volume.volume_id} is shared with other servers")
