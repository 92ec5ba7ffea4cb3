"""`InstanceFiles` over SSH."""

import base64
from dataclasses import asdict, dataclass

from nodeops.clients.on_host import OnHost
from nodeops.model.instance_files import (
    DAY,
    CopyState,
    Entry,
    SalvageFile,
    SalvageList,
    Survey,
    Use,
    survey_of,
    use_of,
)

SURVEY_SECONDS, SUM_SECONDS, COPY_SECONDS = 900.0, 3600.0, 20.0


@dataclass(frozen=True, slots=True)
class HostInstanceFiles:
    """Implements `InstanceFiles`."""

    on_host: OnHost
    older_than: float = DAY
    """Nothing younger is moved, whatever was planned."""

    def survey(self, path: str) -> Survey:
        return survey_of(self.on_host.ask("survey", {"path": path}, seconds=SURVEY_SECONDS))

    def use(self, path: str) -> Use:
        return use_of(self.on_host.ask("use", {"path": path}))

    def quarantine(self, path: str, entry: Entry, into: str, *, kind: str, why: str, run: str) -> str:
        asked = {
            "path": path,
            "name": entry.name,
            "inode": entry.inode,
            "into": into,
            "older_than": self.older_than,
            "class": kind,
            "why": why,
            "run": run,
        }
        return str(self.on_host.ask("quarantine", asked)["moved"])

    def salvage_list(self, path: str, names: tuple[str, ...]) -> SalvageList:
        found = self.on_host.ask(
            "salvage-files", {"path": path, "names": list(names)}, seconds=SURVEY_SECONDS
        )
        files = tuple(SalvageFile(**each) for each in found["files"])
        return SalvageList(files, frozenset(found["open"]), frozenset(found["running"]))

    def free(self, root: str) -> int:
        return int(self.on_host.ask("salvage-room", {"root": root})["free"])

    def copy_state(self, root: str, name: str) -> CopyState:
        found = self.on_host.ask("salvage-state", {"root": root, "name": name})
        return CopyState(found["exists"], found["size"], found["sum"], found["part"])

    def copy_here(self, path: str, root: str, name: str) -> int:
        asked = {"path": path, "root": root, "name": name, "seconds": COPY_SECONDS}
        return int(self.on_host.ask("salvage-copy", asked, seconds=COPY_SECONDS * 6)["part"])

    def take(self, root: str, name: str, offset: int) -> bytes:
        return self.on_host.bytes("salvage-take", {"root": root, "name": name, "offset": offset})

    def put(self, root: str, name: str, offset: int, piece: bytes, length: int) -> int:
        asked = {
            "root": root,
            "name": name,
            "offset": offset,
            "length": length,
            "piece": base64.b64encode(piece).decode(),
        }
        return int(self.on_host.ask("salvage-put", asked)["part"])

    def sum_of(self, root: str, name: str) -> str:
        asked = {"root": root, "name": name}
        return str(self.on_host.ask("salvage-sum", asked, seconds=SUM_SECONDS)["sha256"])

    def finish(self, root: str, file: SalvageFile, sha256: str) -> None:
        asked = {"root": root, **asdict(file), "sha256": sha256}
        self.on_host.ask("salvage-finish", asked, seconds=SUM_SECONDS)
