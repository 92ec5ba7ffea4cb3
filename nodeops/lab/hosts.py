"""What can happen to a simulated host: its nova-compute dies, it is lost, it reboots, it comes back.

These run in the tool's own Python and touch files and processes only; how soon Nova notices is Nova's affair.
Every one of them may be repeated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nodeops.errors import FailedError, UnknownHostError
from nodeops.lab.hypervisor.condition import Condition, read_condition, write_condition
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.process import compute_process
from nodeops.lab.hypervisor.settings import read_settings
from nodeops.lab.hypervisor.vifs import Bridge

POLL_SECONDS = 0.1
START_SECONDS = 30.0
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One simulated host as it is on this machine."""

    host: str
    power: bool
    agent: bool
    compute_wanted: bool
    compute_pid: int | None
    guests: int


def host_names(state_dir: Path) -> list[str]:
    """Return the lab's hosts in the order they were made."""
    return [shape.name for shape in read_settings(state_dir).hosts]


def status(state_dir: Path) -> list[HostStatus]:
    """Return every simulated host as it is now."""
    return [_status(HostPlace(state_dir, name)) for name in host_names(state_dir)]


def stop_compute(state_dir: Path, host: str) -> None:
    """End the host's nova-compute by SIGKILL; its guests and its network agent live on.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the process did not end.

    """
    place = _place(state_dir, host)
    write_condition(place, replace(read_condition(place), compute=False))
    _kill_compute(place)


def lose(state_dir: Path, host: str) -> None:
    """Cut the host's power: no nova-compute, no guest, a silent network agent, until it is started.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: its nova-compute did not end.

    """
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
    lose(state_dir, host)
    start(state_dir, host)


def start(state_dir: Path, host: str) -> None:
    """Give the host power, its network agent and its nova-compute; return when the process runs.

    Raises:
        UnknownHostError: the lab has no such host.
        FailedError: the launcher did not start it.

    """
    place = _place(state_dir, host)
    write_condition(place, Condition())
    if not _until(lambda: compute_process(place) is not None, START_SECONDS):
        raise FailedError(
            f"nova-compute of host {host} was not started within {START_SECONDS:.0f} s",
            hint="is the lab up? `nodeops lab up` mends it",
        )


def silence_agent(state_dir: Path, host: str) -> None:
    """Make the host's network agent stop reporting and wiring, while the host runs on.

    Raises:
        UnknownHostError: the lab has no such host.

    """
    place = _place(state_dir, host)
    write_condition(place, replace(read_condition(place), agent=False))


def end_computes(state_dir: Path) -> None:
    """End every nova-compute that runs, whoever started it; nothing is remembered as stopped.

    Call it after the launcher has ended, or it starts them again.
    """
    for name in host_names(state_dir):
        _kill_compute(HostPlace(state_dir, name))


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
