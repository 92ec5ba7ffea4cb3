"""What can happen to a real host; the functions of `nodeops.lab.hosts` come here for real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from nodeops.errors import FailedError, UnknownHostError
from nodeops.lab.host_status import HostStatus
from nodeops.lab.layout import Layout
from nodeops.lab.options import LabOptions
from nodeops.lab.processes import Program, alive, ensure, last_words, recorded, stop
from nodeops.lab.real import wiring
from nodeops.lab.real.inventory import write_inventory
from nodeops.lab.real.places import RealHost, RealLab
from nodeops.lab.real.tree import make_keys, write_tree

BOOT_SECONDS = 60.0
REBOOT_SECONDS = 150.0
"""Its nova-compute and its guests are ended in order first."""
END_SECONDS = 15.0
COMMAND_SECONDS = 20.0
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
COMPUTE, AGENT = "nova-compute", "neutron-macvtap-agent"
LOOK = (
    f"systemctl show -p MainPID --value {COMPUTE}; systemctl is-active {AGENT}; "
    "timeout 5 virsh -q list --state-running --name | grep -c ."
)


def programs(layout: Layout) -> list[Program]:
    """Return the keepers of the hosts that are meant to have power."""
    return [_keeper(host) for host in RealLab(layout).hosts if not host.off.exists()]


def raise_hosts(layout: Layout, options: LabOptions) -> bool:
    """Boot the hosts that are not running, and return whether any was booted.

    Raises:
        FailedError: the network cannot be made, or a host does not boot.

    """
    lab = RealLab(layout)
    make_keys(lab)
    write_inventory(lab, options)
    wiring.raise_switch(lab)
    wanted = [host for host in lab.hosts if not host.off.exists() and not alive(layout, host.program)]
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        list(pool.map(lambda host: _boot(host, options), wanted))
    return bool(wanted)


def end_all(layout: Layout) -> None:
    """Cut the power of all hosts and remove their network and control groups; may be repeated."""
    lab = RealLab(layout)
    with ThreadPoolExecutor() as pool:
        list(pool.map(_kill, lab.made))
    wiring.lower_switch(lab)


def status(layout: Layout) -> list[HostStatus]:
    """Return every host as it is now, asked over SSH."""
    hosts = RealLab(layout).hosts
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return list(pool.map(_status, hosts))


def stop_compute(layout: Layout, name: str) -> None:
    """End the host's nova-compute by SIGKILL and keep it from coming back; its guests live on.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the host does not answer.

    """
    host = find(layout, name)
    host.compute_off.touch()
    run(host, f"systemctl kill --signal=KILL {COMPUTE}; systemctl stop {COMPUTE}")


def silence_agent(layout: Layout, name: str) -> None:
    """Stop the host's network agent.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the host does not answer.

    """
    run(find(layout, name), f"systemctl kill --signal=KILL {AGENT}; systemctl stop {AGENT}")


def lose(layout: Layout, name: str) -> None:
    """Kill everything on the host at once; it stays off until it is started.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: something of it lives on.

    """
    host = find(layout, name)
    host.off.touch()
    _kill(host)


def start(layout: Layout, name: str, options: LabOptions) -> None:
    """Boot the host when it is off, and start its nova-compute and agent when they are stopped.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: it does not boot, or does not answer.

    """
    host = find(layout, name)
    for mark in (host.off, host.compute_off):
        mark.unlink(missing_ok=True)
    if not alive(layout, host.program):
        wiring.raise_switch(host.lab)
        _boot(host, options)
    run(host, f"systemctl start {COMPUTE} {AGENT}")


def has_power(layout: Layout, name: str) -> bool:
    """Whether anything of it runs: its keeper, or a process in its control groups.

    Raises:
        UnknownHostError: the lab has no such host.

    """
    host = find(layout, name)
    return alive(layout, host.program) or bool(wiring.members(host))


def reboot(layout: Layout, name: str, options: LabOptions) -> None:
    """Reboot the host in order, as `systemctl reboot` does; one that is off is started.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: it does not come back.

    """
    host = find(layout, name)
    if not alive(layout, host.program):
        start(layout, name, options)
        return
    host.compute_off.unlink(missing_ok=True)
    boot = run(host, BOOT_ID).strip()
    _ssh(host, "systemctl reboot")  # which may end the connection before it answers
    if not _until(lambda: _boot_id(host) not in {"", boot}, REBOOT_SECONDS):
        raise FailedError(f"host {host.name} did not come back within {REBOOT_SECONDS:.0f} s of its reboot")


def find(layout: Layout, name: str) -> RealHost:
    """Return the host of this name.

    Raises:
        UnknownHostError: the lab has no such host.

    """
    hosts = RealLab(layout).hosts
    for host in hosts:
        if host.name == name:
            return host
    known = ", ".join(host.name for host in hosts)
    raise UnknownHostError(f"host {name} is not in this lab", hint=f"its hosts are: {known}")


def ssh(host: RealHost) -> list[str]:
    """Return the command that signs in at the host."""
    options = (
        *("BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=5", "LogLevel=ERROR"),
        f"UserKnownHostsFile={host.lab.known_hosts}",
    )
    chosen = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", "-i", str(host.lab.key), *chosen, f"root@{host.address}"]


def run(host: RealHost, command: str) -> str:
    """Run a shell command on the host and return what it printed; how it ended does not count.

    Raises:
        FailedError: the host does not answer.

    """
    done = _ssh(host, command)
    if done is None:
        raise FailedError(
            f"host {host.name} ({host.address}) does not answer by SSH",
            hint="`nodeops lab status` shows what runs, `nodeops lab start HOST` boots it.",
        )
    return done


def _ssh(host: RealHost, command: str) -> str | None:
    try:
        done = subprocess.run(
            [*ssh(host), command],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode == 255 else done.stdout  # noqa: PLR2004 - ssh's own failure


def _status(host: RealHost) -> HostStatus:
    power = alive(host.lab.layout, host.program)
    lines = (_ssh(host, LOOK) or "").splitlines() if power else []
    pid, agent, guests = lines if len(lines) == 3 else ("0", "", "0")  # noqa: PLR2004 - LOOK's lines
    return HostStatus(
        host=host.name,
        power=power,
        agent=agent == "active",
        compute_wanted=not (host.off.exists() or host.compute_off.exists()),
        compute_pid=int(pid) or None,
        guests=int(guests),
    )


def _boot(host: RealHost, options: LabOptions) -> None:
    layout = host.lab.layout
    _tidy(host)
    write_tree(host, options)
    ensure(layout, _keeper(host))
    deadline = time.monotonic() + BOOT_SECONDS
    while not _boot_id(host):
        if not alive(layout, host.program):
            raise FailedError(f"host {host.name} ended: {last_words(layout, host.program)}")
        if time.monotonic() > deadline:
            raise FailedError(
                f"host {host.name} ({host.address}) does not answer {BOOT_SECONDS:.0f} s after its start",
                hint=f"Its console is {layout.logs / host.program}.out.",
            )
        time.sleep(0.2)


def _boot_id(host: RealHost) -> str:
    return (_ssh(host, BOOT_ID) or "").strip()


def _kill(host: RealHost) -> None:
    """SIGKILL the keeper and systemd-nspawn, then what is in the host's control groups: it outlives both."""
    if host.program in recorded(host.lab.layout):
        stop(host.lab.layout, host.program, signal.SIGKILL)
    if not _until(lambda: not _kill_members(host), END_SECONDS):
        left = ", ".join(map(str, wiring.members(host)))
        raise FailedError(f"host {host.name} does not end: processes {left} live on")
    _tidy(host)


def _kill_members(host: RealHost) -> list[int]:
    found = wiring.members(host)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _tidy(host: RealHost) -> None:
    wiring.unwire(host)
    wiring.remove_cgroups(host)


def _keeper(host: RealHost) -> Program:
    module: Sequence[str] = ("-m", "nodeops.lab.real.keeper")
    layout = host.lab.layout
    # This very Python, which is there before the environment of the services is.
    command = [sys.executable, *module, "--state-dir", str(layout.root), "--host", host.name]
    return Program(host.program, command)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
