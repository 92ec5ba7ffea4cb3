"""`DiskLooker` in memory: one host, and a guest with one disk and one file system on it."""

import hashlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nodeops.cli.main import Signalled
from nodeops.model.inspecting import Digest, Disk, Entry, Guest, Look, Part, Wanted

CONTENT = b"one line\n" * 1000
RUNNING = Guest("running", "", "1", saved=False, disks=(), ways=("nbd",))
OFF = replace(RUNNING, state="shut off", run="")


@dataclass
class FakeLooker:
    """`ends_with` is why a look ends."""

    there: Guest = RUNNING
    ends_with: str = "asked"
    cut: str = ""
    """The call in which a signal comes."""
    during: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What else happens in a call, by its name; an error that is raised is the host's answer."""
    content: bytes = CONTENT
    calls: list[str] = field(default_factory=list)
    open: dict[str, Look] = field(default_factory=dict)
    """By server."""

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self.cut:
            raise Signalled(signal.SIGINT)
        self.during.get(name.partition(" ")[0], lambda: None)()

    def guest(self, server_id: str, instances_path: str) -> Guest:
        disk = Disk("vda", f"{instances_path}/{server_id}/disk", "file", "qcow2")
        return replace(self.there, disks=(disk,), held=self.open.get(server_id))

    def looks(self) -> tuple[Look, ...]:
        return tuple(self.open.values())

    def begin(self, wanted: Wanted) -> Look:
        self._called("begin")
        parts = (Part("p1", "ext4", "", 2**30),)
        look = Look(wanted.server_id, "ready", parts=parts, suspended=not self.there.off)
        return self.open.setdefault(wanted.server_id, look)

    def beat(self, server_id: str) -> Look:
        return Look(server_id, "ready")

    def end(self, server_id: str, *, stay_paused: bool = False) -> Look:
        assert not stay_paused
        self._called("end")
        self.open.pop(server_id, None)
        after = self.there.state
        return Look(
            server_id, "ended", suspended=not self.there.off, state_after=after, reason=self.ends_with
        )

    def clean(self, server_ids: tuple[str, ...]) -> tuple[Look, ...]:
        return tuple(map(self.end, server_ids))

    def entries(self, server_id: str, part: str, path: str) -> tuple[tuple[Entry, ...], bool]:
        self._called(f"entries {server_id} {part}:{path}")
        return (Entry("syslog", "-rw-r-----", 0, 4, len(CONTENT), 0.0, ""),), False

    def digest(self, server_id: str, part: str, path: str) -> Digest:
        self._called(f"digest {server_id} {part}:{path}")
        return Digest(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())

    def read(self, server_id: str, part: str, path: str, offset: int, length: int) -> bytes:
        self._called("read")
        assert (server_id, part, path) == ("s01", "p1", "/var/log/syslog")
        return self.content[offset : offset + length]
