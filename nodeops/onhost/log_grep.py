"""What grep knows of logs. Apart, as `log_programs` is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

GREP = ("grep", "--text", "--fixed-strings", "--max-count=1", "--byte-offset", "--with-filename", "--null")
FOUND, NOT_FOUND = 0, 1
"""What grep ends with."""


def first_hits(files: Iterable[str], words: Iterable[bytes]) -> dict[str, int] | None:
    """Where in each log the first line with any of the words begins, of those that have one.

    None where grep is missing, is not GNU's, or failed.
    """
    try:
        ended = subprocess.run(
            [*GREP, *(b"--regexp=" + word for word in words), "--", *files],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LC_ALL="C"),
            check=False,
        )
    except OSError:
        return None
    if ended.returncode not in {FOUND, NOT_FOUND}:
        return None
    lines = (line.partition(b"\0") for line in ended.stdout.split(b"\n") if line)
    return {os.fsdecode(name): int(rest.partition(b":")[0]) for name, _, rest in lines}
