"""A host that dies under a test, what its servers look like afterwards, and how it comes back."""

from collections.abc import Mapping, Sequence
from typing import Any

from nodeops.lab import hosts
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from tests.lab.bed import Bed, Result

WORD = "the lab cut its power"
SHARED = "[compute]\n" + "".join(f"c{number:02} nodeops_storage=shared\n" for number in range(1, 7))


def inventory(bed: Bed, text: str = SHARED) -> dict[str, str]:
    """What the API cannot tell of the lab's hosts, as an environment for `Bed.run`."""
    path = bed.state / "inventory.ini"
    path.write_text(text)
    return {"NODEOPS_INVENTORY": str(path)}


def lose(bed: Bed, host: str) -> None:
    """Its power is cut, and Nova and Neutron have noticed."""
    hosts.lose(bed.root, host)
    bed.until(lambda: bed.service(host)["state"] == "down")
    bed.until(lambda: not any(agent.is_alive for agent in bed.cloud.network.agents(host=host)))


def stop_compute(bed: Bed, host: str) -> None:
    """Only its nova-compute dies, and Nova has noticed: the guests run on."""
    hosts.stop_compute(bed.root, host)
    bed.until(lambda: bed.service(host)["state"] == "down")


def fail_over(bed: Bed, host: str, *words: str, said: bool = True) -> Result:
    """Look at the plan, and run that very plan; `said`: fenced by the operator's word."""
    told = (*words, *(("--fenced-by", WORD) if said else ()), "-o", "json")
    environment = inventory(bed)
    plan = bed.run("failover", host, *told, "--dry-run", **environment)
    if plan.code:
        return plan
    return bed.run("failover", host, *told, "--confirm", f"{host}@{plan.json['digest']}", **environment)


def come_back(bed: Bed, host: str) -> None:
    """Power, and nova-compute, which stays forced down; it has removed old copies, and reports again."""
    silent_since = bed.service(host)["updated_at"]
    hosts.start(bed.root, host)
    bed.until(lambda: not evacuations(bed, host, "done"))
    bed.until(lambda: bed.service(host)["updated_at"] != silent_since)


def evacuations(bed: Bed, host: str, status: str) -> list[Any]:
    query = f"/os-migrations?source_compute={host}&migration_type=evacuation&status={status}"
    answer = bed.cloud.compute.get(query, microversion="2.59")
    answer.raise_for_status()
    return list(answer.json()["migrations"])


def guests(bed: Bed, host: str) -> set[str]:
    """Ids of the servers whose guests the simulated hypervisor has there."""
    return {guest.uuid for guest in GuestStore(HostPlace(bed.root, host).guests).all()}


def allocation(bed: Bed, server_id: str) -> set[str]:
    """Hosts on which placement counts a server."""
    placement = bed.cloud.placement
    providers = placement.get("/resource_providers").json()["resource_providers"]
    names = {each["uuid"]: each["name"] for each in providers}
    held = placement.get(f"/allocations/{server_id}").json()["allocations"]
    return {names[provider] for provider in held}


def ports(bed: Bed, server_id: str) -> dict[str, tuple[str, str]]:
    """Port id -> host and status."""
    return {
        port.id: (port.binding_host_id, port.status) for port in bed.cloud.network.ports(device_id=server_id)
    }


def attachments(bed: Bed, server: Mapping[str, Any]) -> list[str]:
    """Hosts of the cinder attachments of its volumes, one for each."""
    found = []
    for volume in server["os-extended-volumes:volumes_attached"]:
        held = bed.cloud.block_storage.get_volume(volume["id"]).attachments
        found += [each["host_name"] for each in held]
    return found


def is_whole(bed: Bed, name: str, status: str, source: str) -> None:
    """On another host in its state, with its ports, volumes and allocation there."""
    server = bed.servers()[name]
    host = server["OS-EXT-SRV-ATTR:host"]
    assert host != source, name
    standing = server["status"], server["OS-EXT-STS:task_state"]
    assert standing == (status, None), (name, standing, server.get("fault"))
    assert server["OS-EXT-SRV-ATTR:hypervisor_hostname"] == host, name
    bound = ports(bed, server["id"])
    assert {place for place, _ in bound.values()} <= {host}, name
    if status == "ACTIVE":
        assert {state for _, state in bound.values()} <= {"ACTIVE"}, name
    assert host in allocation(bed, server["id"]), name
    volumes = server["os-extended-volumes:volumes_attached"]
    assert attachments(bed, server) == [host] * len(volumes), name


def moves_again(bed: Bed, names: Sequence[str], source: str) -> None:
    """Each ACTIVE one is live-migrated once more, which shows that nova's records of it are right."""
    before = bed.hosts_of(names)
    for name in names:
        bed.act(name, {"os-migrateLive": {"host": None, "block_migration": "auto"}})
    bed.idle(names)
    after = bed.hosts_of(names)
    stayed = [name for name in names if after[name] == before[name]]
    assert stayed == []
    for name in names:
        is_whole(bed, name, "ACTIVE", source)
