"""What a lab of real hosts needs of this machine; asked before anything is done."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from nodeops.errors import ConfigurationError
from nodeops.lab import packages
from nodeops.lab.real.base import uv

PROGRAMS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "qemu-img": "qemu-utils",
}
"""Program -> the Debian package that has it."""
PATH = os.pathsep.join(["/usr/sbin", "/sbin", os.environ.get("PATH", "")])


def require_machine() -> None:
    """Make sure that this user of this machine can make real hosts.

    Raises:
        ConfigurationError: not root, not Debian, or without uv.

    """
    if os.geteuid() != 0:
        raise ConfigurationError(
            "real hosts need root: they are containers with a network and mounts of their own",
            hint="Run: sudo nodeops lab up --real-hosts N",
        )
    if not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        raise ConfigurationError(
            "real hosts need Debian or Ubuntu: their trees are made with apt and debootstrap",
            hint="`nodeops lab up` without --real-hosts makes simulated hosts here.",
        )
    if not uv():
        raise ConfigurationError(
            "real hosts need uv, which installs for another Python than this one",
            hint="Run: pip install uv",
        )


def require_packages(say: Callable[[str], None], log: Path, *, install: bool) -> None:
    """Make sure that what real hosts need is installed, or install it when allowed.

    Raises:
        ConfigurationError: a package is missing.
        FailedError: apt failed.

    """
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=PATH)})
    packages.install_packages([*missing, *packages.missing_packages()], say, log, allowed=install)
