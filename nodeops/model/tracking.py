"""What following servers makes of what is seen: changes, conditions that hold, time spent in each state."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nodeops.errors import UsageError
from nodeops.model.following import Sighting

FIELDS = ("status", "vm_state", "task", "power", "host")
ALIASES = {"task_state": "task", "power_state": "power", "state": "vm_state"}
GONE = "gone"
_CONDITION = re.compile(r"(\w+)(!=|=)([^=].*)")


@dataclass(frozen=True, slots=True)
class Condition:
    """`task=none`, `host!=c01`, `status=ACTIVE,SHUTOFF`, or `gone`."""

    text: str
    key: str
    values: frozenset[str]
    """Folded to lower case but for hosts; one of them is enough."""
    negated: bool = False

    def holds(self, sighting: Sighting) -> bool:
        if self.key == GONE:
            return sighting.gone
        if sighting.gone:
            # It has no status to wait for any more, and it is on no host.
            return self.key == "host" and self.negated
        value = sighting.values[self.key]
        found = (value if self.key == "host" else value.lower()) in self.values
        return found is not self.negated


def condition(text: str) -> Condition:
    """Raises `UsageError`."""
    if text == GONE:
        return Condition(text, GONE, frozenset())
    found = _CONDITION.fullmatch(text.strip())
    key = ALIASES.get(found[1], found[1]) if found else ""
    if not found or key not in FIELDS:
        raise UsageError(
            f"--until {text!r} is no condition",
            hint=f"Write {', '.join(FIELDS)} with = or != and a value, such as task=none, or gone.",
        )
    said = (each.strip() for each in found[3].split(","))
    values = frozenset(each if key == "host" else each.lower() for each in said if each)
    return Condition(text, key, values, found[2] == "!=")


@dataclass(frozen=True, slots=True)
class Change:
    """One server's states, before and after."""

    at: float
    sighting: Sighting
    before: Mapping[str, str]
    """The values that changed, as they were; all of them empty when it is seen for the first time."""
    first: bool = False


@dataclass(slots=True)
class Track:
    """One server while it is watched."""

    sighting: Sighting
    since: float
    """When it came into the state it is in, or was first seen."""
    began: float
    spans: list[tuple[str, float]] = field(default_factory=list)
    """The states it went through, each with its seconds; the one it is in is not among them."""
    words: str = ""
    """How far what goes on is, in words."""

    @property
    def state(self) -> str:
        """The task while there is one, else the stable state."""
        values = self.sighting.values
        return values["vm_state"] if values["task"] == "none" else values["task"]

    def timeline(self, now: float) -> list[tuple[str, float]]:
        """The states in their order, the present one up to now; what is gone stays as it went."""
        present = [] if self.sighting.gone else [(self.state, max(now - self.since, 0.0))]
        return [*self.spans, *present]

    def totals(self, now: float) -> dict[str, float]:
        """Seconds in each state, in the order of their first coming."""
        found: dict[str, float] = {}
        for state, seconds in self.timeline(now):
            found[state] = found.get(state, 0.0) + seconds
        return found


@dataclass(slots=True)
class Following:
    """All that is watched."""

    host: str | None = None
    """Watch whatever comes to this host too."""
    tracks: dict[str, Track] = field(default_factory=dict)

    def begin(self, sightings: Iterable[Sighting], at: float) -> list[Change]:
        """Watch these."""
        for each in sightings:
            self.tracks[each.server.id] = Track(each, at, at)
        nothing = dict.fromkeys(FIELDS, "")
        return [Change(at, track.sighting, nothing, first=True) for track in self.by_name()]

    def see(self, sightings: Iterable[Sighting], at: float) -> list[Change]:
        """Take in what was seen, also of servers nobody watches; the changes, by the servers' names."""
        found = [change for each in sightings if (change := self._one(each, at)) is not None]
        return sorted(found, key=lambda change: change.sighting.server.name)

    def _one(self, seen: Sighting, at: float) -> Change | None:
        track = self.tracks.get(seen.server.id)
        if track is None:
            if self.host is None or seen.server.host != self.host or seen.gone:
                return None
            (change,) = Following().begin([seen], at)
            self.tracks[seen.server.id] = Track(seen, at, at)
            return change
        if track.sighting.gone:
            return None
        old, new, state = track.sighting.values, seen.values, track.state
        before = {key: old[key] for key in FIELDS if old[key] != new[key]}
        track.sighting = seen
        if not before:
            return None
        if seen.gone or track.state != state:
            track.spans.append((state, at - track.since))
            track.since = at
        return Change(at, seen, before)

    def by_name(self) -> list[Track]:
        return sorted(self.tracks.values(), key=lambda track: track.sighting.server.name)

    def alive(self) -> list[Track]:
        return [track for track in self.by_name() if not track.sighting.gone]

    def gone(self) -> list[Track]:
        return [track for track in self.by_name() if track.sighting.gone]

    def failing(self, conditions: Iterable[Condition]) -> list[Track]:
        """Servers for which not all of them hold; of a host, deleted servers do not count."""
        wanted = tuple(conditions)
        counted = self.by_name() if self.host is None else self.alive()
        return [track for track in counted if not all(each.holds(track.sighting) for each in wanted)]
