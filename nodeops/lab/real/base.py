"""The Debian tree that all real hosts are laid over, and the guest image: made once in a lab."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodeops.errors import FailedError
from nodeops.lab.packages import RELEASE
from nodeops.lab.processes import MARK, alive, run_logged
from nodeops.lab.real.places import RealLab

SUITE = "trixie"
"""Debian 13: from libvirt 10.9 on it can be told that a local directory is shared (shared_filesystems)."""
PYTHON = "3.13"
PACKAGES = (
    *("systemd-sysv", "dbus", "openssh-server", "iproute2", "iputils-ping", "sudo", "procps", "kmod"),
    *("python3", "python3-libvirt", "libvirt-daemon-system", "libvirt-daemon-driver-qemu"),
    *("libvirt-clients", "qemu-system-x86", "qemu-utils", "genisoimage", "lvm2", "libnbd-bin", "fuse3"),
    *("fdisk", "e2fsprogs", "jq", "curl", "less", "rsync"),
)
FOR_GUEST = (
    "mtools",
    "syslinux",
    "syslinux-common",
    "busybox-static",
    "cpio",
    "xz-utils",
    "qemu-guest-agent",
)
INSIDE = Path(__file__).parent / "inside"
SCRIPTS = {
    "prepare.sh": "root/prepare.sh",
    "build-guest.sh": "root/build-guest.sh",
    "guest-init.sh": "root/guest/init",
}


def make_base(lab: RealLab, say: Callable[[str], None]) -> None:
    """Make the tree and the guest image, unless they are whole; those of running hosts are left as they are.

    Raises:
        FailedError: a download or an installation failed; the log says more.

    """
    wanted = _fingerprint()
    mark = lab.layout.done / "real-base"
    if mark.exists() and lab.base.is_dir():
        used = any(alive(lab.layout, host.program) for host in lab.hosts)
        if used or mark.read_text(encoding="utf-8") == wanted:
            return
    mark.unlink(missing_ok=True)
    log = lab.layout.logs / "real-base.out"
    log.write_bytes(b"")
    say("making the tree of the real hosts: a bare Debian, and nova-compute")
    made = lab.root / "base.new"
    programs = lab.root / "openstack.new"
    for path in (made, programs, lab.base):
        shutil.rmtree(path, ignore_errors=True)
    made.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        # Beside it: one waits for the mirror, the other for the registry.
        installed = pool.submit(_install_openstack, lab, programs, log)
        # In mounts of its own: when it is killed its /proc does not stay in the tree.
        alone = ("unshare", "--mount", "--propagation", "private")
        _run([*alone, "debootstrap", "--variant=minbase", SUITE, str(made), mirror()], lab, log)
        installed.result()
    (made / "opt").mkdir(exist_ok=True)
    programs.rename(made / "opt" / "openstack")
    say("making the tree of the real hosts: libvirt, QEMU, and a guest image")
    for name, target in SCRIPTS.items():
        path = made / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(INSIDE / name, path)
    (made / "root" / "packages").write_text(" ".join((*PACKAGES, *FOR_GUEST)), encoding="utf-8")
    shutil.copyfile("/etc/resolv.conf", made / "etc" / "resolv.conf")
    chroot = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={made / 'proc'}", "chroot", str(made)]
    _run([*chroot, "sh", "/root/prepare.sh"], lab, log)
    (made / "etc" / "resolv.conf").unlink()
    shutil.move(made / "root" / "guest" / "guest.qcow2", lab.guest_image)
    made.rename(lab.base)
    say("the tree of the real hosts is made")
    mark.write_text(wanted, encoding="utf-8")


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses.

    Raises:
        FailedError: apt has none.

    """
    form = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listed.splitlines():
        address, origin, label, component = line.split("|")
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return address
    raise FailedError("apt knows no Debian mirror", hint="Run: sudo apt-get update")


def uv() -> str:
    """Return the path of uv, which can install for another Python than its own; empty when there is none."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return shutil.which("uv", path=search) or ""


def _install_openstack(lab: RealLab, target: Path, log: Path) -> None:
    packages = [name for name in RELEASE if name.startswith(("nova==", "neutron=="))]
    command = [uv(), "pip", "install", "-q", "--python-version", PYTHON]
    _run([*command, "--target", str(target), *packages], lab, log)


def _run(command: Sequence[str], lab: RealLab, log: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.pop("VIRTUAL_ENV", None)
    code = run_logged(command, log, environment | {MARK: str(lab.layout.root)})
    if code:
        raise FailedError(
            f"the tree of the real hosts could not be made: {command[0]} ended with {code}",
            hint=f"What it said is in {log}.",
        )


def _fingerprint() -> str:
    digest = hashlib.sha256(" ".join((SUITE, *PACKAGES, *FOR_GUEST, *RELEASE)).encode())
    for name in sorted(SCRIPTS):
        digest.update((INSIDE / name).read_bytes())
    return digest.hexdigest()
