"""The files in which one real host differs from the tree they share."""

import os
import shutil
import subprocess
from pathlib import Path

from nodeops.lab.hypervisor.settings import Storage
from nodeops.lab.options import MOST_REAL_HOSTS, LabOptions
from nodeops.lab.real.base import INSIDE
from nodeops.lab.real.config import agent_conf, nova_conf
from nodeops.lab.real.places import MACHINE, RealHost, RealLab

HOST_KEY = "ssh_host_ed25519_key"
NOVA = 900
"""Account and group of nova in the tree: prepare.sh makes it."""


def make_keys(lab: RealLab) -> None:
    """Make the keys of the lab: one that opens the hosts, one with which they reach each other."""
    for path in (lab.key, lab.root / "nova_ed25519"):
        if not path.exists():
            _keygen(path, lab.layout.name)
    for host in lab.hosts:
        host.place.mkdir(parents=True, exist_ok=True)
        if not (path := host.place / HOST_KEY).exists():
            _keygen(path, host.name)
    lines = [f"{host.address},{host.name} {_public(host.place / HOST_KEY)}" for host in lab.hosts]
    lab.known_hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_shared(lab: RealLab) -> None:
    """Make the directories that hosts share."""
    for path in (lab.instances, lab.volumes):
        path.mkdir(parents=True, exist_ok=True)
    os.chown(lab.instances, NOVA, NOVA)


def write_tree(host: RealHost, options: LabOptions) -> None:
    """Write the host's own files into the upper layer of its tree; it must not be running."""
    for path in (host.upper, host.tree, host.place / "work"):
        path.mkdir(parents=True, exist_ok=True)
    lab = host.lab
    local = host.place / "local"
    if options.storage == Storage.LOCAL:
        local.touch()
    else:
        local.unlink(missing_ok=True)
    # All there may ever be: a host that runs is not told of one that is made later.
    every = [RealHost(lab, f"c{number:02}", number) for number in range(1, MOST_REAL_HOSTS + 1)]
    names = [f"{each.address} {each.name}" for each in every]
    hosts = ["127.0.0.1 localhost", *names, f"{lab.prefix}.{MACHINE} storage machine"]
    _write(host, "etc/hostname", f"{host.name}\n")
    _write(host, "etc/hosts", "\n".join(hosts) + "\n")
    _write(host, "etc/machine-id", f"{host.machine_id.hex}\n")
    _write(host, "etc/nova/nova.conf", nova_conf(host, options), 0o640, NOVA)
    _write(host, "etc/neutron/neutron.conf", agent_conf(host), 0o640, NOVA + 1)
    for program in ("tap_nodes.py", "macvtap_agent.py"):
        _write(host, f"usr/local/lib/lab/{program}", (INSIDE / program).read_text(encoding="utf-8"))
    _libvirt(host)
    key = host.place / HOST_KEY
    _write(host, f"etc/ssh/{HOST_KEY}", key.read_text(encoding="utf-8"), 0o600)
    _write(host, f"etc/ssh/{HOST_KEY}.pub", _public(key))
    public, nova_key = _public(lab.key), lab.root / "nova_ed25519"
    _write(host, "root/.ssh/authorized_keys", public, 0o600)
    _write(host, "home/ops/.ssh/authorized_keys", public, 0o600, _owner(lab, "home/ops"))
    _write(host, "var/lib/nova/.ssh/authorized_keys", _public(nova_key), 0o600, NOVA)
    _write(host, "var/lib/nova/.ssh/config", "StrictHostKeyChecking accept-new\n", 0o600, NOVA)
    _write(host, "var/lib/nova/.ssh/id_ed25519", nova_key.read_text(encoding="utf-8"), 0o600, NOVA)


def _libvirt(host: RealHost) -> None:
    base = host.lab.base / "etc" / "libvirt"
    daemon = (base / "libvirtd.conf").read_text(encoding="utf-8")
    _write(host, "etc/libvirt/libvirtd.conf", f'{daemon}host_uuid = "{host.machine_id}"\n')
    qemu = (base / "qemu.conf").read_text(encoding="utf-8")
    own = f'migration_host = "{host.address}"\nmigration_address = "{host.address}"\n'
    _write(host, "etc/libvirt/qemu.conf", qemu + own)


def _write(host: RealHost, name: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
    """Write a file of the host; new directories get the base's owner and mode, or the file's owner."""
    path = host.upper / name
    missing = [parent for parent in reversed(path.relative_to(host.upper).parents) if parent.name]
    for relative in missing:
        made = host.upper / relative
        if made.exists():
            continue
        made.mkdir()
        below = host.lab.base / relative
        if below.exists():
            shutil.copystat(below, made)
            held = below.stat()
            os.chown(made, held.st_uid, held.st_gid)
        else:
            made.chmod(0o755 if mode & 0o004 else 0o700)
            os.chown(made, owner, owner)
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    os.chown(path, owner, owner)


def _owner(lab: RealLab, name: str) -> int:
    return (lab.base / name).stat().st_uid


def _keygen(path: Path, comment: str) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True
    )


def _public(path: Path) -> str:
    return path.with_name(f"{path.name}.pub").read_text(encoding="utf-8")
