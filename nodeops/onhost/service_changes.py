"""Stopping, starting, killing, masking and unmasking one service of this host. Nothing is waited for.

`systemctl mask --runtime` does nothing for a unit whose file is in /etc/systemd/system, which comes before
/run (systemd.unit(5), "unit file load path"): such a unit gets a drop-in in /run that fails every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import LONG, Ended, detached, find, run
from nodeops.onhost.services import SYSTEMD, drop_in
from nodeops.onhost.trouble import Trouble

WORDS = """[Unit]
# kept stopped during maintenance: nodeops host HOST start lifts that
AssertPathExists=/run/nodeops/nothing
"""
KEPT = "/var/lib/nodeops/restart"
"""Restart policies of containers that are masked, a file each."""
NO_SUCH_WAY = "unknown"


def change(asked: dict[str, Any]) -> dict[str, Any]:
    """`do` it to the service `name` of `manager`; `unit` is the unit that keeps a container, or empty.

    Raises `Trouble` with the words of what refused.
    """
    what, manager, name, unit = (str(asked[key]) for key in ("do", "manager", "name", "unit"))
    program = "systemctl" if manager == SYSTEMD else manager
    if find(program) is None:
        raise Trouble(f"{program} is not there")
    if manager == SYSTEMD or unit:
        _change_unit(what, unit or name)
    else:
        _change_container(what, manager, name, Path(asked.get("kept") or KEPT) / name)
    return {}


def _change_unit(what: str, unit: str) -> None:
    if what == "mask":
        _mask_unit(unit)
    elif what == "unmask":
        _unmask_unit(unit)
    elif what == "kill":
        _call("systemctl", "kill", "--signal=KILL", unit)
    else:
        _call("systemctl", what, "--no-block", unit)


def _mask_unit(unit: str) -> None:
    _call("systemctl", "mask", "--runtime", "--quiet", unit)
    if _output("systemctl", "show", "--property=LoadState", "--value", unit) != "masked":
        _call("systemctl", "unmask", "--runtime", "--quiet", unit)
        drop_in(unit).parent.mkdir(parents=True, exist_ok=True)
        drop_in(unit).write_text(WORDS)
        _call("systemctl", "daemon-reload")


def _unmask_unit(unit: str) -> None:
    file = drop_in(unit)
    if file.exists():
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
        _call("systemctl", "daemon-reload")
    _call("systemctl", "unmask", "--runtime", "--quiet", unit)
    # A start that was refused meanwhile counts as a failure.
    _run(("systemctl", "reset-failed", "--quiet", unit))


def _change_container(what: str, engine: str, name: str, kept: Path) -> None:
    if what == "mask":
        policy = _output(engine, "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", name)
        if policy not in {"", "no"}:
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept.write_text(policy)
            _restart_policy(engine, name, "no")
    elif what == "unmask":
        if kept.exists():
            _restart_policy(engine, name, kept.read_text())
            kept.unlink()
    elif what == "stop":
        _begin(engine, what, name)
    else:
        _call(engine, what, name)


def _restart_policy(engine: str, name: str, policy: str) -> None:
    """Older podman has no `update --restart`, and restarts nothing by itself either."""
    ended = _run((engine, "update", "--restart=" + policy, name))
    if ended.code and NO_SUCH_WAY not in ended.err:
        raise Trouble(ended.words)


def _begin(*argv: str) -> None:
    """A graceful stop may take longer than the connection lasts."""
    detached(argv)


def _run(argv: Sequence[str]) -> Ended:
    return run(argv, seconds=LONG)


def _call(*argv: str) -> None:
    ended = _run(argv)
    if ended.code:
        raise Trouble(ended.words)


def _output(*argv: str) -> str:
    return _run(argv).out.strip()
