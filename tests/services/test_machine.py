"""A host as a machine over a real sshd."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeops.clients.machine import SshMachine
from nodeops.errors import ApiError
from nodeops.inventory.variables import ServiceManager
from nodeops.model.machine import Service, ServiceState
from tests.services.sshd import Server, running

pytestmark = pytest.mark.services
HOST = "c01"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def machine(server: Server) -> Iterator[SshMachine]:
    found = SshMachine(lambda _host: server.shell(), lambda _host: None)
    yield found
    found.close()


def test_a_boot_and_a_condition_are_read_over_one_connection(machine: SshMachine) -> None:
    boot = machine.boot(HOST)
    assert boot.id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    condition = machine.condition(HOST)
    assert (condition.host, condition.boot) == (HOST, boot)
    assert condition.root is not None
    assert condition.root.total_mb > 0
    assert abs(condition.clock_offset) <= condition.clock_slack + 1.0


def test_a_connection_that_ended_is_made_anew(machine: SshMachine) -> None:
    first = machine.boot(HOST)
    for shell in machine._open.values():
        shell.close()
    assert machine.boot(HOST) == first


def test_a_change_that_the_host_refuses_is_a_refusal(machine: SshMachine) -> None:
    service = Service("nova_compute", ServiceManager.PODMAN, ServiceState.RUNNING)
    with pytest.raises(ApiError, match=r"^c01: nova_compute could not be killed: ") as raised:
        machine.kill(HOST, service)
    assert raised.value.status == 400
