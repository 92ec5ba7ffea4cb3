"""The lab itself: mended after its processes died, taken down to the last one, made anew after a kill -9."""

import fcntl
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from nodeops.lab.layout import lab_cloud_config, read_layout
from nodeops.lab.processes import recorded, strays
from tests.lab.bed import NODEOPS, Bed


def kill_all(root: Path) -> None:
    for pid in strays(root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def mended(bed: Bed) -> bool:
    done = bed.lab("up")
    assert done.code == 0, done.err
    return bed.lab("status").code == 0


def live_migrates(bed: Bed, name: str, target: str) -> bool:
    """Tell whether all of the control plane, both computes, the agents and the network work together."""
    bed.act(name, {"os-migrateLive": {"host": target, "block_migration": "auto"}})
    arrived = {"status": "ACTIVE", "OS-EXT-STS:task_state": None, "OS-EXT-SRV-ATTR:host": target}
    return bed.comes(lambda: arrived.items() <= bed.servers()[name].items())


@pytest.mark.parametrize(
    "names",
    [("mariadb", "computes", "api-proxy"), ("rabbitmq", "network-agents", "epmd")],
    ids="+".join,
)
def test_dead_processes_are_started_again(bed: Bed, names: tuple[str, ...]) -> None:
    for name in names:
        held = json.loads((bed.layout.run / f"{name}.json").read_text())
        os.killpg(held["pid"], signal.SIGKILL)
    bed.until(lambda: bed.lab("status").code == 1, 10)
    assert mended(bed)


def test_a_lab_whose_every_process_was_killed_is_mended(bed: Bed) -> None:
    (server,) = bed.boot("c01", 1)
    kill_all(bed.root)
    assert bed.lab("status").code == 1
    assert mended(bed)
    assert live_migrates(bed, server, "c02")


def test_down_leaves_no_process_even_when_their_records_are_lost_and_up_brings_it_back(bed: Bed) -> None:
    (server,) = bed.boot("c01", 1)
    for path in bed.layout.run.glob("*.json"):
        path.unlink()
    assert strays(bed.root)
    assert bed.lab("down").code == 0
    assert strays(bed.root) == []
    assert recorded(bed.layout) == []
    again = bed.lab("down")
    assert (again.code, again.out, again.err) == (0, "", "")
    done = bed.lab("up")
    assert done.code == 0, done.err
    assert live_migrates(bed, server, "c02")


def test_two_commands_on_one_lab_do_not_meet(bed: Bed) -> None:
    with (bed.root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["up"], ["down"], ["destroy", "--yes"]):
            done = bed.lab(*command)
            assert (done.code, "is being worked on" in done.err) == (7, True), done.err
    assert bed.lab("status").code == 0


def test_a_first_up_that_was_killed_is_completed_beside_another_lab(
    lab_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / "second"
    where = ["--name", "second", "--lab-dir", str(root)]
    up = [NODEOPS, "lab", "up", *where, "--hosts", "1"]
    for word in ("installing the OpenStack", "database of", "starting the OpenStack"):
        _killed_at(up, word)
    try:
        subprocess.run(up, check=True, timeout=600)
        subprocess.run([NODEOPS, "lab", "status", *where], check=True, timeout=60)
        layout = read_layout(root)
        assert abs(layout.base_port - read_layout(lab_root).base_port) >= 32
        assert lab_cloud_config("second-member") is not None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        seen = subprocess.run(
            [NODEOPS, "--os-cloud", "second", "status", "-o", "json"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert [host["name"] for host in json.loads(seen.stdout)["hosts"]] == ["c01"]
    finally:
        subprocess.run([NODEOPS, "lab", "destroy", "--yes", *where], check=True, timeout=120)
    assert not root.exists()
    assert strays(root) == []
    assert lab_cloud_config("second") is None


def _killed_at(command: list[str], word: str) -> None:
    """Run the command until it says that it is at this step, then kill -9."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if word in line:
                process.kill()
                break
        else:
            pytest.fail(f"it never came to {word!r}")
