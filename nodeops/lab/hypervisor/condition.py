"""Whether a simulated host has power, and whether its nova-compute and network agent are meant to run."""

from dataclasses import asdict, dataclass

from nodeops.lab.hypervisor.places import HostPlace, read_json, write_json


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wanted of a host; the launcher and the network agent read it, the `lab` commands write it."""

    power: bool = True
    """False: lost. No guest runs, nothing answers, nothing can be copied there."""
    compute: bool = True
    """False: nova-compute was stopped on purpose and stays so until it is started."""
    agent: bool = True
    """False: the network agent is silent although the host runs."""

    @property
    def runs_compute(self) -> bool:
        return self.power and self.compute

    @property
    def runs_agent(self) -> bool:
        return self.power and self.agent


def read_condition(place: HostPlace) -> Condition:
    """Return the host's condition; a host nobody touched has power and runs everything."""
    return Condition(**(read_json(place.condition) or {}))


def write_condition(place: HostPlace, condition: Condition) -> None:
    write_json(place.condition, asdict(condition))
