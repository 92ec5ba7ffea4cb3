"""How the launcher treats hosts that keep dying."""

from nodeops.lab.hypervisor.launch import LONGEST_DELAY_SECONDS, Respite


def test_a_host_that_keeps_dying_waits_longer_each_time() -> None:
    respite, delays = Respite(), []
    for second in range(8):
        respite.started(float(second))
        delays.append(respite.not_before - second)
    assert delays[:3] == [3.0, 6.0, 12.0]
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_a_host_that_is_started_on_purpose_does_not_wait() -> None:
    respite = Respite()
    respite.started(100.0)
    respite.asked_for()
    assert respite.not_before == 0.0
