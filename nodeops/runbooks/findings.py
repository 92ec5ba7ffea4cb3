"""What the operator should know before a plan is run, and what forbids running it."""

from collections.abc import Iterator, Sequence

from nodeops.actions.service import disabled_by_nodeops
from nodeops.model.facts import Host, Storage
from nodeops.plan import Finding, Level
from nodeops.runbooks.bonds import Way, has_local_disk
from nodeops.runbooks.moves import Decision
from nodeops.runbooks.scene import PINNED_ZONE_SEEN, Scene
from nodeops.runbooks.targets import pinned_zone

PLACED_BY_HINT = ("same_host", "different_host", "build_near_host_ip", "query")


def of_service(host: Host) -> Iterator[Finding]:
    """Of a host that is to be drained."""
    if host.enabled:
        return
    reason = host.disabled_reason or "no reason given"
    if disabled_by_nodeops(host.disabled_reason):
        yield Finding(
            Level.INFO, "host-disabled", f"{host.name} is disabled already by {reason}", subject=host.name
        )
    else:
        yield Finding(
            Level.INFO,
            "host-disabled-by-other",
            f"{host.name} was disabled by somebody else: {reason}",
            "It keeps that reason, and stays disabled afterwards.",
            host.name,
        )


def of_dead_host(host: Host) -> Iterator[Finding]:
    """Nothing can leave a host whose nova-compute does not answer, or come to it."""
    if host.up and not host.forced_down:
        return
    state = "forced down" if host.forced_down else "down"
    yield Finding(
        Level.ERROR,
        "host-down",
        f"{host.name}: its nova-compute is {state}, and nothing can be moved",
        "Start nova-compute there; when the host is lost, its servers have to be evacuated.",
        host.name,
    )


def of_targets(scene: Scene) -> Iterator[Finding]:
    """`--to` names a host that cannot receive."""
    for name in scene.options.to:
        host = scene.hosts.get(name)
        if host is None:
            words = f"--to {name}: no compute host has this name"
        elif not host.serves:
            why = "down" if not host.up else f"disabled: {host.disabled_reason or 'no reason given'}"
            words = f"--to {name}: it is {why}"
        else:
            continue
        yield Finding(Level.ERROR, "target-not-serving", words, "Name hosts that are enabled and up.", name)


def of_knowledge(scene: Scene, decisions: Sequence[Decision]) -> Iterator[Finding]:
    """What is not known and would matter."""
    for words in scene.facts.unseen:
        yield Finding(Level.WARNING, "unseen", f"could not be asked: {words}")
    going = [each for each in decisions if each.goes and each.classified.needs_target]
    yield from _storage(scene, going)
    guessed = [each for each in going if pinned_zone(scene, each.server) is not None]
    if guessed and scene.microversion < PINNED_ZONE_SEEN:
        yield Finding(
            Level.INFO,
            "pins-unseen",
            "this cloud does not tell which servers are pinned to a zone: all stay in theirs",
        )
    for each in going:
        hints = [name for name in PLACED_BY_HINT if name in each.server.hints]
        if hints:
            yield Finding(
                Level.WARNING,
                "scheduler-hints",
                f"{each.server.name} was booted with {', '.join(hints)}, which nova may hold its target to",
                subject=each.server.id,
            )


def _storage(scene: Scene, going: Sequence[Decision]) -> Iterator[Finding]:
    live = [each for each in going if each.classified.way is Way.LIVE and has_local_disk(each.server)]
    for host in sorted({str(each.server.host) for each in live}):
        if scene.storage(host) is Storage.UNKNOWN:
            yield Finding(
                Level.WARNING,
                "storage-unknown",
                f"where {host} keeps its disks is not known: nova finds out, and copies local ones",
                "Set its nodeops_storage to shared or local in the inventory.",
                host,
            )


def of_room(scene: Scene, decisions: Sequence[Decision]) -> Iterator[Finding]:
    """Who has no place."""
    names = [each.server.name for each in decisions if "no-room" in {bar.refusal_class for bar in each.bars}]
    if names:
        yield Finding(
            Level.WARNING,
            "no-room",
            f"the other hosts have no room for all at once: {', '.join(names)} would be left",
            "Free or add a host, or drain in two parts.",
        )
    if scene.options.scheduler and any(each.goes for each in decisions):
        yield Finding(Level.INFO, "scheduler-chooses", "nova chooses each target when its turn comes")
