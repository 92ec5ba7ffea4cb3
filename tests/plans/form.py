"""Facts, options and expectations from the compact JSON of `tests/plans/*.json`.

What a case does not say has a default: host c01 is planned for (`host_says` tells of it), c02 and c03 are
empty and take anything, servers are ACTIVE and small, storage is shared. Placement's answer is worked out
from the room unless a server says which hosts it names (`candidates`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.inventory.variables import ServiceManager
from nodeops.model.facts import (
    Aggregate,
    DrainFacts,
    FailoverFacts,
    Fault,
    Flavor,
    Host,
    HostSettings,
    Identity,
    Inquest,
    Learnt,
    Life,
    Migration,
    Moved,
    NetworkAgent,
    Port,
    PowerState,
    ReadmitFacts,
    Resource,
    Server,
    ServerGroup,
    Storage,
)
from nodeops.model.machine import Before, Boot, Condition, Service, ServiceState
from nodeops.model.maintaining import MaintainFacts, Manners, Reset, Task
from nodeops.plan import Plan, Risk
from nodeops.runbooks.drain import plan_drain
from nodeops.runbooks.failover import FailoverOptions, plan_failover
from nodeops.runbooks.maintain import MaintainOptions, plan_maintain
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.priority import Priority
from nodeops.runbooks.readmit import plan_readmit
from nodeops.runbooks.scene import flavor_shape
from nodeops.runbooks.undrain import plan_undrain

STATUS = {
    "active": "ACTIVE",
    "paused": "PAUSED",
    "stopped": "SHUTOFF",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
    "resized": "VERIFY_RESIZE",
    "error": "ERROR",
    "building": "BUILD",
    "soft-delete": "SOFT_DELETED",
}
POWER = {
    "paused": PowerState.PAUSED,
    "stopped": PowerState.SHUTDOWN,
    "suspended": PowerState.SHUTDOWN,
    "shelved": PowerState.SHUTDOWN,
    "shelved_offloaded": PowerState.NOSTATE,
    "building": PowerState.NOSTATE,
}


@dataclass(frozen=True)
class Case:
    """One file of `tests/plans`."""

    facts: DrainFacts
    options: MoveOptions
    runbook: str
    force: bool
    expect: Mapping[str, Any]
    inquest: Inquest | None = None
    fenced_by: str = ""
    priority: tuple[Priority, ...] = ()
    wanted: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    window: Mapping[str, Any] = field(default_factory=dict)
    """What is to be done to a host that is maintained, and what was done already."""
    returned: Mapping[str, Any] = field(default_factory=dict)
    """What is said of a host that comes back: `returned` in the file."""

    def plan(self) -> Plan:
        if self.runbook == "readmit":
            return plan_readmit(_returned(self.facts, self.returned), self.options, force=self.force)
        if self.runbook == "maintain":
            return plan_maintain(_window(self.facts, self.window), _window_options(self))
        if self.runbook == "failover":
            elsewhere = tuple(s for s in self.facts.servers if s.host != self.facts.host.name)
            facts = FailoverFacts(self.facts, self.inquest, self.wanted, elsewhere)
            return plan_failover(facts, FailoverOptions(self.options, self.fenced_by, self.priority))
        if self.runbook == "undrain":
            return plan_undrain(self.facts, self.options, force=self.force)
        return plan_drain(self.facts, self.options)


def case_of(data: Mapping[str, Any]) -> Case:
    said = dict(data.get("options", {}))
    options = MoveOptions(
        **{
            **said,
            "allow": frozenset(said.get("allow", ())),
            "risk": Risk[said.get("risk", "live").upper()],
            "to": tuple(said.get("to", ())),
        }
    )
    return Case(
        facts=facts_of(data),
        options=options,
        runbook=data.get("runbook", "drain"),
        force=data.get("force", False),
        expect=data.get("expect", {}),
        inquest=_inquest(data),
        fenced_by=data.get("fenced_by", ""),
        priority=tuple(Priority.parse(each) for each in data.get("priority", ())),
        wanted={name: {"vm_state": state} for name, state in data.get("wanted", {}).items()},
        returned=data.get("returned", {}),
        window=data.get("window", {}),
    )


def _window_options(case: Case) -> MaintainOptions:
    said = case.window
    task = Task(
        tuple(said.get("argv", ())), pause=said.get("pause", False), reset=Reset(said.get("reset", "none"))
    )
    manners = Manners(
        give_back=said.get("give_back", False),
        force=case.force,
        finish=said.get("finish", False),
        again=said.get("again", False),
    )
    return MaintainOptions(task, case.options, manners)


def _window(facts: DrainFacts, said: Mapping[str, Any]) -> MaintainFacts:
    """Servers on the host are drained; those elsewhere were moved away before."""
    host = facts.host.name
    here = tuple(server for server in facts.servers if server.host == host)
    there = tuple(server for server in facts.servers if server.host != host)
    manager = ServiceManager(said.get("manager", "systemd"))
    service = Service("nova-compute", manager, ServiceState.RUNNING, stop_seconds=65.0)
    boot = Boot("boot-1", 0.0)
    return MaintainFacts(
        drain=replace(facts, servers=here, moved=()),
        condition=None if said.get("away") else Condition(host, boot, 0.0, compute=service),
        before=Before(libvirt="11.3.0"),
        hooks_before=tuple(said.get("hooks_before", ())),
        hooks_after=tuple(said.get("hooks_after", ())),
        done=frozenset(said.get("done", ())),
        sent=frozenset(said.get("sent", ())),
        failed=frozenset(said.get("failed", ())),
        unknown=frozenset(said.get("unknown", ())),
        away=replace(facts, servers=there) if there else None,
    )


def _returned(facts: DrainFacts, said: Mapping[str, Any]) -> ReadmitFacts:
    """A host that came back and is clean, but for what is said."""
    host = facts.host.name
    agents = said.get("agents", {"neutron-openvswitch-agent": True})
    allocations = said.get("allocations", [])
    return ReadmitFacts(
        drain=facts,
        evacuations=tuple(
            migration_of(index, {"type": "evacuation", "target": "c02", **each}, host)
            for index, each in enumerate(said.get("evacuations", ()))
        ),
        on_host=tuple(server_of({"name": name}, host) for name in said.get("on_host", ())),
        allocations=None if allocations is None else {each: {"VCPU": 1} for each in allocations},
        agents=None
        if agents is None
        else tuple(NetworkAgent(binary, binary, binary, host, alive) for binary, alive in agents.items()),
        tombstones=said.get("tombstones"),
        guests=tuple(said["guests"]) if "guests" in said else None,
        resumes=said.get("resumes"),
    )


def _inquest(data: Mapping[str, Any]) -> Inquest | None:
    """`DEAD`, `ALIVE`, `CANNOT TELL`, or null when nobody asked."""
    life = data.get("inquest", "DEAD")
    host = data.get("host", "c01")
    return None if life is None else Inquest(host, Life(life), "power is off" if life == "DEAD" else "", ())


def facts_of(data: Mapping[str, Any]) -> DrainFacts:
    said = data.get("hosts", {"c02": {}, "c03": {}})
    drained = data.get("host", "c01")
    state = {"up": False} if data.get("runbook") == "failover" else {}
    own = {drained: state | data.get("host_says", {})}
    hosts = tuple(host_of(name, each) for name, each in {**own, **said}.items())
    servers = tuple(server_of(each, drained) for each in data.get("servers", ()))
    aggregates = tuple(
        Aggregate(name, tuple(each["hosts"]), each.get("metadata", {}))
        for name, each in data.get("aggregates", {}).items()
    )
    return DrainFacts(
        identity=Identity(
            "test", "http://keystone", "RegionOne", "op", "admin", data.get("microversion", "2.104")
        ),
        host=next(host for host in hosts if host.name == drained),
        hosts=hosts,
        servers=servers,
        shapes={
            server.id: each.get("shape", flavor_shape(server))
            for server, each in zip(servers, data.get("servers", ()), strict=True)
        },
        candidates=_candidates(data, servers, hosts),
        aggregates=aggregates,
        groups=tuple(_group(name, each, servers) for name, each in data.get("groups", {}).items()),
        ports=tuple(
            Port(f"port-{index}", each["server"], each.get("host", drained), "ACTIVE", "ovs", each["vnic"])
            for index, each in enumerate(data.get("ports", ()))
        ),
        migrations=tuple(
            migration_of(index, each, drained) for index, each in enumerate(data.get("migrations", ()))
        ),
        settings={
            name: HostSettings(Storage(each.get("storage", "shared")), each.get("rate_mib"))
            for name, each in data.get("settings", {host.name: {} for host in hosts}).items()
        },
        learnt=Learnt(**data["learnt"]) if "learnt" in data else None,
        moved=tuple(
            Moved(
                each["server"],
                each["server"],
                drained,
                each["target"],
                {"vm_state": each.get("vm_state", "active")},
            )
            for each in data.get("moved", ())
        ),
        begun=frozenset(data.get("begun", ())),
        unseen=tuple(data.get("unseen", ())),
    )


def host_of(name: str, said: Mapping[str, Any]) -> Host:
    room = {"VCPU": 64, "MEMORY_MB": 65536, "DISK_GB": 2000} | said.get("room", {})
    used = said.get("used", {})
    return Host(
        name=name,
        service_id=f"service-{name}",
        zone=said.get("zone", "nova"),
        enabled=said.get("enabled", True),
        up=said.get("up", True),
        forced_down=said.get("forced_down", False),
        disabled_reason=said.get("reason", ""),
        last_seen=said.get("seen", ""),
        node=name,
        provider_id=f"provider-{name}",
        hypervisor_type=said.get("kind", "QEMU"),
        traits=frozenset(said.get("traits", ())),
        resources={each: Resource(capacity, used.get(each, 0)) for each, capacity in room.items()},
    )


def server_of(said: Mapping[str, Any], drained: str) -> Server:
    vm_state = said.get("vm_state", "active")
    flavor = Flavor(
        name=said.get("flavor", "small"),
        vcpus=said.get("vcpus", 1),
        ram_mb=said.get("ram", 1024),
        disk_gb=said.get("disk", 10),
        ephemeral_gb=said.get("ephemeral", 0),
        extra_specs=said.get("specs", {}),
    )
    return Server(
        id=said["name"],
        name=said["name"],
        host=said.get("host", drained),
        node=said.get("host", drained),
        status=said.get("status", STATUS.get(vm_state, vm_state.upper())),
        vm_state=vm_state,
        task_state=said.get("task"),
        power_state=said.get("power", POWER.get(vm_state, PowerState.RUNNING)),
        flavor=flavor,
        project_id=said.get("project", "project"),
        locked="locked" in said,
        locked_reason=said.get("locked", ""),
        image_id=None if said.get("boot") == "volume" else "image",
        image_properties=said.get("image", {}),
        zone=said.get("zone", "nova"),
        pinned_zone=said.get("pinned"),
        hints=said.get("hints", {}),
        metadata=said.get("metadata", {}),
        launched=said.get("launched", True),
        fault=Fault(said["fault"]) if "fault" in said else None,
    )


def migration_of(index: int, said: Mapping[str, Any], drained: str) -> Migration:
    return Migration(
        id=said.get("id", index + 1),
        uuid=f"migration-{index}",
        server_id=said["server"],
        type=said.get("type", "live-migration"),
        status=said["status"],
        source=said.get("source", drained),
        target=said.get("target"),
    )


def _group(name: str, said: Mapping[str, Any], servers: tuple[Server, ...]) -> ServerGroup:
    """Members elsewhere are given with their host; those among the servers are where these are."""
    here = {server.id: server.host for server in servers}
    members: Mapping[str, str | None] = said["members"]
    return ServerGroup(
        id=name,
        name=name,
        policy=said["policy"],
        members=tuple(members),
        max_server_per_host=said.get("most", 1),
        member_hosts={each: here.get(each, host) for each, host in members.items()},
    )


def _candidates(
    data: Mapping[str, Any], servers: tuple[Server, ...], hosts: tuple[Host, ...]
) -> dict[str, frozenset[str]]:
    if data.get("placement") == "unseen":
        return {}
    found = {}
    for server, said in zip(servers, data.get("servers", ()), strict=True):
        shape = said.get("shape", flavor_shape(server))
        traits = {
            name.removeprefix("trait:")
            for name, value in server.flavor.extra_specs.items()
            if value == "required"
        }
        fitting = frozenset(
            host.name
            for host in hosts
            if traits <= host.traits
            and all(name in host.resources and host.resources[name].free >= n for name, n in shape.items())
        )
        found[server.id] = frozenset(said["candidates"]) if "candidates" in said else fitting
    return found
