"""Runs `nodeops.onhost` out of what is sent to `python3` on standard input, so that nothing is left behind.

Read there before anything else and executed as it is. After it come the length of the archive, the archive,
and the question as a JSON document.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Archive:
    """A zip archive in memory, as a finder and loader of Python's import system."""

    def __init__(self, content: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        self._names = frozenset(self._zip.namelist())

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        path = name.replace(".", "/")
        for file in (f"{path}/__init__.py", f"{path}.py"):
            if file in self._names:
                return ModuleSpec(name, self, origin=file, is_package=file.endswith("__init__.py"))  # type: ignore[arg-type]
        return None

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        file = str(module.__spec__.origin if module.__spec__ else "")
        exec(compile(self._zip.read(file), file, "exec"), module.__dict__)  # noqa: S102 - this is how modules load


def main() -> int:
    stream = sys.stdin.buffer
    content = stream.read(int(stream.readline()))
    asked: dict[str, Any] = json.loads(stream.read().decode())
    sys.meta_path.insert(0, Archive(content))
    code: int = import_module("nodeops.onhost.main").main(asked["question"], {**asked, "archive": content})
    return code


if __name__ == "__main__":
    ended = main()
    sys.stdout.flush()
    # A child in an endless wait for a file server shall not keep the connection.
    os._exit(ended)
