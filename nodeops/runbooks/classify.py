"""What is to be done about one server, or every reason why nothing is.

Server, facts and options in; a chain of steps without targets, and the bars the options leave standing, out.
"""

from dataclasses import dataclass

from nodeops.model.facts import Server, Storage
from nodeops.plan import Action, Risk
from nodeops.runbooks import links
from nodeops.runbooks.bonds import Way, bonds, has_local_disk
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.links import Chain, Link
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.states import ENDS_WITH_POWER, NO_HOST, RESIZING, Stance, stance


@dataclass(frozen=True, slots=True)
class Classified:
    """One server and what would be done about it."""

    server: Server
    way: Way
    action: Action
    chain: Chain
    why: str
    bars: tuple[Bar, ...]
    """Everything in the way, allowed or not."""
    ends_as: str
    """The vm_state it shall be found in afterwards."""

    @property
    def needs_target(self) -> bool:
        return any(link.lands for link in self.chain)

    @property
    def risk(self) -> Risk:
        return max((link.risk for link in self.chain), default=Risk.SAFE)

    @property
    def shelves(self) -> bool:
        return self.way is Way.SHELVE


def concerned(scene: Scene) -> tuple[Server, ...]:
    """Servers a drain has to do with: on the host, or elsewhere with their old disk still on it."""
    drained = scene.facts.host.name
    return tuple(
        server
        for server in scene.facts.servers
        if server.host == drained or (_between(server) and _old_disk_here(scene, server))
    )


def _between(server: Server) -> bool:
    return server.vm_state == "resized" or server.task_state in RESIZING


def _old_disk_here(scene: Scene, server: Server) -> bool:
    drained = scene.facts.host.name
    if any(words.startswith("migrations") for words in scene.facts.unseen):
        return True
    return any(
        migration.source == drained and migration.type in {"migration", "resize"} and not migration.ended
        for migration in scene.migrations.get(server.id, ())
    )


def classify(scene: Scene, server: Server) -> Classified:
    """What its state and its ties make of it; where it goes is not asked here."""
    stood = stance(scene, server)
    ties = bonds(scene, server, stood)
    bars = (*stood.bars, *(tie.bar for tie in ties if tie.bar is not None))
    way = max((tie.way for tie in ties), default=Way.LIVE)
    chain = _chain(server, stood, way, bars)
    return Classified(
        server=server,
        way=way,
        action=_action(chain),
        chain=chain,
        why=stood.why,
        bars=bars,
        ends_as=stood.ends_as or stood.moved_as or server.vm_state,
    )


def _chain(server: Server, stood: Stance, way: Way, bars: tuple[Bar, ...]) -> Chain:
    moved_as, source = stood.moved_as, str(server.host)
    if moved_as is None:
        return stood.before
    if moved_as == "shelved":
        return (*stood.before, *links.offload(source, stood.why))
    before, after = stood.before, stood.after
    if way in {Way.COLD, Way.SHELVE} and moved_as == "paused":
        out, back = links.there_and_back("unpause", "pause", source, "it is paused", Risk.REBOOT)
        before, after, moved_as = (*before, *out), (*back, *after), "active"
    if way is Way.SHELVE and moved_as == "stopped":
        after = (Link("stop", Risk.REBOOT, "as it was before", restores="shelve"), *after)
    return (*before, *_move(way, moved_as, source, _because(bars)), *after)


def _move(way: Way, moved_as: str, source: str, because: str) -> Chain:
    if way is Way.NONE:
        return ()
    if way is Way.SHELVE:
        return links.shelved_over(source, because)
    if way is Way.COLD:
        risk = Risk.SAFE if moved_as == "stopped" and not because else Risk.REBOOT
        return links.cold(moved_as, source, risk=risk, why=because or "it is off")
    return links.live(moved_as, block=way is Way.BLOCK)


def _because(bars: tuple[Bar, ...]) -> str:
    hard = {"pci", "vgpu", "vtpm", "mem-encryption", "sriov", "power-mismatch", "accelerator", "affinity"}
    return "; ".join(bar.reason for bar in bars if bar.refusal_class in hard)


_ACTIONS = {
    "wait-task": Action.WAIT,
    "live-migrate": Action.LIVE_MIGRATE,
    "block-migrate": Action.BLOCK_MIGRATE,
    "cold-migrate": Action.COLD_MIGRATE,
    "shelve-offload": Action.SHELVE_OFFLOAD,
    "confirm-resize": Action.CONFIRM_RESIZE,
}
_TELLING = ("wait-task", "live-migrate", "block-migrate", "cold-migrate", "shelve-offload", "confirm-resize")


def _action(chain: Chain) -> Action:
    """The word for the whole chain: waiting if it begins so, else the move in it."""
    names = {link.action for link in chain}
    return next((_ACTIONS[name] for name in _TELLING if name in names), Action.NONE)


def copied_disk_gb(scene: Scene, classified: Classified) -> int:
    """Disk that is copied besides memory: none on shared storage, and none known where that is unknown."""
    server = classified.server
    moves = classified.way in {Way.BLOCK, Way.COLD} and classified.needs_target
    if not moves or scene.storage(server.host) is not Storage.LOCAL or not has_local_disk(server):
        return 0
    return server.local_disk_gb


def state_after(classified: Classified) -> dict[str, str | int | bool | None]:
    """What it shall be found as afterwards; the power state is left out where Nova shows different ones."""
    vm_state, server = classified.ends_as, classified.server
    if vm_state == NO_HOST:
        return {"vm_state": vm_state, "power_state": None, "locked": server.locked}
    power = ENDS_WITH_POWER.get(vm_state)
    return {
        "vm_state": vm_state,
        "power_state": None if power is None else int(power),
        "locked": server.locked,
    }
