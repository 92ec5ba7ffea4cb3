"""What virsh prints, as domains."""

from nodeops.clients.domains import parse
from nodeops.model.facts import PowerState

NAMES = """\
5d5b8f7e-0000-4000-8000-000000000001 instance-00000001
5d5b8f7e-0000-4000-8000-000000000002 instance-00000002
5d5b8f7e-0000-4000-8000-000000000003 a name of its own
5d5b8f7e-0000-4000-8000-000000000004 instance-00000004

"""
STATES = """\
Domain: 'instance-00000001'
  state.state=1
  state.reason=1

Domain: 'instance-00000002'
  state.state=3
  state.reason=5

Domain: 'a name of its own'
  state.state=5
  state.reason=0

"""


def test_states_and_reasons_are_nova_s() -> None:
    found = parse(NAMES, STATES)
    assert [(each.name, each.power_state, each.reason) for each in found] == [
        ("instance-00000001", PowerState.RUNNING, ""),
        ("instance-00000002", PowerState.PAUSED, "I/O error"),
        ("a name of its own", PowerState.SHUTDOWN, ""),
    ]
    assert found[0].server_id.endswith("1")


def test_a_host_without_guests() -> None:
    assert parse("\n", "") == ()
