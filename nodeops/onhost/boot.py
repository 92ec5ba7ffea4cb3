"""Which boot of the host it is, and since when."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import process, text_of


def boot_id() -> str:
    return text_of(Path("/proc/sys/kernel/random/boot_id")).strip()


def boot(_asked: dict[str, Any]) -> dict[str, Any]:
    """Since when its first process runs: right in a container too, which shares the kernel's boot time."""
    kernel_booted = re.search(r"^btime (\d+)$", text_of(Path("/proc/stat")), re.MULTILINE)
    first = process(1)
    started = int(first.start) / os.sysconf("SC_CLK_TCK") if first else 0.0
    at = (int(kernel_booted[1]) if kernel_booted else 0) + started
    return {"id": boot_id(), "at": at, "kernel": os.uname().release}
