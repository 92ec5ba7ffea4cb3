"""Nova's JSON as facts. Every function is pure; `nova/api/openstack/compute/views` says what there is."""

from collections.abc import Mapping, Sequence
from typing import Any

from nodeops.model.facts import (
    Aggregate,
    AttachedVolume,
    Fault,
    Flavor,
    Host,
    Migration,
    Progress,
    Resource,
    Server,
    ServerGroup,
)

Body = Mapping[str, Any]


def server(body: Body) -> Server:
    """A server of `/servers/detail` or `/servers/{id}` at 2.73 or newer."""
    image = body.get("image") or {}
    return Server(
        id=body["id"],
        name=body.get("name") or "",
        host=None if _is_offloaded(body) else body.get("OS-EXT-SRV-ATTR:host") or None,
        node=None if _is_offloaded(body) else body.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or None,
        status=body["status"],
        vm_state=body.get("OS-EXT-STS:vm_state") or "",
        task_state=body.get("OS-EXT-STS:task_state") or None,
        power_state=body.get("OS-EXT-STS:power_state") or 0,
        flavor=flavor(body.get("flavor") or {}),
        project_id=body.get("tenant_id") or "",
        user_id=body.get("user_id") or "",
        locked=bool(body.get("locked")),
        locked_reason=body.get("locked_reason") or "",
        image_id=image.get("id"),
        image_properties=strings(image.get("properties") or {}),
        volume_ids=tuple(each["id"] for each in body.get("os-extended-volumes:volumes_attached") or ()),
        zone=body.get("OS-EXT-AZ:availability_zone") or "",
        pinned_zone=body.get("pinned_availability_zone") or None,
        hints=dict(body.get("scheduler_hints") or {}),
        metadata=strings(body.get("metadata") or {}),
        tags=tuple(body.get("tags") or ()),
        fault=fault(body.get("fault")),
        created=body.get("created") or "",
        updated=body.get("updated") or "",
        launched=body.get("OS-SRV-USG:launched_at", "") is not None,
        root_device=body.get("OS-EXT-SRV-ATTR:root_device_name") or "",
        addresses=addresses(body.get("addresses") or {}),
    )


def addresses(body: Body) -> tuple[str, ...]:
    """Of all networks; floating ones first, then those of IPv4."""
    found = [each for network in body.values() for each in network]
    found.sort(key=lambda each: (each.get("OS-EXT-IPS:type") != "floating", each.get("version") != 4))  # noqa: PLR2004 - IPv4
    return tuple(each["addr"] for each in found)


def _is_offloaded(body: Body) -> bool:
    """Nova writes the state first and forgets the host a moment later; the guest is gone before either.

    `nova/compute/manager.py`, `_shelve_offload_instance`. A task shows that it is being brought back.
    """
    return body.get("OS-EXT-STS:vm_state") == "shelved_offloaded" and not body.get("OS-EXT-STS:task_state")


def strings(body: Body) -> dict[str, str]:
    return {str(key): str(value) for key, value in body.items() if value is not None}


def flavor(body: Body) -> Flavor:
    """The flavor embedded in a server (2.47); extra specs are there when the policy shows them."""
    return Flavor(
        name=body.get("original_name") or "",
        vcpus=int(body.get("vcpus") or 0),
        ram_mb=int(body.get("ram") or 0),
        disk_gb=int(body.get("disk") or 0),
        ephemeral_gb=int(body.get("ephemeral") or 0),
        swap_mb=int(body.get("swap") or 0),
        extra_specs=strings(body.get("extra_specs") or {}),
    )


def fault(body: Body | None) -> Fault | None:
    if not body:
        return None
    return Fault(body.get("message") or "", body.get("code"), body.get("created") or "")


def host(service: Body, hypervisors: Sequence[Body] = ()) -> Host:
    """A nova-compute service and its compute node.

    A service of a cell that cannot be reached has only binary, host and status UNKNOWN (2.69).
    """
    known = hypervisors[0] if len(hypervisors) == 1 else {}
    return Host(
        name=service["host"],
        service_id=str(service.get("id") or ""),
        zone=service.get("zone") or "",
        enabled=service.get("status") != "disabled",
        up=service.get("state") == "up",
        forced_down=bool(service.get("forced_down")),
        disabled_reason=service.get("disabled_reason") or "",
        last_seen=service.get("updated_at") or "",
        node=known.get("hypervisor_hostname"),
        provider_id=known.get("id"),
        hypervisor_type=known.get("hypervisor_type") or "",
        resources=_resources(known),
        servers=known.get("running_vms"),
    )


def _resources(body: Body) -> dict[str, Resource]:
    """What nova-compute itself counts, before any allocation ratio or reservation (2.87 and older)."""
    names = {
        "VCPU": ("vcpus", "vcpus_used"),
        "MEMORY_MB": ("memory_mb", "memory_mb_used"),
        "DISK_GB": ("local_gb", "local_gb_used"),
    }
    return {
        resource_class: Resource(int(body[total]), int(body.get(used) or 0))
        for resource_class, (total, used) in names.items()
        if body.get(total) is not None
    }


def aggregate(body: Body) -> Aggregate:
    return Aggregate(body["name"], tuple(body.get("hosts") or ()), strings(body.get("metadata") or {}))


def group(body: Body) -> ServerGroup:
    """A server group at 2.64 or newer."""
    rules = body.get("rules") or {}
    return ServerGroup(
        id=body["id"],
        name=body.get("name") or "",
        policy=body.get("policy") or "",
        members=tuple(body.get("members") or ()),
        max_server_per_host=int(rules.get("max_server_per_host") or 1),
    )


def migration(body: Body) -> Migration:
    """A row of `/os-migrations` at 2.59 or newer."""
    return Migration(
        id=body["id"],
        uuid=body.get("uuid") or "",
        server_id=body["instance_uuid"],
        type=body.get("migration_type") or "",
        status=body.get("status") or "",
        source=body.get("source_compute") or "",
        target=body.get("dest_compute") or None,
        created=body.get("created_at") or "",
        updated=body.get("updated_at") or "",
    )


def progress(body: Body) -> Progress:
    """A row of `/servers/{id}/migrations`; the figures are null until the copy began."""
    return Progress(
        migration_id=body["id"],
        status=body.get("status") or "",
        memory_total=body.get("memory_total_bytes") or 0,
        memory_processed=body.get("memory_processed_bytes") or 0,
        memory_remaining=body.get("memory_remaining_bytes") or 0,
        disk_total=body.get("disk_total_bytes") or 0,
        disk_processed=body.get("disk_processed_bytes") or 0,
        disk_remaining=body.get("disk_remaining_bytes") or 0,
    )


def attached_volume(body: Body) -> AttachedVolume:
    """One of `/servers/{id}/os-volume_attachments` at 2.89 or newer."""
    return AttachedVolume(
        volume_id=body["volumeId"],
        server_id=body["serverId"],
        device=body.get("device") or "",
        attachment_id=body.get("attachment_id") or None,
        tag=body.get("tag") or "",
        delete_on_termination=bool(body.get("delete_on_termination")),
    )
