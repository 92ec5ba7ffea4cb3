"""What can happen to a host of the lab: its nova-compute dies, it is lost, it reboots, it comes back.

Real hosts are the affair of `nodeops.lab.real`. What is done to simulated ones runs in the tool's own Python
and touches files and processes only; how soon Nova notices is Nova's affair. Each may be repeated.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nodeops.errors import FailedError, UnknownHostError
from nodeops.lab.host_status import HostStatus
from nodeops.lab.hypervisor.condition import Condition, read_condition, write_condition
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.process import compute_process
from nodeops.lab.hypervisor.settings import read_settings
from nodeops.lab.hypervisor.vifs import Bridge
from nodeops.lab.layout import Layout, read_layout
from nodeops.lab.options import read_options
from nodeops.lab.real import hosts as real

POLL_SECONDS = 0.1
START_SECONDS = 30.0
END_SECONDS = 10.0


def host_names(state_dir: Path) -> list[str]:
    """Return the lab's hosts in the order they were made."""
    return [shape.name for shape in read_settings(state_dir).hosts]


def status(state_dir: Path) -> list[HostStatus]:
    """Return every host as it is now."""
    if layout := _real(state_dir):
        return real.status(layout)
    return [_status(HostPlace(state_dir, name)) for name in host_names(state_dir)]


def stop_compute(state_dir: Path, host: str) -> None:
    """End the host's nova-compute by SIGKILL; its guests and its network agent live on.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the process did not end.

    """
    if layout := _real(state_dir):
        real.stop_compute(layout, host)
        return
    place = _place(state_dir, host)
    write_condition(place, replace(read_condition(place), compute=False))
    _kill_compute(place)


def lose(state_dir: Path, host: str) -> None:
    """Cut the host's power: no nova-compute, no guest, a silent network agent, until it is started.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: its nova-compute did not end.

    """
    if layout := _real(state_dir):
        real.lose(layout, host)
        return
    place = _place(state_dir, host)
    write_condition(place, Condition(power=False))
    _kill_compute(place)
    _power_loss(place)


def reboot(state_dir: Path, host: str) -> None:
    """Cut the host's power and bring it back: guests are shut off, nova-compute and agent start again.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: its nova-compute did not end, or did not start again.

    """
    if layout := _real(state_dir):
        real.reboot(layout, host, read_options(layout))
        return
    lose(state_dir, host)
    start(state_dir, host)


def start(state_dir: Path, host: str) -> None:
    """Give the host power, its network agent and its nova-compute; return when the process runs.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the launcher did not start it.

    """
    if layout := _real(state_dir):
        real.start(layout, host, read_options(layout))
        return
    place = _place(state_dir, host)
    write_condition(place, Condition())
    if not _until(lambda: compute_process(place) is not None, START_SECONDS):
        raise FailedError(
            f"nova-compute of host {host} was not started within {START_SECONDS:.0f} s",
            hint="is the lab up? `nodeops lab up` mends it",
        )


def has_power(state_dir: Path, host: str) -> bool:
    """Whether anything of it runs, whatever was wanted: a process, a guest, or the host itself.

    Raises:
        UnknownHostError: the lab has no such host.

    """
    if layout := _real(state_dir):
        return real.has_power(layout, host)
    place = _place(state_dir, host)
    runs = any(guest.state.has_memory for guest in GuestStore(place.guests).all())
    return read_condition(place).power or compute_process(place) is not None or runs


def silence_agent(state_dir: Path, host: str) -> None:
    """Make the host's network agent stop reporting and wiring, while the host runs on.

    Raises:
        UnknownHostError: the lab has no such host.

    """
    if layout := _real(state_dir):
        real.silence_agent(layout, host)
        return
    place = _place(state_dir, host)
    write_condition(place, replace(read_condition(place), agent=False))


def end_computes(state_dir: Path) -> None:
    """End every nova-compute that runs, whoever started it; nothing is remembered as stopped.

    Call it after the launcher has ended, or it starts them again.
    """
    for name in host_names(state_dir):
        _kill_compute(HostPlace(state_dir, name))


def _real(state_dir: Path) -> Layout | None:
    """Return the lab when its hosts are real ones."""
    if not (state_dir / "lab.json").exists():
        return None
    layout = read_layout(state_dir)
    return layout if read_options(layout).real_hosts else None


def _place(state_dir: Path, host: str) -> HostPlace:
    names = host_names(state_dir)
    if host not in names:
        known = ", ".join(names) or "none"
        raise UnknownHostError(f"host {host} is not in this lab", hint=f"its hosts are: {known}")
    return HostPlace(state_dir, host)


def _status(place: HostPlace) -> HostStatus:
    condition, process = read_condition(place), compute_process(place)
    return HostStatus(
        host=place.host,
        power=condition.power,
        agent=condition.runs_agent,
        compute_wanted=condition.runs_compute,
        compute_pid=process.pid if process else None,
        guests=len(GuestStore(place.guests).all()),
    )


def _power_loss(place: HostPlace) -> None:
    GuestStore(place.guests).power_loss()
    Bridge(place.vifs).clear()


def _kill_compute(place: HostPlace) -> None:
    process = compute_process(place)
    if process is None:
        return
    process.kill()
    if not _until(lambda: not process.alive, END_SECONDS):
        raise FailedError(f"nova-compute of host {place.host} (process {process.pid}) does not end")


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
