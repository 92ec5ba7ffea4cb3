"""Fail the n-th call or journal write, for every n, then go on: the same end, nothing sent twice."""

import itertools
import shutil
from pathlib import Path

import pytest

from tests.fake_world import FaultKind
from tests.faults.scenario import DRAINED, ONCE, Trial, state_of


def trials(tmp_path: Path, number: int) -> Trial:
    directory = tmp_path / str(number)
    directory.mkdir()
    return Trial(directory)


def test_without_a_fault(tmp_path: Path) -> None:
    trial = trials(tmp_path, 0)
    assert not trial.drain()
    assert state_of(trial.nova) == DRAINED
    assert sorted(trial.nova.arrived) == ONCE


@pytest.mark.parametrize("pause", [0.1, 5.0, 120.0], ids=lambda pause: f"resumed-after-{pause}s")
@pytest.mark.parametrize("kind", [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER])
def test_killed_at_every_call(tmp_path: Path, kind: FaultKind, pause: float) -> None:
    for number in itertools.count(1):
        trial = trials(tmp_path, number)
        fired = trial.drain(call=number, kind=kind, pause=pause)
        assert state_of(trial.nova) == DRAINED, f"killed {kind} at call {number}"
        assert sorted(trial.nova.arrived) == ONCE, f"killed {kind} at call {number}"
        shutil.rmtree(trial.directory)
        if not fired:
            break
        assert trial.crashes == 1
    assert number > 30


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.UNAVAILABLE])
def test_connection_lost_at_every_call(tmp_path: Path, kind: FaultKind) -> None:
    for number in itertools.count(1):
        trial = trials(tmp_path, number)
        fired = trial.drain(call=number, kind=kind)
        assert state_of(trial.nova) == DRAINED, f"{kind} at call {number}"
        assert sorted(trial.nova.arrived) == ONCE, f"{kind} at call {number}"
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 30


def test_killed_before_every_write_to_the_journal(tmp_path: Path) -> None:
    for number in itertools.count(1):
        trial = trials(tmp_path, number)
        fired = trial.drain(commit=number)
        assert state_of(trial.nova) == DRAINED, f"killed at commit {number}"
        assert sorted(trial.nova.arrived) == ONCE, f"killed at commit {number}"
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 20
