"""What was seen in the cloud, as values without behaviour towards the wire.

Sizes are MiB for memory and GiB for disk, as Nova's flavors count them; times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class PowerState(IntEnum):
    """`nova/compute/power_state.py`."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Storage(StrEnum):
    """Where a host keeps the disks of its servers; the API does not tell."""

    SHARED = "shared"
    LOCAL = "local"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Flavor:
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Nova's own words for what went wrong with a server."""

    message: str
    code: int | None = None
    created: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    id: str
    name: str
    host: str | None
    """`OS-EXT-SRV-ATTR:host`; None when on no host (shelved offloaded, never scheduled)."""
    node: str | None
    status: str
    vm_state: str
    task_state: str | None
    power_state: int
    flavor: Flavor
    project_id: str = ""
    user_id: str = ""
    locked: bool = False
    locked_reason: str = ""
    image_id: str | None = None
    """None when the server boots from a volume."""
    image_properties: Mapping[str, str] = field(default_factory=dict)
    volume_ids: tuple[str, ...] = ()
    zone: str = ""
    """The zone of the host it is on, not a pin."""
    pinned_zone: str | None = None
    """`pinned_availability_zone`, compute API 2.96 and later."""
    hints: Mapping[str, object] = field(default_factory=dict)
    """Scheduler hints, compute API 2.100 and later."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fault: Fault | None = None
    created: str = ""
    updated: str = ""
    launched: bool = True
    """Whether it has ever run (`OS-SRV-USG:launched_at`)."""
    root_device: str = ""
    """Such as /dev/vda."""
    addresses: tuple[str, ...] = ()
    """As Nova shows them, floating ones first."""

    @property
    def boots_from_volume(self) -> bool:
        return self.image_id is None

    @property
    def local_disk_gb(self) -> int:
        """What the source host itself stores of this server (root unless a volume, ephemeral, swap)."""
        root = 0 if self.boots_from_volume else self.flavor.disk_gb
        return root + self.flavor.ephemeral_gb + (self.flavor.swap_mb + 1023) // 1024


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource class of one provider, as Placement counts it."""

    capacity: int
    """(total - reserved) * allocation_ratio."""
    used: int

    @property
    def free(self) -> int:
        return self.capacity - self.used


@dataclass(frozen=True, slots=True)
class Host:
    """A nova-compute service and what is known of its compute node."""

    name: str
    service_id: str
    zone: str = "nova"
    enabled: bool = True
    up: bool = True
    forced_down: bool = False
    disabled_reason: str = ""
    last_seen: str = ""
    node: str | None = None
    """Hypervisor hostname."""
    provider_id: str | None = None
    """Placement's root resource provider, which is the compute node's uuid."""
    hypervisor_type: str = ""
    aggregates: tuple[str, ...] = ()
    """Names of the aggregates it is in."""
    traits: frozenset[str] = frozenset()
    resources: Mapping[str, Resource] = field(default_factory=dict)
    """By resource class; empty when Placement has no room of any kind there to tell of."""
    servers: int | None = None

    @property
    def serves(self) -> bool:
        """Whether the scheduler would use it at all."""
        return self.enabled and self.up and not self.forced_down


@dataclass(frozen=True, slots=True)
class Aggregate:
    name: str
    hosts: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerGroup:
    id: str
    name: str
    policy: str
    """affinity, anti-affinity, soft-affinity or soft-anti-affinity."""
    members: tuple[str, ...]
    max_server_per_host: int = 1
    """Only for anti-affinity (compute API 2.64)."""
    member_hosts: Mapping[str, str | None] = field(default_factory=dict)
    """Where each member is, by server id, members on other hosts included."""


@dataclass(frozen=True, slots=True)
class Port:
    id: str
    server_id: str
    host: str
    """Host of the ACTIVE binding."""
    status: str
    vif_type: str
    vnic_type: str = "normal"
    has_resource_request: bool = False
    network_id: str = ""
    device_owner: str = ""
    """`compute:<zone>` for a port of a server."""
    enabled: bool = True
    """Its admin_state_up: one that its owner has switched off stays DOWN."""

    @property
    def is_down(self) -> bool:
        """Whether it carries nothing although it should."""
        return self.enabled and self.status != "ACTIVE"


@dataclass(frozen=True, slots=True)
class PortBinding:
    """Where Neutron says a port is bound after it was asked to bind it."""

    port_id: str
    host: str
    vif_type: str
    status: str
    device_owner: str = ""

    @property
    def failed(self) -> bool:
        """Neutron answers 200 also when no mechanism driver could bind (`neutron/plugins/ml2/plugin.py`)."""
        return self.vif_type in {"binding_failed", "unbound"}


@dataclass(frozen=True, slots=True)
class NetworkAgent:
    """One of Neutron's agents."""

    id: str
    type: str
    """`Open vSwitch agent`, `OVN Controller agent`, `DHCP agent` …"""
    binary: str
    host: str
    alive: bool
    last_seen: str = ""

    @property
    def binds_ports(self) -> bool:
        """Whether it is what ports of servers are bound to."""
        return "OVN Controller" in self.type or self.binary in {
            "neutron-openvswitch-agent",
            "neutron-linuxbridge-agent",
            "neutron-macvtap-agent",
            "neutron-sriov-nic-agent",
        }


@dataclass(frozen=True, slots=True)
class Allocation:
    """All that one consumer holds in Placement, with what a change of it must name."""

    consumer_id: str
    resources: Mapping[str, Mapping[str, int]]
    """Provider id -> resource class -> amount; empty when it holds nothing."""
    project_id: str = ""
    user_id: str = ""
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A Cinder attachment."""

    id: str
    volume_id: str
    server_id: str
    status: str
    host: str | None = None
    """The connector's host, where the API shows it."""
    driver: str = ""
    """`driver_volume_type` of its connection info, such as rbd or iscsi; empty when it has none."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A Cinder volume and what it says of its own attachments that are complete."""

    id: str
    status: str
    name: str = ""
    multiattach: bool = False
    bootable: bool = False
    attachments: tuple[Attachment, ...] = ()
    """Only those that are `attached`, with their host (`cinder/api/v3/views/volumes.py`)."""


@dataclass(frozen=True, slots=True)
class AttachedVolume:
    """What Nova says of a server's volume: its block device mapping."""

    volume_id: str
    server_id: str
    device: str
    attachment_id: str | None
    """Of Cinder; None for a mapping of the times before attachments."""
    tag: str = ""
    delete_on_termination: bool = False


@dataclass(frozen=True, slots=True)
class Migration:
    """A row of `/os-migrations`."""

    id: int
    uuid: str
    server_id: str
    type: str
    """live-migration, migration, resize or evacuation."""
    status: str
    source: str
    target: str | None
    created: str = ""
    updated: str = ""

    @property
    def ended(self) -> bool:
        """Nova will not touch it any more (`nova/db/main/api.py`, in-progress migrations)."""
        return self.status in {"completed", "done", "confirmed", "reverted", "error", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a live migration is, in bytes; from `/servers/{id}/migrations`."""

    migration_id: int
    status: str
    memory_total: int = 0
    memory_processed: int = 0
    memory_remaining: int = 0
    disk_total: int = 0
    disk_processed: int = 0
    disk_remaining: int = 0

    @property
    def total(self) -> int:
        return self.memory_total + self.disk_total

    @property
    def remaining(self) -> int:
        return self.memory_remaining + self.disk_remaining


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why Nova did not do it: the event that failed, its words, and the request to search the logs for."""

    words: str
    request_id: str = ""
    event: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cloud, as whom: what a plan file and a run are tied to."""

    cloud: str
    """The name in clouds.yaml or the authentication URL's host."""
    auth_url: str
    region: str
    user: str
    project: str
    compute_microversion: str
    """The highest the compute API offers."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the inventory says of a host and the API cannot."""

    storage: Storage = Storage.UNKNOWN
    rate_mib: float | None = None
    """Live-migration rate in MiB/s; None when unknown."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What past live migrations in the journal say: seconds = overhead + MiB / rate."""

    overhead_seconds: float
    rate_mib: float
    samples: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What the journal says an earlier drain did with one server."""

    server_id: str
    server_name: str
    source: str
    target: str
    state: Mapping[str, object]
    """`ServerPlan.state` of that plan."""


@dataclass(frozen=True, slots=True)
class DrainFacts:
    """All that a drain (or the way back) is planned from."""

    identity: Identity
    host: Host
    """The host that is drained, or given back to."""
    hosts: tuple[Host, ...]
    """Every compute host of the cloud, this one included."""
    servers: tuple[Server, ...]
    """Those on the host, and those in VERIFY_RESIZE elsewhere whose old disk is still there."""
    shapes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What each server holds in Placement: server id -> resource class -> amount."""
    candidates: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Hosts that Placement itself names for a server of this shape; a missing key means it was not asked."""
    aggregates: tuple[Aggregate, ...] = ()
    groups: tuple[ServerGroup, ...] = ()
    """Server groups with a member among `servers`."""
    ports: tuple[Port, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    migrations: tuple[Migration, ...] = ()
    """Of this host as source: those not ended, and those of the last day."""
    settings: Mapping[str, HostSettings] = field(default_factory=dict)
    """By host name; a missing host has the defaults."""
    learnt: Learnt | None = None
    moved: tuple[Moved, ...] = ()
    """Only for giving back: what the last drain of this host moved; `servers` has those that exist."""
    begun: frozenset[str] = frozenset()
    """Steps that an unfinished run of this host has sent: what is seen of them is our own doing."""
    unseen: tuple[str, ...] = ()
    """What could not be asked and why, in words: a plan says so instead of guessing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is seen after a run, on which the verdicts rest."""

    host: Host | None
    servers: Mapping[str, Server | None]
    """Every server of the plan, fresh; None when it does not exist any more."""
    on_host: tuple[Server, ...]
    """Servers that are on the drained host now."""
    migrations: tuple[Migration, ...]
    """Of the drained host as source, newest first."""
    ports: tuple[Port, ...] = ()
    """Of the servers of the plan."""
    ports_bound_to_host: tuple[Port, ...] = ()
    """With any binding on the drained host."""
    allocations: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """Host name -> server id -> resource class -> amount, for the drained host and those that received."""
    attachments: tuple[Attachment, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be asked: then a server cannot be called verified."""


class Life(StrEnum):
    """What is known of a host's life."""

    ALIVE = "ALIVE"
    DEAD = "DEAD"
    """Nothing runs on it: proved, not guessed from silence."""
    CANNOT_TELL = "CANNOT TELL"


@dataclass(frozen=True, slots=True)
class Sign:
    """One piece of evidence on whether a host lives."""

    source: str
    """nova-compute, network-agent, ping, ssh, libvirt, power, ports, volumes or hook."""
    life: Life
    """What it proves by itself; silence proves nothing."""
    words: str
    """What was seen."""
    proves: str = ""
    """What follows from it and what does not, in words."""


@dataclass(frozen=True, slots=True)
class Inquest:
    """Whether a host is dead, and by what evidence."""

    host: str
    life: Life
    why: str
    signs: tuple[Sign, ...]
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class FailoverFacts:
    """All that a failover by the API is planned from."""

    drain: DrainFacts
    """As for a drain; the host's own figures count for nothing."""
    inquest: Inquest | None
    """None: no evidence was asked for."""
    wanted: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Server id -> `ServerPlan.state` as an earlier failover of this host was to leave it."""
    elsewhere: tuple[Server, ...] = ()
    """Servers in VERIFY_RESIZE on other hosts whose old disk is on this one."""
    confirmed: frozenset[str] = frozenset()
    """Steps of an unfinished run for which the operator gave the same word already."""


@dataclass(frozen=True, slots=True)
class ReadmitFacts:
    """All that decides whether a host that was dead may serve again."""

    drain: DrainFacts
    """For giving back: the servers that the failover moved; `moved` says where it put them."""
    evacuations: tuple[Migration, ...]
    """With this host as source, newest first."""
    on_host: tuple[Server, ...]
    """Servers that nova counts on it now."""
    allocations: Mapping[str, Mapping[str, int]] | None
    """What placement counts on it, by consumer; None when it could not be asked."""
    agents: tuple[NetworkAgent, ...] | None
    """Neutron's agents on it; None when they could not be asked."""
    tombstones: Mapping[str, str] | None = None
    """Server id -> status, from the databases; None when none are configured."""
    guests: tuple[str, ...] | None = None
    """Servers whose guests the hypervisor has there; None when nobody could look."""
    resumes: str | None = None
    """What would start guests when the host boots, in words; empty: nothing; None when nobody could look."""
    unseen: tuple[str, ...] = ()
