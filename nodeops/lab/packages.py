"""What a lab needs on the machine: MariaDB and RabbitMQ of Debian, OpenStack in an environment of its own."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from nodeops.errors import ConfigurationError, FailedError
from nodeops.lab.layout import Layout
from nodeops.lab.processes import MARK, run_logged

PROGRAMS = {
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "rabbitmq-server": "rabbitmq-server",
}
"""Program -> the Debian package that has it."""
SYSTEM_PATHS = ("/usr/sbin", "/sbin", "/usr/lib/rabbitmq/bin")
RELEASE = (
    "nova==34.0.0",
    "neutron==29.0.0",
    "keystone==30.0.0",
    "openstack-placement==16.0.0",
    "cinder==29.0.0",
    "glance==33.0.0",
)
"""2026.2."""
ALSO = ("aiohttp>=3.11", "pymysql", "setproctitle", "waitress")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# while `nodeops lab up` installs: packages are not to start servers\nexit 101\n"
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
"""Waits for another apt, as an interrupted `lab up` leaves one running: killing it would break dpkg."""
NOTHING: Mapping[str, str] = {}
PIP = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def program(name: str) -> str:
    """Return the path of a program of the machine.

    Raises:
        ConfigurationError: it is not installed.

    """
    found = _which(name)
    if found is None:
        raise _missing([PROGRAMS[name]])
    return found


def missing_packages(also: Sequence[str] = SYSTEM_PATHS) -> list[str]:
    """Return the Debian packages that have to be installed first; their programs are on PATH or there."""
    return sorted({package for name, package in PROGRAMS.items() if _which(name, also) is None})


def install_packages(
    packages: Sequence[str], say: Callable[[str], None], log: Path, *, allowed: bool
) -> None:
    """Install Debian packages with apt, without letting them start servers.

    Raises:
        ConfigurationError: they may not be installed by us; the hint is the command.
        FailedError: apt failed.

    """
    if not packages:
        return
    if not allowed or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise _missing(packages)
    say(f"installing {', '.join(packages)}")
    install = [*APT, "install", "-y", "--no-install-recommends", *packages]
    own_policy = not POLICY.exists() or POLICY.read_text(encoding="utf-8") == POLICY_TEXT
    if own_policy:
        POLICY.write_text(POLICY_TEXT, encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        if _run(install, log):
            _run([*APT, "update"], log)
            if _run(install, log):
                raise FailedError(
                    f"apt could not install {', '.join(packages)}", hint=f"What it said is in {log}."
                )
    finally:
        if own_policy:
            with suppress(FileNotFoundError):
                POLICY.unlink()


def make_environment(layout: Layout, say: Callable[[str], None], log: Path) -> None:
    """Make the virtual environment of OpenStack's services, unless it is whole.

    Raises:
        FailedError: the packages could not be installed.

    """
    wanted = "\n".join((*RELEASE, *ALSO, sys.version))
    mark = layout.done / "environment"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted and layout.python.exists():
        _see_nodeops(layout)
        return
    mark.unlink(missing_ok=True)
    say("installing the OpenStack 2026.2 services into an environment of their own")
    shutil.rmtree(layout.environment, ignore_errors=True)
    failed = any(_run(command, log, {MARK: str(layout.root)}) for command in _commands(layout))
    if failed:
        raise FailedError("the OpenStack services could not be installed", hint=f"What was said is in {log}.")
    _see_nodeops(layout)
    mark.write_text(wanted, encoding="utf-8")


def _commands(layout: Layout) -> list[list[str]]:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    packages = [*RELEASE, *ALSO]
    if uv:
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(layout.environment)],
            [uv, "pip", "install", "-q", "--python", str(layout.python), *packages],
        ]
    return [
        [sys.executable, "-m", "venv", str(layout.environment)],
        [str(layout.python), "-m", "pip", "install", "-q", *packages],
    ]


def _see_nodeops(layout: Layout) -> None:
    """Let the environment import `nodeops.lab`, behind all packages of its own."""
    site = next(layout.environment.glob("lib/python3*/site-packages"))
    home = Path(__file__).resolve().parents[2]
    (site / "nodeops-lab.pth").write_text(f"{home}\n", encoding="utf-8")


def _run(command: Sequence[str], log: Path, mark: Mapping[str, str] = NOTHING) -> int:
    environment = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return run_logged(command, log, environment | PIP | {"DEBIAN_FRONTEND": "noninteractive"} | dict(mark))


def _which(name: str, also: Sequence[str] = SYSTEM_PATHS) -> str | None:
    # RabbitMQ's /usr/sbin program switches the user; the one in its library does not.
    paths = os.pathsep.join([*reversed(also), os.environ.get("PATH", "")])
    return shutil.which(name, path=paths)


def _missing(packages: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"the lab needs packages that are not installed: {', '.join(packages)}",
        hint=f"Run: sudo apt-get install -y --no-install-recommends {' '.join(packages)}",
    )
