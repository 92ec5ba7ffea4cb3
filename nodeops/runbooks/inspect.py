"""Whether and how a server's disk can be looked into: a pure function of the server and its guest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nodeops.model.facts import Server
from nodeops.model.inspecting import LOOK_SECONDS, Disk, Guest
from nodeops.plan import Finding, Json, Level, Plan, Risk, Step

RUNBOOK = "inspect"
SUSPEND, OPEN, CLOSE = "suspend-guest", "open-disk", "close-disk"
LOCK, UNLOCK = "lock-server", "unlock-server"
OURS = re.compile(r"nodeops (\S+) by .+: inspect")
"""Why a server is locked whose disk is open for writing: `RunRecord.reason`."""
WRITABLE = frozenset({"stopped", "error"})
"""Nova's states of a server whose disk may be written to."""
QUIET = frozenset({"running", "paused", "shut off", "crashed", "undefined"})
BUSY_REASONS = frozenset({"migrating", "saving", "dumping", "snapshotting", "starting up", "shutting down"})
FORMATS = frozenset({"qcow2", "raw"})
FILES = frozenset({"file", "block"})


@dataclass(frozen=True, slots=True)
class InspectOptions:
    disk: int = 0
    """0 the first."""
    write: bool = False
    seconds: float = LOOK_SECONDS
    consent: str = ""
    """Who agreed, and how, in the operator's words."""


@dataclass(frozen=True, slots=True)
class InspectFacts:
    server: Server
    guest: Guest
    cloud: str


def locked_by_run(server: Server) -> str:
    """The run of ours that has locked it; empty when none has."""
    found = OURS.fullmatch(server.locked_reason) if server.locked else None
    return found[1] if found else ""


def chosen_disk(guest: Guest, number: int) -> Disk | None:
    return guest.disks[number] if 0 <= number < len(guest.disks) else None


def plan_inspect(facts: InspectFacts, options: InspectOptions) -> Plan:
    """What stands against it is a finding of level ERROR."""
    server = facts.server
    said: dict[str, Json] = {
        "server": server.id,
        "name": server.name,
        "disk": options.disk,
        "write": options.write,
        "seconds": options.seconds,
        "consent": options.consent,
    }
    objections = tuple(_objections(facts, options))
    steps = () if objections else tuple(_steps(facts, options))
    findings = (*objections, *_notes(facts, options))
    return Plan(RUNBOOK, server.host or "", facts.cloud, said, steps, (), findings)


def _steps(facts: InspectFacts, options: InspectOptions) -> Iterator[Step]:
    server, guest = facts.server, facts.guest
    minutes = f"{options.seconds / 60:.0f} min"
    needs: tuple[str, ...] = ()
    if options.write:
        words = "lock the server in Nova: its owner cannot start it meanwhile"
        yield _step(server, LOCK, words, Risk.SAFE, needs)
        needs = (f"{LOCK}:{server.id}",)
    if guest.state == "running":
        words = f"suspend the guest: it stands still while you look, at most {minutes}"
        yield _step(server, SUSPEND, words, Risk.LIVE, needs)
        needs = (f"{SUSPEND}:{server.id}",)
    disk = chosen_disk(guest, options.disk)
    shown = f"{disk.target} ({disk.format}, {disk.source})" if disk else ""
    how = "for WRITING" if options.write else "read only"
    risk = Risk.FORCE if options.write else Risk.SAFE
    yield _step(server, OPEN, f"export {shown} and mount it, {how}, by {guest.ways[0]}", risk, needs)
    last = "unmount, end the export" + (", resume the guest" if guest.state == "running" else "")
    yield _step(server, CLOSE, f"{last}; the host does it by itself when nodeops is gone", Risk.SAFE, needs)
    if options.write:
        yield unlock_step(server, "take Nova's lock off again")


def unlock_step(server: Server, why: str) -> Step:
    return _step(server, UNLOCK, why, Risk.SAFE, ())


def _step(server: Server, action: str, why: str, risk: Risk, needs: tuple[str, ...]) -> Step:
    return Step(f"{action}:{server.id}", action, server.id, server.name, why, risk, needs=needs)


def _objections(facts: InspectFacts, options: InspectOptions) -> Iterator[Finding]:
    server, guest = facts.server, facts.guest
    named = f"server {server.name} ({server.id})"
    if server.task_state:
        yield _error(
            "in-task", f"{named} is in task {server.task_state}", "Wait for it: nodeops watch follows it."
        )
    if guest.held is not None:
        who = f" by {guest.held.who}" if guest.held.who else ""
        words = f"{named} is being looked into{who}, heard {guest.held.silent_for:.0f} s ago"
        yield _error("held", words, f"Nobody there any more: nodeops inspect --clean {server.host}")
    if guest.state not in QUIET or (guest.state == "paused" and guest.reason in BUSY_REASONS):
        reason = f" ({guest.reason})" if guest.reason else ""
        yield _error(
            "guest-busy", f"{named}: its guest is {guest.state}{reason}", "Try again when it is done."
        )
    yield from _disk_objections(named, guest, options)
    if guest.missing:
        words = f"host {server.host}: {', '.join(guest.missing)} not installed"
        yield _error("missing-programs", words, "Install util-linux and fdisk there.")
    if not guest.ways:
        hint = "It takes qemu-utils and nbd in the kernel, or qemu-storage-daemon with FUSE, or nbdfuse."
        yield _error("no-way", f"host {server.host}: a disk cannot be exported there", hint)
    if options.write:
        yield from _writing_objections(named, facts)


def _disk_objections(named: str, guest: Guest, options: InspectOptions) -> Iterator[Finding]:
    disk = chosen_disk(guest, options.disk)
    if disk is None:
        has = ", ".join(f"{number} is {each.target}" for number, each in enumerate(guest.disks)) or "none"
        yield _error("no-disk", f"{named} has no disk {options.disk} on its host", f"Its disks: {has}.")
    elif disk.kind not in FILES:
        words = f"{named}: disk {disk.target} is no file or device of the host but {disk.kind} {disk.source}"
        yield _error("remote-disk", words, "Map it with the storage's own tools, read only.")
    elif disk.format not in FORMATS:
        words = f"{named}: the format of disk {disk.target} is {disk.format or 'not known'}"
        yield _error(
            "format", words, "It is not guessed from what the guest wrote; only qcow2 and raw are read."
        )


def _writing_objections(named: str, facts: InspectFacts) -> Iterator[Finding]:
    server, guest = facts.server, facts.guest
    if not guest.off:
        yield _error(
            "not-off", f"{named}: its guest is {guest.state}", "Writing takes a guest that is shut off."
        )
    if guest.saved:
        words = f"{named}: its memory is saved, and knows another disk than you would write"
        yield _error("saved", words, "Resume and stop the server first.")
    if server.vm_state not in WRITABLE:
        hint = f"Stop it first: openstack server stop {server.id}"
        yield _error("not-stopped", f"{named} is {server.vm_state} for Nova, which may start it", hint)
    if server.locked and not locked_by_run(server):
        reason = f": {server.locked_reason}" if server.locked_reason else ""
        hint = f"Ask who has locked it; openstack server unlock {server.id} takes it off."
        yield _error("locked", f"{named} is locked already{reason}", hint)


def _notes(facts: InspectFacts, options: InspectOptions) -> Iterator[Finding]:
    guest = facts.guest
    if guest.state in {"running", "paused"} and not options.write:
        words = "what the guest had not written out yet is not seen; its journal is not played"
        yield Finding(Level.INFO, "as-on-disk", words)
    if guest.state == "paused":
        yield Finding(Level.INFO, "stays-paused", f"the guest is paused ({guest.reason}) and stays so")
    run = locked_by_run(facts.server)
    if run and guest.held is None:
        clean = f"nodeops inspect --clean {facts.server.host} takes it off"
        then = "this one takes the lock over" if options.write else clean
        words = f"the server is still locked by nodeops' run {run}, and nobody looks into it; {then}"
        yield Finding(Level.WARNING, "lock-left", words)
    if options.write:
        words = "administrators and a host that boots may start it all the same: QEMU refuses the disk then"
        yield Finding(Level.INFO, "not-held", words)
    if guest.state == "undefined":
        words = "libvirt does not know this server: its disks are those that Nova noted in its directory"
        yield Finding(Level.WARNING, "undefined", words)


def _error(code: str, words: str, hint: str) -> Finding:
    return Finding(Level.ERROR, code, words, hint)
