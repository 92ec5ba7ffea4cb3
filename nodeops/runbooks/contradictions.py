"""Which servers contradict themselves, judged by facts alone.

During a task a mismatch means nothing. A task is a finding by itself when it is older than a bound and
nothing stands behind it: no migration that goes on, no open event of its action on a host that serves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodeops.model.facts import Host, Migration, PowerState, Server
from nodeops.model.following import power_name
from nodeops.model.states import Deed, Domain, StatesFacts, makes_image, moment, updated
from nodeops.runbooks.mismatches import BY_STATES, CLASSES, STUCK_MENDS, Mend, MismatchClass

OLDER_THAN = 600.0
"""Seconds from which on a task is asked what stands behind it."""
LONG = 6
"""Times that bound: work that is said to go on is worth a look."""
DELETING = frozenset({"deleting", "soft-deleting"})
BUILDING = frozenset({"scheduling", "block_device_mapping", "networking", "spawning"})
MOVING = frozenset({"migrating", "resize_prep", "resize_migrating", "resize_migrated", "resize_finish"})
MOVING_TASKS = MOVING | {"resize_confirming", "resize_reverting"}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One server, or one guest without a server, that contradicts itself."""

    kind: MismatchClass
    id: str
    name: str
    host: str
    words: str
    """What is seen of this one."""
    server: Server | None = None
    power: int | None = None
    """The power state it was judged by: the hypervisor's own where that was looked at."""
    by_hypervisor: bool = False
    since: float = 0.0
    """Since when, seconds since the epoch; 0: not known."""

    def mends(self, *, nova_is_right: bool) -> tuple[Mend, ...]:
        """The changes that end it, in their order; empty when it needs a person."""
        if self.kind.name == "task-stuck":
            server = self.server
            return () if server is None else STUCK_MENDS.get((server.vm_state, self.power or 0), ())
        return self.kind.nova_is_right if nova_is_right else self.kind.guest_is_right


def contradictions(facts: StatesFacts, *, older_than: float = OLDER_THAN) -> tuple[Mismatch, ...]:
    """Everything that does not fit, by host and name."""
    found = [*_of_servers(facts, older_than), *_of_guests(facts)]
    return tuple(sorted(found, key=lambda each: (each.host, each.name, each.kind.name)))


def _of_servers(facts: StatesFacts, older_than: float) -> Iterator[Mismatch]:
    migrations = {migration.server_id: migration for migration in facts.migrations}
    guests = {(host, domain.server_id): domain for host, there in facts.domains.items() for domain in there}
    for server in facts.servers:
        if server.task_state is not None:
            stuck = _stuck(facts, server, migrations.get(server.id), older_than)
            if stuck is not None:
                yield stuck
        elif server.vm_state == "building":
            if facts.now - updated(server) >= older_than:
                words = "it is being built, without a task"
                yield _mismatch("build-stuck", server, words, since=updated(server))
        elif server.host is not None and _judged_by_power(facts, server):
            yield from _settled(facts, server, guests.get((server.host, server.id)))


def _judged_by_power(facts: StatesFacts, server: Server) -> bool:
    """What a dead host said last proves nothing, unless somebody looked at the host itself."""
    host = facts.hosts.get(server.host or "")
    return server.host in facts.domains or (host is not None and host.up and not host.forced_down)


def _settled(facts: StatesFacts, server: Server, domain: Domain | None) -> Iterator[Mismatch]:
    looked = server.host in facts.domains
    power = server.power_state
    if looked:
        power = PowerState.NOSTATE if domain is None else domain.power_state
        power = _off_without_guest(server, power)
    name = BY_STATES.get(server.vm_state, {}).get(power)
    if name is not None:
        yield _mismatch(name, server, _words(server, power, domain), power=power, by_hypervisor=looked)
    elif looked and domain is not None and power != server.power_state:
        words = f"Nova has {power_name(server.power_state)}, the hypervisor {power_name(power)}"
        yield _mismatch("power-behind", server, words, power=power, by_hypervisor=True)


def _off_without_guest(server: Server, power: int) -> int:
    """A guest that is off need not be defined: Nova defines it when it starts."""
    off = server.vm_state in {
        "stopped",
        "suspended",
        "shelved",
        "shelved_offloaded",
        "soft-delete",
        "resized",
    }
    return PowerState.SHUTDOWN if off and power == PowerState.NOSTATE else power


def _words(server: Server, power: int, domain: Domain | None) -> str:
    words = f"Nova calls it {server.status}, its guest is {power_name(power)}"
    if domain is not None and domain.reason:
        words += f" ({domain.reason})"
    if server.vm_state == "error" and server.fault and server.fault.message:
        words += f"; {server.fault.message.rstrip('.')}"
    return words


# -- tasks


def _stuck(
    facts: StatesFacts, server: Server, migration: Migration | None, older_than: float
) -> Mismatch | None:
    task, since = str(server.task_state), updated(server)
    age = facts.now - since
    if age < older_than:
        return None
    if task in MOVING_TASKS and migration is not None and facts.now - moment(migration.updated) < older_than:
        return None
    deed = facts.deeds.get(server.id)
    behind = _behind(facts.hosts, deed) or _image_behind(facts, server)
    if behind:
        if age < LONG * older_than:
            return None
        return _mismatch("task-long", server, f"its task is {task}; {behind}", since=since)
    words = f"its task is {task}, and {_why_nothing(facts, server, deed, migration)}"
    name = "task-stuck"
    if task in DELETING:
        name = "delete-stuck"
    elif server.vm_state == "building" or task in BUILDING:
        name = "build-stuck"
    return _mismatch(name, server, words, since=since, power=server.power_state)


def _behind(hosts: Mapping[str, Host], deed: Deed | None) -> str:
    """What still works on it, in words; empty when nothing does."""
    if deed is None or deed.open_on is None:
        return ""
    host = hosts.get(deed.open_on)
    if deed.open_on and (host is None or not host.up or host.forced_down):
        return ""
    where = f" on {deed.open_on}" if deed.open_on else ""
    return f"{deed.open_event} of {deed.request_id} began{where} and has no end"


def _image_behind(facts: StatesFacts, server: Server) -> str:
    """Images are made beside Nova's events; a host that is down makes none. Who cannot be asked has one."""
    host = facts.hosts.get(server.host or "")
    if not makes_image(server) or host is None or not host.up or host.forced_down:
        return ""
    if facts.imaged is None:
        return "whether an image of it is being made cannot be seen"
    return "an image of it is being made, says glance" if server.id in facts.imaged else ""


def _why_nothing(facts: StatesFacts, server: Server, deed: Deed | None, migration: Migration | None) -> str:
    if server.id not in facts.deeds:
        return "nothing about it has changed since"
    if deed is not None and deed.open_on:
        return f"the host that worked on it, {deed.open_on}, is down ({deed.request_id})"
    if migration is not None:
        return f"migration {migration.id} is {migration.status} and does not go on"
    if deed is None:
        return "nothing was asked of it"
    ended = "failed" if deed.failed else "ended"
    return f"all that was asked of it has {ended} ({deed.action}, {deed.request_id})"


# -- guests


def _of_guests(facts: StatesFacts) -> Iterator[Mismatch]:
    known = {server.id: server for server in facts.servers}
    for host, domains in facts.domains.items():
        for domain in domains:
            server = known.get(domain.server_id) or facts.strangers.get(domain.server_id)
            found = _of_guest(facts, host, domain, server)
            if found is not None:
                yield found


def _of_guest(facts: StatesFacts, host: str, domain: Domain, server: Server | None) -> Mismatch | None:
    words = f"guest {domain.name} is {power_name(domain.power_state)} on {host}"
    if server is None:
        kind = CLASSES["unknown-guest"]
        return Mismatch(kind, domain.server_id, domain.name, host, words, power=domain.power_state)
    if server.host == host or server.task_state is not None or server.vm_state == "resized":
        # In VERIFY_RESIZE the old host keeps the guest it may go back to.
        return None
    if server.vm_state == "deleted":
        name = "deleted-but-there"
    elif any(migration.server_id == server.id for migration in facts.migrations):
        return None
    else:
        name = "left-over-guest" if domain.power_state == PowerState.SHUTDOWN else "two-guests"
    words += f", and Nova counts it on {server.host or 'no host'}"
    kind, power = CLASSES[name], domain.power_state
    return Mismatch(kind, server.id, server.name, host, words, server, power, by_hypervisor=True)


def _mismatch(
    name: str,
    server: Server,
    words: str,
    *,
    power: int | None = None,
    by_hypervisor: bool = False,
    since: float = 0.0,
) -> Mismatch:
    kind, host = CLASSES[name], server.host or ""
    return Mismatch(kind, server.id, server.name, host, words, server, power, by_hypervisor, since)
