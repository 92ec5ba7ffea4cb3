"""The program's entry on the host: one question, answered by one JSON document."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from nodeops.onhost.trouble import Trouble

QUESTIONS = {
    "boot": "boot:boot",
    "compute": "services:compute",
    "condition": "condition:condition",
    "service-change": "service_changes:change",
    "service-log": "service_log:newest",
    "work": "work:look",
    "work-begin": "work:begin",
    "log-search": "log_search:search",
    "clock": "log_search:clock",
    "found": "looks:found",
    "begin": "looks:begin",
    "keep": "looks:keep",
    "beat": "looks:beat",
    "end": "looks:end",
    "looks": "looks:looks",
    "clean": "looks:clean",
    "entries": "looks:entries",
    "digest": "looks:digest",
    "send": "looks:send",
    "shell": "looks:shell",
    "survey": "instances:survey",
    "use": "instances:use",
    "quarantine": "instances:quarantine",
    "salvage-files": "salvage:files",
    "salvage-room": "salvage:room",
    "salvage-state": "salvage:state",
    "salvage-put": "salvage:put",
    "salvage-take": "salvage:take",
    "salvage-copy": "salvage:copy",
    "salvage-sum": "salvage:sum_of",
    "salvage-finish": "salvage:finish",
}
"""What answers, by module and function: only what a question needs is imported, which is quicker.

A function returns the document, or nothing when it has printed the answer itself, or an exit code.
"""
TROUBLE = 3


def main(question: str, asked: dict[str, Any]) -> int:
    """The exit code: 0, or `TROUBLE` with the reason instead of the answer."""
    module, _, function = QUESTIONS[question].partition(":")
    try:
        found = getattr(import_module(f"nodeops.onhost.{module}"), function)(asked)
    except Trouble as trouble:
        return _trouble(trouble.words, trouble.hint)
    except PermissionError as error:
        return _trouble(
            f"{error.filename or error} is not allowed here", "It takes root, or sudo, on the host."
        )
    if isinstance(found, dict):
        sys.stdout.write(json.dumps(found))
        return 0
    return found or 0


def _trouble(words: str, hint: str) -> int:
    sys.stdout.write(json.dumps({"trouble": words, "hint": hint}))
    return TROUBLE


def answer(archive: bytes) -> NoReturn:
    """The question that comes by standard input after the program, which is needed to make itself a file."""
    asked: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    code = main(asked["question"], {**asked, "archive": archive})
    sys.stdout.flush()
    # A child in an endless wait for a file server shall not keep the connection.
    os._exit(code)


def converse(archive: bytes) -> NoReturn:
    """Many questions until there are no more, each with its length before it.

    Before each answer comes a line with the question's own mark, after it the mark with the exit code.
    """
    while size := sys.stdin.buffer.readline():
        asked: dict[str, Any] = json.loads(sys.stdin.buffer.read(int(size)))
        sys.stdout.write(asked["mark"] + "\n")
        sys.stdout.flush()
        code = main(asked["question"], {**asked, "archive": archive})
        sys.stdout.write(f"{asked['mark']} {code}\n")
        sys.stdout.flush()
    os._exit(0)


def run() -> int:
    """As a program: QUESTION JSON."""
    return main(sys.argv[1], json.loads(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(run())
