"""Commands inside a guest on a real host, by its agent."""

import base64
import json
import shlex
import socket
import time
from typing import Any

from tests.lab.bed import Bed
from tests.real.guests import on_host

HOOK = "/sbin/fsfreeze-hook"
PORT, PATIENCE = 7777, 90
UNTIL_LET_GO = f"timeout {PATIENCE} nc -l -p {PORT} >/dev/null; true"
"""For a hook: it waits until `let_go`, however slow the machine is, and no longer than this."""
SECONDS = 30.0


def asked(bed: Bed, host: str, server_id: str, command: str, **arguments: Any) -> Any:
    """Ask the agent of a guest."""
    words = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
    answer = on_host(bed, host, f"virsh qemu-agent-command {server_id} --timeout 10 {shlex.quote(words)}")
    return json.loads(answer)["return"]


def begin(bed: Bed, host: str, server_id: str, script: str) -> None:
    """Start a script in the guest, whatever becomes of it."""
    arguments = {"path": "/bin/sh", "arg": ["-c", script]}
    assert asked(bed, host, server_id, "guest-exec", **arguments)["pid"]


def inside(bed: Bed, host: str, server_id: str, script: str) -> str:
    """Run a script in the guest and return what it printed."""
    arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
    pid = asked(bed, host, server_id, "guest-exec", **arguments)["pid"]
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        state = asked(bed, host, server_id, "guest-exec-status", pid=pid)
        if state["exited"]:
            assert state["exitcode"] == 0, state
            return base64.b64decode(state.get("out-data", "")).decode()
        time.sleep(0.3)
    raise AssertionError(f"{script!r} did not end in the guest")


def let_go(bed: Bed, server_id: str) -> None:
    """End a hook that waits, once it does."""
    server = bed.cloud.compute.get(f"/servers/{server_id}").json()["server"]
    ((first, *_),) = server["addresses"].values()
    where = (first["addr"], PORT)

    def heard() -> bool:
        try:
            socket.create_connection(where, timeout=5).close()
        except OSError:
            return False
        return True

    bed.comes(heard, PATIENCE)


def set_hook(bed: Bed, host: str, server_id: str, on_freeze: str) -> None:
    """Have the guest run this before its file systems are frozen."""
    lines = ["#!/bin/sh", 'echo "FSFREEZE $1" > /dev/ttyS0', f'[ "$1" = thaw ] && exit 0\n{on_freeze}']
    inside(bed, host, server_id, f"printf %s {shlex.quote(chr(10).join(lines) + chr(10))} > {HOOK}")
