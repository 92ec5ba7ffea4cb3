"""The network and the control groups of real hosts on this machine.

The bridge is in a network namespace of its own, where no firewall of the machine filters it.
"""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nodeops.errors import FailedError
from nodeops.lab.real.places import MACHINE, RealHost, RealLab

CGROUPS = Path("/sys/fs/cgroup")
NETNS = Path("/run/netns")


def raise_switch(lab: RealLab) -> None:
    """Make the bridge and this machine's leg in the lab's network, unless they are there.

    Raises:
        FailedError: the kernel refuses.

    """
    if (NETNS / lab.switch).exists() and Path(f"/sys/class/net/{lab.leg}").exists():
        return
    lower_switch(lab)
    _ip("netns", "add", lab.switch)
    _ip("-n", lab.switch, "link", "add", "br0", "type", "bridge")
    _ip("-n", lab.switch, "link", "set", "br0", "up")
    _ip("link", "add", lab.leg, "type", "veth", "peer", "name", "machine", "netns", lab.switch)
    _ip("-n", lab.switch, "link", "set", "machine", "master", "br0", "up")
    _ip("address", "add", f"{lab.prefix}.{MACHINE}/24", "dev", lab.leg)
    _ip("link", "set", lab.leg, "up")


def lower_switch(lab: RealLab) -> None:
    """Remove the bridge, the leg and the namespaces of all hosts; may be repeated."""
    for host in lab.made:
        unwire(host)
    _try("link", "delete", lab.leg)
    _try("netns", "delete", lab.switch)


def wire(host: RealHost) -> None:
    """Give the host a new network namespace with eth0 on the bridge.

    Raises:
        FailedError: the kernel refuses.

    """
    unwire(host)
    switch, ns = host.lab.switch, host.netns
    _ip("netns", "add", ns)
    leg = ("link", "add", host.name, "type", "veth")
    _ip("-n", switch, *leg, "peer", "name", "eth0", "address", host.mac, "netns", ns)
    _ip("-n", switch, "link", "set", host.name, "master", "br0", "up")
    _ip("-n", ns, "link", "set", "lo", "up")
    _ip("-n", ns, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", ns, "link", "set", "eth0", "up")


def unwire(host: RealHost) -> None:
    """Remove the host's network namespace; its leg on the bridge goes with it."""
    _try("-n", host.lab.switch, "link", "delete", host.name)
    _try("netns", "delete", host.netns)


def cgroups(host: RealHost) -> list[Path]:
    """Return the host's directories in the hierarchies that systemd uses: two on a hybrid machine."""
    hierarchies = [CGROUPS / "systemd", CGROUPS / "unified", CGROUPS]
    return [path / host.netns for path in hierarchies if (path / "cgroup.procs").exists()]


def enter_cgroups(host: RealHost, pid: int) -> None:
    """Put a process into the host's control groups, where systemd-nspawn and all below it stay."""
    for path in cgroups(host):
        path.mkdir(exist_ok=True)
        (path / "cgroup.procs").write_text(str(pid), encoding="ascii")


def remove_cgroups(host: RealHost) -> None:
    """Remove the host's control groups, from the innermost outwards; those in use stay."""
    for path in [*cgroups(host), *CGROUPS.glob(f"*/{host.netns}")]:
        inner = sorted((held for held in path.rglob("*") if held.is_dir()), reverse=True)
        for held in [*inner, path]:
            with suppress(OSError):
                held.rmdir()


def members(host: RealHost) -> list[int]:
    """Return the processes of the machine that live in the host's control groups."""
    found: set[int] = set()
    for path in cgroups(host):
        for held in path.rglob("cgroup.procs"):
            with suppress(OSError):
                found.update(int(pid) for pid in held.read_text(encoding="ascii").split())
    return sorted(found)


def _ip(*arguments: str) -> None:
    done = _run(arguments)
    if done.returncode:
        raise FailedError(
            f"the lab's network cannot be made: ip {' '.join(arguments)}: {done.stderr.strip()}"
        )


def _try(*arguments: str) -> None:
    _run(arguments)


def _run(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
