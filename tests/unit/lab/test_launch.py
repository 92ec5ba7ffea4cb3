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


def test_a_host_that_has_run_for_a_while_starts_at_once_however_often_it_is_rebooted() -> None:
    """Off and on again between two looks of the launcher looks like a death."""
    respite, now = Respite(), 0.0
    for _ in range(6):
        respite.started(now)
        for second in range(10):
            respite.runs(now + second)
        now += 10
        assert respite.not_before <= now


def test_one_that_dies_young_is_not_taken_for_one_that_runs() -> None:
    respite = Respite()
    for second in (0.0, 3.0, 9.0):
        respite.started(second)
        respite.runs(second + 1)
    assert respite.not_before == 9.0 + 12.0
