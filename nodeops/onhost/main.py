"""The program's entry on the host: one question, answered by one JSON document."""

from __future__ import annotations

import json
import sys
from typing import Any

from nodeops.onhost import instances, looks, salvage
from nodeops.onhost.programs import Trouble

QUESTIONS = {
    "found": looks.found,
    "begin": looks.begin,
    "beat": looks.beat,
    "end": looks.end,
    "looks": looks.looks,
    "clean": looks.clean,
    "entries": looks.entries,
    "digest": looks.digest,
    "survey": instances.survey,
    "use": instances.use,
    "quarantine": instances.quarantine,
    "salvage-files": salvage.files,
    "salvage-room": salvage.room,
    "salvage-state": salvage.state,
    "salvage-put": salvage.put,
    "salvage-copy": salvage.copy,
    "salvage-sum": salvage.sum_of,
    "salvage-finish": salvage.finish,
}
OTHERS = {"keep": looks.keep, "send": looks.send, "shell": looks.shell, "salvage-take": salvage.take}
"""Those that print something else, or nothing."""
TROUBLE = 3


def main(question: str, asked: dict[str, Any]) -> int:
    """The exit code: 0, or `TROUBLE` with the reason instead of the answer."""
    try:
        if question in OTHERS:
            return OTHERS[question](asked) or 0
        document: dict[str, Any] = QUESTIONS[question](asked)
    except Trouble as trouble:
        sys.stdout.write(json.dumps({"trouble": trouble.words, "hint": trouble.hint}))
        return TROUBLE
    except PermissionError as error:
        words = "%s is not allowed here" % (error.filename or error)
        sys.stdout.write(json.dumps({"trouble": words, "hint": "It takes root, or sudo, on the host."}))
        return TROUBLE
    sys.stdout.write(json.dumps(document))
    return 0


def run() -> int:
    """As a program: QUESTION JSON."""
    return main(sys.argv[1], json.loads(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(run())
