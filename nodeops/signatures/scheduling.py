"""Why no host was chosen."""

from nodeops.signatures.signature import Signature, failure, known

FILTERS = {
    "ComputeFilter": "every host that was left is disabled or down",
    "AvailabilityZoneFilter": "no host that was left is in the wanted availability zone",
    "ServerGroupAntiAffinityFilter": "every host that was left has a server of the same anti-affinity group",
    "ServerGroupAffinityFilter": "the host with the other servers of its affinity group was not left",
    "NUMATopologyFilter": "no host that was left has room for its NUMA cells, pinned CPUs or huge pages",
    "PciPassthroughFilter": "no host that was left has the PCI devices it needs",
    "ImagePropertiesFilter": "no host that was left can run what its image asks for",
    "ComputeCapabilitiesFilter": "no host that was left has the capabilities its flavor asks for",
    "AggregateInstanceExtraSpecsFilter": "no host that was left is in an aggregate that suits its flavor",
    "AggregateImagePropertiesIsolation": "no host that was left is in an aggregate that suits its image",
    "AggregateMultiTenancyIsolation": "no host that was left takes servers of its project",
    "SameHostFilter": "the host it must share was not left",
    "DifferentHostFilter": "only hosts it must not share were left",
    "IoOpsFilter": "every host that was left is busy with other servers' disks",
    "NumInstancesFilter": "every host that was left has as many servers as it may have",
    "JsonFilter": "no host that was left suits its scheduler hint",
}
"""nova/scheduler/filters: filter -> what it means when it leaves no host."""

SCHEDULING: tuple[Signature, ...] = (
    *(
        known(
            "no-valid-host-filter",
            rf"Filter (?P<filter>{name}) returned 0 hosts|'(?P<other>{name}): \(start: \d+, end: 0\)",
            f"no host is left after the scheduler's {name}: {meaning}",
            f"nova/filters.py; nova/scheduler/filters ({name})",
            "nodeops status",
        )
        for name, meaning in FILTERS.items()
    ),
    known(
        "no-valid-host-filter",
        r"Filter (?P<filter>\w+) returned 0 hosts|'(?P<other>\w+): \(start: \d+, end: 0\)",
        "no host is left after the scheduler's {filter}{other}",
        "nova/filters.py, get_filtered_objects",
        "nodeops status",
    ),
    known(
        "no-allocation-candidates",
        r"Got no allocation candidates from the Placement API",
        "Placement knows no enabled host with enough free CPUs, memory and disk and the wanted traits",
        "nova/scheduler/manager.py, select_destinations",
        "nodeops status",
    ),
    known(
        "claim-conflict",
        r"(?:There was a conflict when trying to complete your request|Unable to allocate inventory).*"
        r"(?P<why>(?:over capacity|exceed|insufficient)[^\"']*)?",
        "Placement refused the claim: the host filled up meanwhile, or another changed it {why}",
        "nova/scheduler/client/report.py, put_allocations",
        "nodeops status",
    ),
    known(
        "insufficient-resources",
        r"Insufficient compute resources: (?P<why>[^\"]+?)\.?(?:$|[\"'])",
        "the host itself has not the room: {why}",
        "nova/compute/resource_tracker.py, instance_claim",
        "nodeops status HOST",
    ),
    known(
        "group-policy-violated",
        r"(?P<kind>[Aa]nti-affinity|[Aa]ffinity) (?:instance group policy was violated|server group "
        r"specified)",
        "its server group's {kind} does not allow this host",
        "nova/compute/manager.py, _validate_instance_group_policy",
        "nodeops status",
    ),
    known(
        "quota",
        r"[Qq]uota exceeded(?: for (?:resources: )?|, )(?P<what>[^\"{]*)",
        "a quota does not allow it: {what}",
        "nova/exception.py, OverQuota",
        "openstack quota show --usage PROJECT",
    ),
    failure(
        "no-valid-host",
        r"No valid host (?:was )?found",
        "the scheduler found no host; its log, and its filters', say which condition failed",
        "nova/exception.py, NoValidHost",
        "nodeops status",
    ),
    failure(
        "retries-exhausted",
        r"Exceeded max(?:imum number of retries| scheduling (?:attempts|retries))",
        "it was tried on as many hosts as are allowed, and failed on each",
        "nova/scheduler/utils.py, populate_retry",
        "nodeops trace SERVER",
    ),
)
