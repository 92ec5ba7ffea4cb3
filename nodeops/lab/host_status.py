"""How a host of the lab is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host as it is on this machine."""

    host: str
    power: bool
    agent: bool
    compute_wanted: bool
    compute_pid: int | None
    guests: int
