"""What each thing in an instances path is, and what of it may be moved aside, by what was seen.

Nothing is judged by its name alone: a directory belongs to nobody only if Nova says so and no host that can
see it uses it. A host that could not be asked may be using it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nodeops.model.facts import Server, Storage
from nodeops.model.instance_files import DAY, Entry, Survey, Use
from nodeops.plan import Finding, Json, Level, Plan, Risk, Step

RUNBOOK = "disks"
QUARANTINE = "quarantine"
NETWORK = re.compile(
    r"nfs|cifs|smb|ceph|gluster|lustre|ocfs2|gfs|gpfs|beegfs|fuse|9p|virtiofs", re.IGNORECASE
)
SERVER = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(_resize|_del)?")
NOVAS = frozenset({"_base", "locks", "compute_nodes", "snapshots", "swtpm", "_nodeops-quarantine"})
OFFLOADED = frozenset({"SHELVED_OFFLOADED", "BUILD"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of things in the instances path."""

    name: str
    seen: str
    do: str
    """What nodeops does with `--clean`."""
    serious: bool = False
    cleaned: bool = False
    only_allowed: bool = False
    """Moved aside only with `--allow NAME`."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("in-use", "belongs to a server that is here, or on a host that shares the path", "nothing"),
        Kind("deleted", "Nova says that its server was deleted", "moves it aside", cleaned=True),
        Kind("moved", "its server is on a host with disks of its own", "moves it aside", cleaned=True),
        Kind("resize-left", "kept for a resize that is over", "moves it aside", cleaned=True),
        Kind("half-deleted", "Nova began to delete it and did not end", "moves it aside", cleaned=True),
        Kind(
            "unknown",
            "Nova knows no such server: purged from its database, or of another cloud or cell",
            "moves it aside with --allow unknown",
            cleaned=True,
            only_allowed=True,
        ),
        Kind("base-used", "a base file that disks are built on", "nothing"),
        Kind("base-unused", "a base file that no disk is built on", "moves it aside", cleaned=True),
        Kind("base-missing", "disks are built on it and it is not there", "nothing", serious=True),
        Kind("base-corrupt", "it is empty, unreadable or damaged", "nothing", serious=True),
        Kind("broken-chain", "a disk that QEMU cannot open, or that is damaged", "nothing", serious=True),
        Kind("no-directory", "a server is here and its directory is not", "nothing", serious=True),
        Kind("foreign", "nothing of Nova's", "nothing"),
        Kind("quarantined", "moved aside by nodeops", "nothing: delete it when nobody missed it"),
        Kind("nova", "Nova's own", "nothing"),
    )
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing and what it is."""

    kind: Kind
    name: str
    space: int = 0
    age: float | None = None
    """Seconds since anything in it changed."""
    words: str = ""
    entry: Entry | None = None
    kept: str = ""
    """Why it is not moved aside although its kind would be."""

    @property
    def movable(self) -> bool:
        return self.kind.cleaned and not self.kept


@dataclass(frozen=True, slots=True)
class DisksOptions:
    clean: bool = False
    allow: frozenset[str] = frozenset()
    older_than: float = DAY


@dataclass(frozen=True, slots=True)
class DisksFacts:
    host: str
    cloud: str
    survey: Survey
    storage: Storage
    """As the inventory has it."""
    servers: Mapping[str, Server]
    """Every server of the cloud, by id."""
    deleted: frozenset[str]
    """Of the other directories' servers: those that Nova says were deleted."""
    migrating: frozenset[str] = frozenset()
    """Servers with a migration that has not ended, or a resize to be confirmed."""
    others: Mapping[str, Use | str] = field(default_factory=dict)
    """Every other compute host: its instances path, or why it could not be asked."""

    @property
    def sharing(self) -> frozenset[str]:
        """Other hosts that see the same directory."""
        return frozenset(
            name for name, use in self.others.items() if isinstance(use, Use) and same(self.survey.use, use)
        )

    @property
    def unseen(self) -> Mapping[str, str]:
        """Hosts that may see the same directory and could not be asked."""
        mine = self.survey.use
        known_local = (
            self.storage is Storage.LOCAL
            and not NETWORK.search(mine.filesystem)
            and not self.sharing
            and set(mine.users) <= {self.host}
        )
        return {} if known_local else {n: use for n, use in self.others.items() if isinstance(use, str)}


def same(one: Use, other: Use) -> bool:
    """Whether two hosts see one directory: by directories of servers that are the same on both."""
    common = [name for name, inode in one.servers.items() if other.servers.get(name) == inode]
    if common:
        return True
    return not one.servers and not other.servers and (one.inode, one.size) == (other.inode, other.size)


def classify(facts: DisksFacts, options: DisksOptions) -> tuple[Item, ...]:
    """Everything that was found, and what is missing."""
    items = [
        *(_directory(facts, entry) for entry in facts.survey.entries),
        *_bases(facts),
        *_images(facts),
        *_without(facts),
    ]
    return tuple(_kept(facts, options, item) for item in items)


def _item(facts: DisksFacts, kind: str, entry: Entry, words: str = "") -> Item:
    age = max(0.0, facts.survey.use.now - entry.newest)
    return Item(KINDS[kind], entry.name, entry.space, age, words, entry)


def _directory(facts: DisksFacts, entry: Entry) -> Item:
    match = SERVER.fullmatch(entry.name)
    if entry.name == "_nodeops-quarantine":
        space = sum(each.space for each in facts.survey.quarantined)
        return Item(KINDS["quarantined"], entry.name, space, words=f"{len(facts.survey.quarantined)} runs")
    if match is None or not entry.is_directory:
        kind = "nova" if entry.name in NOVAS else "foreign"
        item = _item(facts, kind, entry)
        return item if entry.name != "_base" else Item(item.kind, item.name, 0, item.age)
    uuid, suffix = match[1], match[2] or ""
    server = facts.servers.get(uuid)
    if server is None:
        return _item(facts, "deleted" if uuid in facts.deleted else "unknown", entry)
    kind, words = _of_server(facts, server, suffix)
    return _item(facts, kind, entry, words)


def _of_server(facts: DisksFacts, server: Server, suffix: str) -> tuple[str, str]:
    """The class of a directory of a server that is there, with words."""
    named = f"{server.name}, {server.status} on {server.host or 'no host'}"
    busy = server.task_state is not None or server.id in facts.migrating or server.status == "VERIFY_RESIZE"
    if busy:
        return "in-use", f"{named}, {server.task_state or 'in a move'}"
    if suffix:
        return ("resize-left" if suffix == "_resize" else "half-deleted"), named
    here = server.host == facts.host or server.host in facts.sharing
    asked = isinstance(facts.others.get(server.host or ""), Use)
    nowhere = server.host is None and server.status != "SHELVED_OFFLOADED"
    in_use = here or nowhere or (server.host is not None and not asked)
    return ("in-use" if in_use else "moved"), named


def _bases(facts: DisksFacts) -> Iterator[Item]:
    path = facts.survey.use.path
    unread = next((image.file for image in facts.survey.images if not image.followed), "")
    users: dict[str, list[str]] = {}
    for image in facts.survey.images:
        for file in (*image.chain, *([image.missing] if image.missing else [])):
            users.setdefault(file.removeprefix(path + "/"), []).append(image.file)
    for entry in facts.survey.bases:
        used = users.pop(entry.name, [])
        if entry.trouble:
            words = f"{entry.trouble}; {len(used)} disks are built on it"
            yield _item(facts, "base-corrupt", entry, words)
        elif used:
            yield _item(facts, "base-used", entry, f"{len(used)} disks")
        elif unread:
            yield _item(facts, "base-used", entry, f"not known: the chain of {unread} cannot be read")
        else:
            yield _item(facts, "base-unused", entry)
    there = {entry.name for entry in facts.survey.entries}
    for image in facts.survey.images:
        if image.missing:
            name = image.missing.removeprefix(path + "/")
            if name in users and name not in there:
                yield Item(KINDS["base-missing"], name, words=f"{', '.join(users.pop(name))} need it")


def _images(facts: DisksFacts) -> Iterator[Item]:
    for image in facts.survey.images:
        if image.trouble:
            server = facts.servers.get(image.file.partition("/")[0].partition("_")[0])
            named = f"{server.name}: " if server else ""
            yield Item(KINDS["broken-chain"], image.file, words=named + image.trouble)


def _without(facts: DisksFacts) -> Iterator[Item]:
    there = {entry.name for entry in facts.survey.entries}
    for server in facts.servers.values():
        moving = server.id in facts.migrating or server.task_state is not None
        if (
            server.host == facts.host
            and server.status not in OFFLOADED
            and not moving
            and server.id not in there
        ):
            words = f"{server.name}, {server.status}"
            yield Item(KINDS["no-directory"], server.id, words=words)


def _kept(facts: DisksFacts, options: DisksOptions, item: Item) -> Item:
    """With the reason why it stays; hosts that cannot be asked are a reason."""
    if not item.kind.cleaned or item.entry is None:
        return item
    return Item(
        item.kind, item.name, item.space, item.age, item.words, item.entry, _reason(facts, options, item)
    )


def _reason(facts: DisksFacts, options: DisksOptions, item: Item) -> str:
    if item.age is None or item.age < max(options.older_than, 0.0):
        return "changed less than a day ago"
    if words := facts.survey.use.uses(item.name):
        return f"{words} on {facts.host}"
    for host in sorted(facts.sharing):
        use = facts.others[host]
        if isinstance(use, Use) and (words := use.uses(item.name)):
            return f"{words} on {host}"
    if facts.unseen:
        names = ", ".join(sorted(facts.unseen))
        return f"not proved: {names} may share the path and could not be asked"
    if item.kind.only_allowed and item.kind.name not in options.allow:
        return f"only with --allow {item.kind.name}"
    return ""


def plan_clean(facts: DisksFacts, options: DisksOptions) -> tuple[Plan, tuple[Item, ...]]:
    """One step for each thing that is moved aside."""
    items = classify(facts, options)
    movable = [item for item in items if item.movable] if options.clean else []
    steps = tuple(
        Step(
            id=f"{QUARANTINE}:{item.name}",
            action=QUARANTINE,
            subject_id=item.name,
            subject_name=item.name,
            why=f"{item.kind.name}: {item.words or item.kind.seen}",
            risk=Risk.LIVE,
            params={"inode": item.entry.inode if item.entry else 0},
        )
        for item in movable
    )
    said: dict[str, Json] = {
        "clean": options.clean,
        "allow": [*sorted(options.allow)],
        "older_than": options.older_than,
    }
    plan = Plan(RUNBOOK, facts.host, facts.cloud, said, steps, (), tuple(_findings(facts)))
    return plan, items


def _findings(facts: DisksFacts) -> Iterator[Finding]:
    if facts.sharing:
        names = ", ".join(sorted(facts.sharing))
        yield Finding(Level.INFO, "shared", f"the path is shared with {names}")
    for host, words in sorted(facts.unseen.items()):
        hint = "Nothing is moved aside before it answers."
        yield Finding(Level.WARNING, "unseen-host", f"host {host} could not be asked: {words}", hint)
