"""Keeps one real host running: `python -m nodeops.lab.real.keeper --state-dir DIR --host NAME`.

Wires it, boots it under systemd-nspawn, boots it again when it reboots, tidies up when it has powered off.
Its overlay is mounted in a mount namespace of the keeper's own and ends with it.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import subprocess
from pathlib import Path

from nodeops.lab.layout import PORTS, read_layout
from nodeops.lab.real import wiring
from nodeops.lab.real.places import RealHost, RealLab
from nodeops.lab.real.relay import Relay

REBOOT = 133
"""How systemd-nspawn --keep-unit ends when its system reboots."""
CLONE_NEWNS = 0x00020000
DEVICES = ("/dev/fuse", "/dev/net/tun", "/dev/loop-control", *(f"/dev/loop{number}" for number in range(8)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--host", required=True)
    chosen = parser.parse_args()
    lab = RealLab(read_layout(chosen.state_dir))
    host = next(host for host in lab.hosts if host.name == chosen.host)
    # It reaches systemd-nspawn too, which shuts its system down in order; then the keeper tidies up.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _mount(host)
    asyncio.run(keep(host))


async def keep(host: RealHost) -> None:
    """Run the host until it powers off or dies."""
    code = REBOOT
    while code == REBOOT:
        wiring.wire(host)
        relay = Relay(wiring.NETNS / host.netns, _ports(host))
        await relay.open()
        process = await asyncio.create_subprocess_exec(
            *command(host), preexec_fn=lambda: wiring.enter_cgroups(host, os.getpid())
        )
        code = await process.wait()
        relay.close()
        wiring.unwire(host)
        wiring.remove_cgroups(host)


def command(host: RealHost) -> list[str]:
    """Return systemd-nspawn's command line; it dies with the keeper, and the host with it."""
    lab = host.lab
    shared = [(lab.volumes, "/srv/volumes")]
    if not (host.place / "local").exists():
        shared.append((lab.instances, "/var/lib/nova/instances"))
    binds = [f"--bind={device}" for device in DEVICES if Path(device).exists()]
    binds += [f"--bind={source}:{target}" for source, target in shared]
    return [
        *("setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--boot"),
        *("--register=no", "--keep-unit", "--capability=all", "--console=pipe", "--link-journal=no"),
        *("--resolv-conf=off", "--timezone=off", f"--directory={host.tree}"),
        *(f"--machine={host.netns}", f"--hostname={host.name}", f"--uuid={host.machine_id}"),
        f"--network-namespace-path={wiring.NETNS / host.netns}",
        *binds,
    ]


def _ports(host: RealHost) -> list[int]:
    """Return the ports of the lab's services, the database excepted: no compute host speaks to it."""
    return [host.lab.layout.port(name) for name in PORTS if name not in {"mariadb", "epmd"}]


def _mount(host: RealHost) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    options = f"lowerdir={host.lab.base},upperdir={host.upper},workdir={host.place / 'work'}"
    for arguments in (
        ("--make-rprivate", "/"),
        ("-t", "overlay", host.name, "-o", options, str(host.tree)),
    ):
        subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
