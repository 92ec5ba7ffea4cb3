"""The undo file: all rows and API bodies of the servers of a rewrite, as they were before the first write.

It holds secrets of the storage (CHAP passwords in connection infos): mode 0600, in a directory of mode 0700,
and nothing of it goes into the journal. It is written whole or not at all.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from nodeops import config
from nodeops.errors import ConfigurationError
from nodeops.model.records import Images

FORMAT = "nodeops undo"
VERSION = 1
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Before:
    """One server as it was."""

    tables: Mapping[str, tuple[Mapping[str, Any], ...]]
    """As in `Images`."""
    allocation: Mapping[str, Any]
    """All that Placement said of it."""
    ports: tuple[Mapping[str, Any], ...] = ()
    attachments: tuple[Mapping[str, Any], ...] = ()

    def images(self, server_id: str) -> Images:
        return Images(server_id, self.tables)


@dataclass(frozen=True, slots=True)
class UndoFile:
    """The whole of it."""

    run: str
    cloud: str
    host: str
    servers: Mapping[str, Before] = field(default_factory=dict)
    connector: Mapping[str, Any] | None = None
    """How the storage knew the old host, where Cinder's database tells."""


def path_of(run: str, directory: Path | None = None) -> Path:
    """The undo file of a run; raises `ConfigurationError` when the state directory cannot be used."""
    return (directory or config.state_directory() / "undo") / f"{run}.json"


def read(path: Path) -> UndoFile | None:
    """None when there is none. Raises `ConfigurationError` for one that cannot be read or is no undo file."""
    try:
        state = path.stat()
        return _read(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from None


@lru_cache(maxsize=2)
def _read(path: Path, _state: tuple[int, int, int]) -> UndoFile:
    """Once for each state of the file: an undo asks for it with every step."""
    text = path.read_text(encoding="utf-8")
    try:
        body = json.loads(text)
        if body["format"] != FORMAT or body["version"] != VERSION:
            raise _unusable(path, "it is of another kind or version")
        servers = {key: _before(each) for key, each in body["servers"].items()}
        return UndoFile(body["run"], body["cloud"], body["host"], servers, body["connector"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from None


def write(path: Path, content: UndoFile) -> None:
    """On disk when it returns, whole; raises `OSError`, and the file is then as it was."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with ExitStack() as unless_whole:
        unless_whole.callback(Path(name).unlink, missing_ok=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_text(content))
            file.flush()
            os.fchmod(file.fileno(), _PRIVATE)
            os.fsync(file.fileno())
        Path(name).replace(path)
        _sync(path.parent)
        unless_whole.pop_all()


def _sync(directory: Path) -> None:
    """The name too, not only what is in the file."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(content: UndoFile) -> str:
    body = {
        "format": FORMAT,
        "version": VERSION,
        "run": content.run,
        "cloud": content.cloud,
        "host": content.host,
        "connector": content.connector,
        "servers": {
            key: {
                "tables": {name: list(rows) for name, rows in each.tables.items()},
                "allocation": each.allocation,
                "ports": list(each.ports),
                "attachments": list(each.attachments),
            }
            for key, each in content.servers.items()
        },
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _before(each: Mapping[str, Any]) -> Before:
    return Before(
        tables={name: tuple(rows) for name, rows in each["tables"].items()},
        allocation=each["allocation"],
        ports=tuple(each["ports"]),
        attachments=tuple(each["attachments"]),
    )


def _unusable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"undo file {path}: {why}", hint="Without it nothing can be put back; it is not written by hand."
    )
