"""What happens to a simulated host, with a real process standing in for its nova-compute."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops.errors import UnknownHostError
from nodeops.lab import hosts
from nodeops.lab.hypervisor.condition import Condition, read_condition
from nodeops.lab.hypervisor.guests import Guest, GuestState, GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.process import ComputeProcess, compute_process, record_process
from nodeops.lab.hypervisor.settings import HostShape, Settings, write_settings
from nodeops.lab.hypervisor.vifs import Bridge, Vif


@pytest.fixture
def place(tmp_path: Path) -> HostPlace:
    """A host with one running guest that has one VIF."""
    write_settings(tmp_path, Settings(hosts=(HostShape("c01"), HostShape("c02"))))
    place = HostPlace(tmp_path, "c01")
    GuestStore(place.guests).put(Guest("a", "instance-a", GuestState.RUNNING, 1, 512, 1))
    Bridge(place.vifs).plug(Vif("p", "fa:16:3e:00:00:01", "a"))
    return place


@pytest.fixture
def compute(place: HostPlace) -> Iterator[subprocess.Popen[bytes]]:
    """A process recorded as the host's nova-compute."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    record_process(place, process.pid)
    yield process
    process.kill()
    process.wait()


def test_stopping_the_compute_leaves_guests_and_agent(
    place: HostPlace, compute: subprocess.Popen[bytes]
) -> None:
    hosts.stop_compute(place.state_dir, "c01")
    assert compute.wait(5) == -signal.SIGKILL
    assert read_condition(place) == Condition(compute=False)
    assert [guest.state for guest in GuestStore(place.guests).all()] == [GuestState.RUNNING]
    assert set(Bridge(place.vifs).plugged()) == {"p"}


def test_losing_a_host_takes_everything(place: HostPlace, compute: subprocess.Popen[bytes]) -> None:
    hosts.lose(place.state_dir, "c01")
    assert compute.wait(5) == -signal.SIGKILL
    assert not read_condition(place).runs_agent
    assert [guest.state for guest in GuestStore(place.guests).all()] == [GuestState.SHUTDOWN]
    assert Bridge(place.vifs).plugged() == {}


def test_start_finds_the_process(place: HostPlace, compute: subprocess.Popen[bytes]) -> None:
    hosts.silence_agent(place.state_dir, "c01")
    hosts.start(place.state_dir, "c01")
    found = hosts.status(place.state_dir)
    assert [(each.host, each.compute_pid, each.agent, each.guests) for each in found] == [
        ("c01", compute.pid, True, 1),
        ("c02", None, True, 0),
    ]


def test_an_unknown_host_is_named_with_those_known(place: HostPlace) -> None:
    for operation in (hosts.stop_compute, hosts.lose, hosts.reboot, hosts.start, hosts.silence_agent):
        with pytest.raises(UnknownHostError, match="host c1 is not in this lab") as caught:
            operation(place.state_dir, "c1")
        assert caught.value.hint == "its hosts are: c01, c02"


def test_a_later_process_of_the_same_pid_is_another(place: HostPlace) -> None:
    record_process(place, os.getpid())
    mine = compute_process(place)
    assert mine is not None
    assert mine.alive
    another = ComputeProcess(mine.pid, mine.started - 1)
    assert not another.alive
    another.kill()


def test_power_is_on_as_long_as_anything_of_the_host_runs(
    place: HostPlace, compute: subprocess.Popen[bytes]
) -> None:
    hosts.stop_compute(place.state_dir, "c01")
    assert hosts.has_power(place.state_dir, "c01")
    hosts.lose(place.state_dir, "c01")
    assert not hosts.has_power(place.state_dir, "c01")
    GuestStore(place.guests).set_state("a", GuestState.RUNNING)
    assert hosts.has_power(place.state_dir, "c01")
