"""Stops, starts, kills, masks or unmasks one service of the host it runs on.

Read on standard input: `{"do", "manager", "name", "unit"}`, `unit` the systemd unit that keeps a container,
or empty. Nothing is waited for. Ends with 0, or with the words of what refused on standard error.

`systemctl mask --runtime` does nothing for a unit whose file is in /etc/systemd/system, which comes before
/run (systemd.unit(5), "unit file load path"): such a unit gets a drop-in in /run that fails every start.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

RUN = Path("/run/systemd/system")
DROP_IN = "90-nodeops.conf"
WORDS = """[Unit]
# kept stopped during maintenance: nodeops host HOST start lifts that
AssertPathExists=/run/nodeops/nothing
"""
KEPT = Path("/var/lib/nodeops/restart")
NO_SUCH_WAY = "unknown"


def call(*argv: str, detached: bool = False) -> None:
    """Raises SystemExit with the complaint."""
    if detached:
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        return
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or "ended with {}".format(done.returncode)
        sys.exit(said.splitlines()[-1])


def output(*argv: str) -> str:
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    ).stdout.decode()


def full(unit: str) -> str:
    return unit if unit.endswith(".service") else unit + ".service"


def mask_unit(unit: str) -> None:
    call("systemctl", "mask", "--runtime", "--quiet", unit)
    if output("systemctl", "show", "--property=LoadState", "--value", unit).strip() != "masked":
        call("systemctl", "unmask", "--runtime", "--quiet", unit)
        folder = RUN / (full(unit) + ".d")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DROP_IN).write_text(WORDS)
        call("systemctl", "daemon-reload")


def unmask_unit(unit: str) -> None:
    folder = RUN / (full(unit) + ".d")
    if (folder / DROP_IN).exists():
        (folder / DROP_IN).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
        call("systemctl", "daemon-reload")
    call("systemctl", "unmask", "--runtime", "--quiet", unit)
    # a start that was refused meanwhile counts as a failure
    subprocess.run(("systemctl", "reset-failed", "--quiet", unit), stderr=subprocess.DEVNULL, check=False)


def restart_policy(manager: str, name: str, policy: str) -> None:
    """Older podman has no `update --restart`, and restarts nothing by itself either."""
    done = subprocess.run(
        (manager, "update", "--restart=" + policy, name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode and NO_SUCH_WAY not in done.stderr.decode(errors="replace"):
        sys.exit(done.stderr.decode(errors="replace").strip().splitlines()[-1])


def mask_container(manager: str, name: str, kept: Path) -> None:
    policy = output(manager, "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", name).strip()
    if policy not in {"", "no"}:
        kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        (kept / name).write_text(policy)
        restart_policy(manager, name, "no")


def unmask_container(manager: str, name: str, kept: Path) -> None:
    if (kept / name).exists():
        restart_policy(manager, name, (kept / name).read_text())
        (kept / name).unlink()


def by_unit(what: str, unit: str) -> None:
    if what == "stop":
        call("systemctl", "stop", "--no-block", unit)
    elif what == "start":
        call("systemctl", "start", "--no-block", unit)
    elif what == "kill":
        call("systemctl", "kill", "--signal=KILL", unit)
    elif what == "mask":
        mask_unit(unit)
    else:
        unmask_unit(unit)


def by_container(what: str, manager: str, name: str, kept: Path) -> None:
    if what == "mask":
        mask_container(manager, name, kept)
    elif what == "unmask":
        unmask_container(manager, name, kept)
    else:
        call(manager, what, name, detached=what == "stop")


def main() -> None:
    said = json.loads(sys.stdin.read())
    what, manager = said["do"], said["manager"]
    if shutil.which("systemctl" if manager == "systemd" else manager) is None:
        sys.exit("{} is not there".format(manager))
    if manager == "systemd" or said["unit"]:
        by_unit(what, said["unit"] or said["name"])
    else:
        by_container(what, manager, said["name"], Path(said.get("kept") or KEPT))


if __name__ == "__main__":
    main()
