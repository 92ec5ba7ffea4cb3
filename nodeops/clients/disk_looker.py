"""`DiskLooker` over SSH."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeops.clients.on_host import OnHost
from nodeops.model.inspecting import SILENCE_SECONDS, Digest, Entry, Guest, Look, Wanted, guest_of, look_of

BEGIN_SECONDS, END_SECONDS, FILE_SECONDS = 150.0, 90.0, 600.0


@dataclass(frozen=True, slots=True)
class HostDiskLooker:
    """Implements `DiskLooker`."""

    on_host: OnHost

    def guest(self, server_id: str, instances_path: str) -> Guest:
        asked = {"server": server_id, "instances": instances_path}
        return guest_of(self.on_host.ask("found", asked))

    def looks(self) -> tuple[Look, ...]:
        return tuple(look_of(each) for each in self.on_host.ask("looks", {})["looks"])

    def begin(self, wanted: Wanted) -> Look:
        asked = {
            "server": wanted.server_id,
            "state": wanted.guest.state,
            "id": wanted.guest.run,
            "path": wanted.disk.source,
            "format": wanted.disk.format,
            "way": wanted.way,
            "writable": wanted.writable,
            "seconds": wanted.seconds,
            "silence": SILENCE_SECONDS,
            "who": wanted.who,
        }
        return look_of(self.on_host.ask("begin", asked, seconds=BEGIN_SECONDS))

    def beat(self, server_id: str) -> Look:
        return look_of(self.on_host.ask("beat", {"server": server_id}, seconds=SILENCE_SECONDS / 2))

    def end(self, server_id: str, *, stay_paused: bool = False) -> Look:
        asked = {"server": server_id, "stay_paused": stay_paused}
        return look_of(self.on_host.ask("end", asked, seconds=END_SECONDS))

    def clean(self, server_ids: tuple[str, ...]) -> tuple[Look, ...]:
        seconds = END_SECONDS * max(1, len(server_ids))
        answer = self.on_host.ask("clean", {"servers": list(server_ids)}, seconds=seconds)
        return tuple(look_of(each) for each in answer["looks"])

    def entries(self, server_id: str, part: str, path: str) -> tuple[tuple[Entry, ...], bool]:
        answer = self.on_host.ask("entries", _where(server_id, part, path))
        return tuple(Entry(**each) for each in answer["entries"]), bool(answer["more"])

    def digest(self, server_id: str, part: str, path: str) -> Digest:
        answer = self.on_host.ask("digest", _where(server_id, part, path), seconds=FILE_SECONDS)
        return Digest(int(answer["size"]), str(answer["sha256"]))

    def read(self, server_id: str, part: str, path: str, offset: int, length: int) -> bytes:
        asked: Mapping[str, Any] = {**_where(server_id, part, path), "offset": offset, "length": length}
        return self.on_host.bytes("send", asked)


def _where(server_id: str, part: str, path: str) -> dict[str, str]:
    return {"server": server_id, "part": part, "path": path}
