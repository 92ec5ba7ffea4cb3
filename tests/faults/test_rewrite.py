"""A failover by the database and its undo, killed and cut off at every call: one of two consistent ends."""

import copy
import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest

from nodeops.model import undo_file
from nodeops.plan import Level, Verdict
from tests.fake_world import FaultKind
from tests.faults.rewrite_scenario import AFTERWARDS, SHORT, STILL, Trial, dead_host, picture

ONCE = {"rewrite_server", "set_allocation", "reboot_hard"}
"""Each takes effect once for a server, whatever happens."""
CRASHES = [FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER]
LOSSES = [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.UNAVAILABLE]


def trial_in(tmp_path: Path, number: int) -> Trial:
    directory = tmp_path / str(number)
    directory.mkdir()
    return Trial(directory, dead_host(*SHORT))


def assert_rewritten(trial: Trial, words: str) -> None:
    verdicts = {each.name.removeprefix("name-of-"): each.verdict for each in trial.servers}
    assert set(verdicts.values()) == {Verdict.MOVED}, (words, [(r.name, r.reason) for r in trial.servers])
    assert verdicts.keys() == trial.nova.servers.keys(), words
    wanted = {each: AFTERWARDS[each] for each in trial.nova.servers}
    assert {each.id: each.status for each in trial.nova.servers.values()} == wanted, words
    assert {each.host for each in trial.nova.servers.values()} == {"c02"}, words
    assert not [each.words for each in trial.findings if each.level is Level.ERROR], words
    times = Counter(each for each in trial.nova.arrived if each[0] in ONCE)
    assert set(times.values()) == {1}, (words, times)
    tombstones = [(each.server_id, each.status) for each in trial.nova.migrations]
    assert sorted(tombstones) == sorted((each, "done") for each in wanted), words


def test_without_a_fault(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    assert not trial.rewrite()
    assert trial.crashes == 0
    assert_rewritten(trial, "no fault")
    assert trial.wrong() == []
    assert "undo-file" in {each.code for each in trial.findings}


@pytest.mark.parametrize("kind", [*CRASHES, *LOSSES])
def test_killed_or_cut_off_at_every_call_and_gone_on_with(tmp_path: Path, kind: FaultKind) -> None:
    for number in itertools.count(1):
        trial = trial_in(tmp_path, number)
        fired = trial.rewrite(number, kind)
        assert_rewritten(trial, f"{kind} at call {number}")
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 50


@pytest.mark.parametrize("kind", CRASHES)
def test_killed_at_every_call_and_taken_back(tmp_path: Path, kind: FaultKind) -> None:
    """Whoever has not run on the target is as before; the others are there, whole."""
    before = picture(dead_host(*SHORT))
    for number in itertools.count(1):
        trial = trial_in(tmp_path, number)
        fired = trial.rewrite(number, kind, once=True)
        if trial.plan is None or not trial.plan.steps or not list((trial.directory / "undo").glob("*.json")):
            shutil.rmtree(trial.directory)
            continue
        trial.undo()
        words = f"{kind} at call {number}"
        assert trial.wrong() == [], words
        now = picture(trial.nova)
        for server_id, was in before.items():
            if trial.nova.servers[server_id].host == "c01":
                assert now[server_id] == was, (words, server_id)
            else:
                assert server_id not in STILL, words
                refused = {each.id for each in trial.plan.servers if each.refused}
                assert server_id in refused, words
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 50


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """Killed just before the first reboot: everything is rewritten, and nothing runs yet."""
    directory = tmp_path_factory.mktemp("half")
    counted = Trial(directory / "counted", dead_host(*SHORT))
    counted.directory.mkdir()
    world = counted.world()
    counted.part(world)
    first = next(call.number for call in world.calls if call.name == "reboot_hard")
    trial = Trial(directory / "killed", dead_host(*SHORT))
    trial.directory.mkdir()
    assert trial.rewrite(first, once=True)
    assert trial.nova.events == []
    return trial


def copy_of(half: Trial, directory: Path) -> Trial:
    shutil.copytree(half.directory, directory)
    return Trial(directory, copy.deepcopy(half.nova))


@pytest.mark.parametrize("kind", [*CRASHES, *LOSSES])
def test_undo_killed_or_cut_off_at_every_call(tmp_path: Path, kind: FaultKind, half: Trial) -> None:
    before = picture(dead_host(*SHORT))
    for number in itertools.count(1):
        trial = copy_of(half, tmp_path / str(number))
        fired = trial.undo(number, kind)
        words = f"{kind} at call {number} of the undo"
        assert picture(trial.nova) == before, (words, [(r.name, r.reason) for r in trial.servers])
        assert trial.wrong() == [], words
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 25


def test_taken_back_and_done_again(tmp_path: Path, half: Trial) -> None:
    """The second rewrite is a new one: another tombstone, and the undo file of its own."""
    trial = copy_of(half, tmp_path / "copy")
    trial.undo()
    assert trial.rewrite() is False
    assert {each.verdict for each in trial.servers} == {Verdict.MOVED}
    for name in SHORT:
        statuses = [each.status for each in trial.nova.migrations if each.server_id == name]
        assert statuses == ["failed", "done"]
    assert len(list((trial.directory / "undo").glob("*.json"))) == 2


def test_the_undo_file_keeps_what_was_first(tmp_path: Path, half: Trial) -> None:
    trial = copy_of(half, tmp_path / "copy")
    trial.nova.clock.sleep(20)
    trial.rewrite()
    (path,) = (trial.directory / "undo").glob("*.json")
    content = undo_file.read(path)
    assert content is not None
    assert {each.tables["instances"][0]["host"] for each in content.servers.values()} == {"c01"}
    assert path.stat().st_mode & 0o777 == 0o600
