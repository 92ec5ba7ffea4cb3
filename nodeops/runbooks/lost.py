"""What is to be done about one server of a dead host, or every reason why nothing is.

Nova evacuates a server in ACTIVE, STOPPED or ERROR, whatever task the host's death cut off (`evacuate` in
`nova/compute/api.py`); for the other states its state has to be set to error first, which is a class of
refusal with its own cost each. A STOPPED server stays stopped and an ACTIVE one runs again (below compute API
2.95), one in ERROR ends ACTIVE; what it shall be is asked for afterwards all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nodeops.actions.evacuate import REBUILDING
from nodeops.model.facts import FailoverFacts, Life, PowerState, Server, Storage
from nodeops.plan import Action, Json, Risk
from nodeops.runbooks import links
from nodeops.runbooks.bonds import ACCELERATED, Way, affinity_hosts, has_local_disk, specified
from nodeops.runbooks.classes import Bar
from nodeops.runbooks.classify import Classified
from nodeops.runbooks.links import Chain, Link
from nodeops.runbooks.scene import Scene
from nodeops.runbooks.states import DELETING, RESIZING

AS_IT_IS = frozenset({"active", "stopped", "error"})
QUICK = 0.5
"""Seconds of a step that is expected to find everything as it shall be."""
_NOW_OFF = frozenset({"powering-off"})


@dataclass(frozen=True, slots=True)
class Loss:
    """How a server stands after the death of its host."""

    ends_as: str
    """The vm_state it shall be found in on its new host."""
    why: str
    before: Chain = ()
    bars: tuple[Bar, ...] = ()
    goes: bool = True
    """Whether an evacuation could ever take it."""


def lost(scene: Scene, facts: FailoverFacts, server: Server, rank: int) -> Classified:
    """One server that Nova has on the dead host; `rank` is its place in the operator's order, 0 the first."""
    loss = _loss(scene, facts, server)
    bars = (
        *_life(facts),
        *loss.bars,
        *_ties(scene, server),
        *(_disk(scene, server) if loss.goes else ()),
    )
    chain = (*loss.before, *_evacuation(loss, rank)) if loss.goes else ()
    return Classified(
        server=server,
        way=Way.REBUILD,
        action=Action.EVACUATE if chain else Action.NONE,
        chain=chain,
        why=loss.why,
        bars=bars,
        ends_as=loss.ends_as,
    )


def _evacuation(loss: Loss, rank: int) -> Chain:
    """The evacuation, and what makes sure of the state: done already, in the ordinary case."""
    ordered: dict[str, Json] = {"rank": rank} if rank else {}
    evacuate = Link(
        "evacuate",
        Risk.REBOOT,
        loss.why,
        leaves=True,
        lands=True,
        params=ordered,
        gates=("source-silent",),
    )
    back = {
        "stopped": Link("stop", Risk.REBOOT, "it was off, and stays so", params=ordered, seconds=QUICK),
        "rescued": Link("rescue", Risk.REBOOT, "it was rescued", params=ordered),
    }
    start = Link("start", Risk.SAFE, "it ran, and shall run", params=ordered, seconds=QUICK)
    return evacuate, back.get(loss.ends_as, start)


def _loss(scene: Scene, facts: FailoverFacts, server: Server) -> Loss:
    task, vm_state = server.task_state, server.vm_state
    bar = _nothing_to_save(server)
    if bar is not None:
        return Loss(vm_state, bar.reason, bars=(bar,), goes=False)
    touched = vm_state == "error" or (vm_state in AS_IT_IS and scene.begun("evacuate", server))
    if touched and server.id in facts.wanted:
        return _as_wanted(facts, server)
    if task in RESIZING:
        return _mid_resize(server)
    if task == "migrating":
        return _mid_migration(scene, server)
    return _settled(server) if vm_state in AS_IT_IS else _refused_state(scene, server)


def _nothing_to_save(server: Server) -> Bar | None:
    task = server.task_state
    if task in DELETING:
        words = f"it is being deleted ({task}): deleted again, it goes although its host is down"
        return Bar("deleting", words, overridable=False)
    if server.vm_state == "soft-delete":
        words = "its owner deleted it, and it is kept for a while; restored, it can be evacuated"
        return Bar("soft-deleted", words)
    if not server.launched or server.vm_state == "building":
        return Bar("never-started", f"it never ran ({server.status}{f', {task}' if task else ''})")
    return None


def _as_wanted(facts: FailoverFacts, server: Server) -> Loss:
    """An earlier failover set it to ERROR, or Nova did when that one found no host for it."""
    before = str(facts.wanted[server.id].get("vm_state") or "active")
    ends_as = before if before in {"stopped", "rescued"} else "active"
    why = "its evacuation goes on" if server.task_state in REBUILDING else "it is evacuated once more"
    return Loss(ends_as, why)


def _settled(server: Server) -> Loss:
    if server.vm_state == "error":
        return Loss("active", "it is in ERROR, and nova evacuates it so; it comes up again")
    if server.vm_state == "stopped" or server.task_state in _NOW_OFF:
        return Loss("stopped", "it is off, and stays so")
    return Loss("active", "it ran")


def _mid_resize(server: Server) -> Loss:
    """Its disk may be at `<uuid>_resize`, here or on the other host; of volumes there is only one."""
    task = server.task_state
    only_volumes = not has_local_disk(server)
    words = f"it was in the middle of a resize or a migration ({task})"
    words += "" if only_volumes else ", and its disk may be under another name"
    off = server.vm_state == "stopped"
    bars = (Bar("mid-resize", words, overridable=only_volumes),)
    why = "its resize was cut off; it is evacuated"
    before = () if server.vm_state in AS_IT_IS else (_to_error(server),)
    return Loss("stopped" if off else "active", why, before=before, bars=bars)


def _mid_migration(scene: Scene, server: Server) -> Loss:
    running = [each for each in scene.migrations.get(server.id, ()) if each.type == "live-migration"]
    target = running[0].target if running else None
    words = f"its live migration to {target or 'another host'} was under way, and it may run there"
    bars = (Bar("mid-migration", words),)
    if server.vm_state == "paused":
        return _with_reset(server, "stopped", (*bars, _memory(server)))
    return Loss("active", "its migration was cut off; it is evacuated", bars=bars)


def _refused_state(scene: Scene, server: Server) -> Loss:
    """What Nova evacuates in no case as it is."""
    vm_state = server.vm_state
    if vm_state in {"paused", "suspended"}:
        return _with_reset(server, "stopped", (_memory(server),))
    if vm_state == "rescued":
        again = "rescued again" if not server.boots_from_volume else "left off: it boots from a volume"
        bar = Bar("rescue-lost", f"it is rescued, and would be evacuated and {again}")
        return _with_reset(server, "stopped" if server.boots_from_volume else "rescued", (bar,))
    if vm_state == "shelved":
        return _with_reset(server, "stopped", (Bar("shelved-there", "it is shelved, and was not offloaded"),))
    if vm_state == "resized":
        return _resize_open(scene, server)
    bar = Bar("busy", f"nova calls it {server.status} ({vm_state})", overridable=False)
    return Loss(vm_state, bar.reason, bars=(bar,), goes=False)


def _memory(server: Server) -> Bar:
    return Bar("memory-lost", f"it is {server.vm_state}, and its memory is lost with the host")


def _with_reset(server: Server, ends_as: str, bars: tuple[Bar, ...]) -> Loss:
    why = f"it was {server.vm_state}: its state is set to error, then it is evacuated"
    return Loss(ends_as, why, before=(_to_error(server),), bars=bars)


def _to_error(server: Server) -> Link:
    why = f"nova evacuates no {server.vm_state} server"
    return Link("reset-state", Risk.FORCE, why, params={"state": "error", "host": str(server.host)})


def _resize_open(scene: Scene, server: Server) -> Loss:
    """A confirmation is the work of the host it came from, which must be up (`confirm_resize`)."""
    moves = scene.migrations.get(server.id, ())
    move = next((each for each in moves if each.status in {"finished", "confirming"}), None)
    source = scene.hosts.get(move.source) if move else None
    came_from = source.name if source else "another host"
    words = f"its resize from {came_from} is not confirmed"
    able = source is not None and source.up and not source.forced_down
    if not able:
        words += f", and {came_from} is not up to do that"
    ends_as = "stopped" if server.power_state == PowerState.SHUTDOWN else "active"
    confirm = links.confirm(None, "nova evacuates no server in VERIFY_RESIZE", risk=Risk.FORCE)
    bar = Bar("resize-open", words, overridable=able)
    return Loss(ends_as, "its resize is confirmed, then it is evacuated", before=(confirm,), bars=(bar,))


def _life(facts: FailoverFacts) -> Iterator[Bar]:
    inquest = facts.inquest
    if inquest is not None and inquest.life is Life.ALIVE:
        yield Bar("host-alive", f"{inquest.host} lives, by the evidence: {inquest.why}")


def _disk(scene: Scene, server: Server) -> Iterator[Bar]:
    if not has_local_disk(server) or scene.storage(server.host) is Storage.SHARED:
        return
    size = f"{server.local_disk_gb} GiB" if server.local_disk_gb else "its root disk"
    where = "is" if scene.storage(server.host) is Storage.LOCAL else "may be"
    anew = "from its image" if not server.boots_from_volume else "empty"
    yield Bar("would-lose-disk", f"{size} of it {where} on {server.host} itself, and would begin anew {anew}")


def _ties(scene: Scene, server: Server) -> Iterator[Bar]:
    """What Nova evacuates in no state."""
    host = scene.hosts.get(server.host or "")
    if host is not None and host.hypervisor_type == "ironic":
        yield Bar("bare-metal", "it is a machine of ironic, not a guest")
    if specified(server, "tpm_version"):
        words = "it has an emulated TPM, whose state is on the dead host: nova evacuates no such server"
        yield Bar("vtpm", words, overridable=False)
    for port in scene.ports.get(server.id, ()):
        if port.vnic_type in ACCELERATED:
            words = f"its port {port.id} is on an accelerator ({port.vnic_type})"
            yield Bar("port-accelerator", words, overridable=False)
    group = scene.hard_group(server, "affinity")
    if group is not None and not affinity_hosts(scene, server):
        words = (
            f"it is in the affinity group {group.name}, all on {server.host}: nova lets none of them go "
            "elsewhere; --method database can"
        )
        yield Bar("affinity", words, overridable=False)
