"""Which servers of a host ran before it went down: those a recovery brings back, and only those.

After a boot Nova's record says little of it by itself. nova-compute's power sync finds every guest off and
stops its server, so that one that ran and one that its owner had stopped are both STOPPED; a guest whose
definition is gone is NOSTATE, and is left ACTIVE (`nova/compute/manager.py`, `_sync_instance_power_state`).
What tells them apart is who asked for the stop: the sync has no user, an owner has one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeops.model.facts import PowerState, Server
from nodeops.model.recovering import OFF, ON, Asked, RecoverFacts, Remembered
from nodeops.model.states import moment

SHUTDOWN_SECONDS = 600.0
"""A host that goes down in order shuts its guests down first; libvirt-guests gives them 300 s each."""
REMEMBERED_SECONDS = 24 * 3600.0
"""Before the boot; what the journal has from earlier is older than what Nova has."""
DELETING = frozenset({"deleting", "soft-deleting"})
UP = frozenset({PowerState.RUNNING, PowerState.PAUSED})
NOT_HERE = frozenset({"shelved", "shelved_offloaded", "soft-delete", "deleted", "building"})
"""States of servers that no guest of the host is behind."""


class Kind(StrEnum):
    """What became of one server."""

    RAN = "ran"
    """It ran and is off: it is brought back."""
    RUNS = "runs"
    STARTED = "started"
    """It runs, and nobody asked for that since the boot."""
    OFF = "off"
    """It was off before, or somebody wants it off."""
    STUCK = "stuck"
    """It ran, and nothing that Nova offers starts it in its state."""
    ERROR = "error"
    """In ERROR, and it is not known since when."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Story:
    """How one server came to be as it is, in words."""

    kind: Kind
    words: str
    doubt: str = ""
    """What makes it less than certain, for a finding."""


def story(facts: RecoverFacts, server: Server) -> Story:
    """What is known of one server of the host."""
    if server.task_state in DELETING:
        return Story(Kind.OFF, "is being deleted")
    if server.vm_state in NOT_HERE:
        return Story(Kind.OFF, f"is {server.status}")
    if server.id in facts.promised:
        return _promised(facts, server, facts.promised[server.id])
    running = facts.runs.get(server.id)
    if running is None:
        running = server.power_state in UP
    if running:
        return _running(facts, server)
    return _STATES.get(server.vm_state, _stopped)(facts, server)


def _promised(facts: RecoverFacts, server: Server, since: float) -> Story:
    """Begun by a recovery that was cut off: it is gone on with, unless somebody wants it off since."""
    for each in facts.asked.get(server.id, ()):
        if each.started >= since and each.action in OFF and each.user_id is not None:
            words = f"{each.action} was asked for by user {each.user_id} ({each.request_id}) meanwhile"
            return Story(Kind.OFF, words)
    return Story(Kind.RAN, "an unfinished recovery was to bring it back")


def _running(facts: RecoverFacts, server: Server) -> Story:
    if server.vm_state == "paused":
        return Story(Kind.RUNS, "is paused")
    if server.vm_state != "active":
        return Story(Kind.RUNS, f"runs, and is {server.status} for nova: nodeops states {facts.host.name}")
    if server.id not in facts.runs:
        return Story(Kind.RUNS, "runs by nova's record, and nobody could look")
    asked = facts.asked.get(server.id)
    since = [each for each in asked or () if facts.booted and each.started >= facts.booted]
    if facts.booted is None or asked is None:
        return Story(Kind.RUNS, "runs")
    newest = next((each for each in since if each.action in ON), None)
    if newest is not None:
        return Story(Kind.RUNS, f"runs: {newest.action} was asked for since the boot ({newest.request_id})")
    return Story(
        Kind.STARTED,
        "runs, and nobody asked for it since the boot: resume_guests_state_on_host_boot or libvirt did it",
    )


def _active(facts: RecoverFacts, server: Server) -> Story:
    newest = next(iter(facts.asked.get(server.id, ())), None)
    if server.task_state is not None and newest is not None and newest.action in OFF and newest.user_id:
        return Story(Kind.OFF, f"{newest.action} by user {newest.user_id} is under way ({newest.request_id})")
    known = _of_domain(facts, server)
    return Story(Kind.RAN, f"is ACTIVE for nova, and its guest {known}")


def _of_domain(facts: RecoverFacts, server: Server) -> str:
    if facts.domains is None:
        return "does not run"
    found = next((each for each in facts.domains if each.server_id == server.id), None)
    return "is shut off" if found is not None else "has no libvirt definition on the host"


def _stopped(facts: RecoverFacts, server: Server) -> Story:
    asked = facts.asked.get(server.id, ())
    return _remembered(facts, server, asked) or _by_actions(facts, server, asked)


def _by_actions(facts: RecoverFacts, server: Server, asked: Sequence[Asked]) -> Story:
    if server.id not in facts.asked:
        return Story(Kind.UNKNOWN, "is SHUTOFF, and who stopped it could not be asked")
    if not asked:
        return Story(Kind.UNKNOWN, "is SHUTOFF, and nova has no action of it that says who stopped it")
    newest = asked[0]
    if newest.action in ON:
        return _not_started(facts, newest)
    if newest.action != "stop":
        return Story(Kind.UNKNOWN, f"is SHUTOFF after {newest.action} ({newest.request_id})")
    if newest.user_id is not None:
        who = f"user {newest.user_id}"
        return Story(Kind.OFF, f"was stopped by {who} ({newest.request_id}): it stays off")
    return _stopped_by_nova(facts, newest, asked[1:])


def _not_started(facts: RecoverFacts, newest: Asked) -> Story:
    """It is off although the last thing that was asked for is that it runs."""
    words = f"is SHUTOFF although {newest.action} was asked for ({newest.request_id})"
    if facts.booted is None:
        return Story(Kind.UNKNOWN, f"{words}, and when the host booted is not known")
    if newest.started >= facts.booted:
        return Story(Kind.RAN, f"{words} since the boot")
    return Story(Kind.OFF, f"{words} before the boot: it was off before")


def _stopped_by_nova(facts: RecoverFacts, stop: Asked, before: Sequence[Asked]) -> Story:
    wanted = next((each for each in before if each.user_id is not None), None)
    if wanted is not None and wanted.action in OFF:
        words = f"{wanted.action} was asked for by user {wanted.user_id} ({wanted.request_id}) before"
        return Story(
            Kind.OFF, f"did not run: {words}; its memory is lost" if wanted.action == "pause" else words
        )
    if facts.booted is None:
        return Story(
            Kind.UNKNOWN, "nova-compute found it off and stopped it, and when the host booted is not known"
        )
    if stop.started >= facts.booted:
        return Story(
            Kind.RAN, "ran: nova-compute found it off after the boot and stopped it; nobody asked for that"
        )
    early = facts.booted - stop.started
    if early <= SHUTDOWN_SECONDS:
        return Story(
            Kind.RAN,
            f"ran: its guest went off {early:.0f} s before the boot, and nobody asked for that",
            doubt=f"went off {early:.0f} s before the boot: with the host, as it seems; or from inside",
        )
    return Story(Kind.OFF, "was off before the boot: its guest had shut itself down")


def _remembered(facts: RecoverFacts, server: Server, asked: Sequence[Asked]) -> Story | None:
    """What the journal says, as long as nobody changed it since and the boot came soon after."""
    found = facts.remembered.get(server.id)
    if found is None or not _counts(facts, found):
        return None
    if any(each.user_id is not None and each.started > found.at for each in asked):
        return None
    if found.vm_state == "active":
        return Story(Kind.RAN, f"ran as run {found.run_id} began the maintenance")
    return Story(Kind.OFF, f"was {found.vm_state} as run {found.run_id} began the maintenance")


def _counts(facts: RecoverFacts, found: Remembered) -> bool:
    return facts.booted is not None and 0 <= facts.booted - found.at <= REMEMBERED_SECONDS


def _paused(facts: RecoverFacts, server: Server) -> Story:  # noqa: ARG001 - as its kin
    return Story(Kind.OFF, "was paused, and its memory is lost: it is started when its owner asks for it")


def _suspended(facts: RecoverFacts, server: Server) -> Story:  # noqa: ARG001 - as its kin
    return Story(Kind.OFF, "is suspended: what it had in memory is on the disk, and resuming it goes on")


def _no_way(facts: RecoverFacts, server: Server) -> Story:  # noqa: ARG001 - as its kin
    how = "openstack server unrescue" if server.vm_state == "rescued" else "openstack server resize confirm"
    return Story(Kind.STUCK, f"is {server.status}, and nothing starts it so: {how} {server.id}")


def _error(facts: RecoverFacts, server: Server) -> Story:
    """ERROR since the boot is what a start that failed leaves, and resuming at boot too."""
    wanted = next(iter(facts.asked.get(server.id, ())), None)
    if wanted is not None and wanted.action == "stop" and wanted.user_id is not None:
        return Story(Kind.OFF, f"is in ERROR after a stop by user {wanted.user_id} ({wanted.request_id})")
    if facts.booted is None:
        return Story(Kind.ERROR, "is in ERROR, and when the host booted is not known")
    if wanted is not None and wanted.started >= facts.booted:
        return Story(Kind.RAN, f"is in ERROR since {wanted.action} ({wanted.request_id}) after the boot")
    if server.fault is not None and moment(server.fault.created) >= facts.booted:
        return Story(Kind.RAN, f"is in ERROR since the boot: {server.fault.message}")
    return Story(Kind.ERROR, "is in ERROR, and not known to be so only since the boot")


_STATES = {
    "active": _active,
    "stopped": _stopped,
    "paused": _paused,
    "suspended": _suspended,
    "rescued": _no_way,
    "resized": _no_way,
    "error": _error,
}
