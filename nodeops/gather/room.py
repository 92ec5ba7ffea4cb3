"""What each server holds in Placement and which hosts have room for it: Placement's answers, not ours.

One question per distinct need, however many servers share it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nodeops.gather.optional import Unseen
from nodeops.model.facts import Host, HostSettings, Resource, Server, Storage
from nodeops.model.world import View

Shape = Mapping[str, int]


@dataclass(frozen=True)
class Room:
    hosts: tuple[Host, ...]
    """With Placement's figures and the traits that were asked for."""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    candidates: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shared_disk: frozenset[str] = frozenset()
    """Hosts whose servers' disks are counted on another provider: shared storage, for certain."""


@dataclass(frozen=True)
class Held:
    """What servers hold in Placement, and the hosts whose disk another provider counts."""

    shapes: Mapping[str, Shape]
    shared_disk: frozenset[str]


@dataclass(frozen=True, order=True)
class Need:
    """What Placement is asked for."""

    resources: tuple[tuple[str, int], ...]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


def gather_room(view: View, hosts: tuple[Host, ...], servers: Sequence[Server], unseen: Unseen) -> Room:
    """Every server's shape and the hosts Placement names for it."""
    if not servers:
        return Room(hosts)
    held = unseen.ask("allocations", _held, view, hosts, servers) or Held({}, frozenset())
    shapes = held.shapes
    needs = {server.id: _need(server, shapes.get(server.id)) for server in servers}
    by_provider = {host.provider_id: host.name for host in hosts if host.provider_id}
    figures: dict[str, Mapping[str, Resource]] = {}

    def ask_all() -> dict[Need, frozenset[str]]:
        found = {}
        for need in sorted(set(needs.values())):
            answer = view.candidates(dict(need.resources), required=need.required, forbidden=need.forbidden)
            figures.update(answer)
            found[need] = frozenset(by_provider[each] for each in answer if each in by_provider)
        _complete(view, figures, by_provider)
        return found

    found = unseen.ask("room", ask_all) or {}
    traits = {trait for need in found for trait in need.required}
    return Room(
        hosts=_with_traits(view, tuple(_with_figures(host, figures) for host in hosts), traits, unseen),
        shapes=shapes,
        shared_disk=held.shared_disk,
        candidates={server_id: found[need] for server_id, need in needs.items() if need in found},
    )


def _complete(view: View, figures: dict[str, Mapping[str, Resource]], providers: Iterable[str]) -> None:
    """Figures of hosts that fit no need: a plan says by how much they are too small."""
    for resource_class in ("VCPU", "MEMORY_MB"):
        if set(providers) <= figures.keys():
            return
        figures.update(view.candidates({resource_class: 1}))


def _with_figures(host: Host, figures: Mapping[str, Mapping[str, Resource]]) -> Host:
    known = figures.get(host.provider_id or "")
    return replace(host, resources=known) if known else host


def _with_traits(
    view: View, hosts: tuple[Host, ...], traits: Iterable[str], unseen: Unseen
) -> tuple[Host, ...]:
    having = {trait: unseen.ask(f"trait {trait}", view.traits, [trait]) or () for trait in sorted(traits)}
    if not having:
        return hosts
    return tuple(
        replace(
            host,
            traits=frozenset(trait for trait, providers in having.items() if host.provider_id in providers),
        )
        for host in hosts
    )


def _held(view: View, hosts: Iterable[Host], servers: Sequence[Server]) -> Held:
    """From one list per host that servers are on.

    A disk that is missing there is looked for at another provider, once for each kind of server.
    """
    providers = {host.name: host.provider_id for host in hosts if host.provider_id}
    on_providers: dict[str, Shape] = {}
    for place in sorted({server.host for server in servers if server.host in providers}, key=str):
        on_providers.update(view.allocations_on(providers[str(place)]))
    shapes = {server.id: on_providers[server.id] for server in servers if server.id in on_providers}
    whole: dict[tuple[str | None, str, bool], Shape] = {}
    shared: set[str] = set()
    for server in servers:
        shape = shapes.get(server.id)
        if shape is None or "DISK_GB" in shape or not server.local_disk_gb:
            continue
        kind = (server.host, server.flavor.name, server.boots_from_volume)
        if kind not in whole:
            whole[kind] = _sum(view.allocation(server.id).values())
        shapes[server.id] = {**whole[kind], **shape}
        if "DISK_GB" in whole[kind] and server.host:
            shared.add(server.host)
    return Held(shapes, frozenset(shared))


def _sum(parts: Iterable[Shape]) -> Shape:
    found: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = found.get(name, 0) + amount
    return found


def with_shared_disk(settings: Mapping[str, HostSettings], hosts: Iterable[str]) -> dict[str, HostSettings]:
    """The settings, with these hosts' storage shared unless the inventory knows better."""
    found = dict(settings)
    for host in hosts:
        known = found.get(host, HostSettings())
        if known.storage is Storage.UNKNOWN:
            found[host] = replace(known, storage=Storage.SHARED)
    return found


def _need(server: Server, shape: Shape | None) -> Need:
    specs = {**server.image_properties, **server.flavor.extra_specs}
    return Need(
        resources=tuple(sorted((shape or _flavor_shape(server)).items())),
        required=_traits(specs, "required"),
        forbidden=_traits(specs, "forbidden"),
    )


def _traits(specs: Mapping[str, str], wish: str) -> tuple[str, ...]:
    """`trait:NAME=required` of flavor and image (`nova/scheduler/utils.py`)."""
    return tuple(
        sorted(name.removeprefix("trait:") for name, value in specs.items() if _is(name, value, wish))
    )


def _is(name: str, value: str, wish: str) -> bool:
    return name.startswith("trait:") and value == wish


def _flavor_shape(server: Server) -> Shape:
    """For a server without an allocation: what Nova would ask for."""
    flavor = server.flavor
    cpus = "PCPU" if flavor.extra_specs.get("hw:cpu_policy") == "dedicated" else "VCPU"
    shape = {cpus: flavor.vcpus, "MEMORY_MB": flavor.ram_mb, "DISK_GB": server.local_disk_gb}
    return {name: amount for name, amount in shape.items() if amount}
