"""Logs that a program prints or unpacks.

Apart from `log_search`, which often needs none of it: the start is most of a short search.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
from collections.abc import Sequence

from nodeops.onhost.log_sieve import UNPACK, Wish, sift, tell
from nodeops.onhost.programs import find, tried


def search(kind: str, name: str, wish: Wish) -> None:
    """A unit's journal, or a container's log."""
    source = f"{kind}:{name}"
    if kind == "journal":
        known = ["systemctl", "list-units", "--all", "--plain", "--no-legend", name + ".service"]
        there = find("journalctl") and _answer(known)
        argv = ["journalctl", "--quiet", "--no-pager", "--output=short-unix", "--unit=" + name]
        argv += _between(wish, "@")
    else:
        there = _answer([kind, "inspect", "--format", "{{.Id}}", name])
        argv = [kind, "logs", *_between(wish, ""), name]
    if not there:
        tell("#missing " + source)
        return
    tell(f"#file {source}\t0\t")
    _search_output(source, argv, wish)


def _between(wish: Wish, sign: str) -> list[str]:
    """The time as journalctl and containers take it."""
    since = [] if wish.begin is None else ["--since", f"{sign}{wish.begin:.0f}"]
    return since + ([] if wish.end is None else ["--until", f"{sign}{wish.end:.0f}"])


def _answer(argv: list[str]) -> str:
    """What a program prints; nothing when it fails or is not there."""
    ended = tried(argv)
    return "" if ended.code else ended.out.strip()


def _search_output(name: str, argv: Sequence[str], wish: Wish) -> None:
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as ran:
        if ran.stdout is not None:
            sift(name, ran.stdout, wish)
        ran.kill()


def search_packed(file: str, wish: Wish) -> None:
    program, own = UNPACK[os.path.splitext(file)[1]]
    if find(program):
        _search_output(file, [program, "-dc", "--", file], wish)
    elif own:
        with importlib.import_module(own).open(file) as stream:
            sift(file, stream, wish)
    else:
        tell(f"#missing {file}")


def beginning(file: str, length: int) -> bytes:
    """Of a packed log; empty where it cannot be unpacked by Python alone."""
    _, own = UNPACK[os.path.splitext(file)[1]]
    with contextlib.suppress(OSError, EOFError):
        if own:
            with importlib.import_module(own).open(file) as stream:
                return bytes(stream.read(length))
    return b""
