"""`nodeops lab fault` through the program's entry, on a lab that only exists as a directory."""

import json
from pathlib import Path
from typing import Any

import pytest

from nodeops.cli.main import run
from nodeops.lab.api_faults import ApiFault, Kind, Service, list_faults
from nodeops.lab.hypervisor.behaviour import Behaviour, Operation
from nodeops.lab.hypervisor_faults import list_rules

LAB = {"name": "nodeops-lab", "base_port": 20000, "password": "x"}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "lab.json").write_text(json.dumps({**LAB, "root": str(tmp_path)}))
    return tmp_path


def fault(lab: Path, *words: str) -> int:
    return run(["lab", "fault", *words, "--lab-dir", str(lab)])


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_api_faults_are_armed_as_said(lab: Path) -> None:
    assert fault(lab, "api", "latency", "2s", "--service", "compute") == 0
    assert fault(lab, "api", "status", "409", "--action", "os-migrateLive", "--times", "2") == 0
    assert fault(lab, "api", "drop-after", "--method", "Write", "--nth", "4", "--client", "nodeops") == 0
    assert fault(lab, "api", "hang", "--method", "get", "--path", "servers/*") == 0
    assert list_faults(lab) == [
        ApiFault(Kind.LATENCY, 1, service=Service.COMPUTE, seconds=2.0),
        ApiFault(Kind.STATUS, 2, action="os-migrateLive", status=409, times=2),
        ApiFault(Kind.DROP_AFTER, 3, method="write", nth=4, client="nodeops"),
        ApiFault(Kind.HANG, 4, method="GET", path="servers/*"),
    ]


def test_host_rules_are_set_as_said(lab: Path) -> None:
    assert fault(lab, "host", "fail-copy", "--server", "web-1", "--at", "0.9", "--times", "1") == 0
    assert fault(lab, "host", "slow", "--operation", "cold-migration", "--factor", "10") == 0
    one, two = list_rules(lab)
    assert (one.behaviour, one.server, one.at, one.times) == (Behaviour.FAIL_COPY, "web-1", 0.9, 1)
    assert (two.behaviour, two.operation, two.factor) == (Behaviour.SLOW, Operation.COLD_MIGRATION, 10.0)


def test_list_shows_both_sides(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault(lab, "api", "status", "503", "--probability", "0.1")
    fault(lab, "host", "never-converge", "--source", "c01")
    capsys.readouterr()
    assert fault(lab, "list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "api-1     status          status=503  probability=0.1  struck=0",
        "host-1    never-converge  source=c01",
    ]
    assert fault(lab, "list", "-o", "json") == 0
    assert [(held["id"], held.get("status")) for held in told(capsys)["faults"]] == [
        ("api-1", 503),
        ("host-1", None),
    ]


def test_clear_some_or_all(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("api", "hang"), ("api", "drop-before"), ("host", "split")):
        fault(lab, *words)
    capsys.readouterr()
    assert fault(lab, "clear", "api-1", "host-1", "-o", "json") == 0
    assert told(capsys) == {"cleared": ["api-1", "host-1"]}
    assert [held.fault_id for held in list_faults(lab)] == [2]
    assert list_rules(lab) == []
    assert fault(lab, "clear") == 0
    assert list_faults(lab) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("api", "status", "200"), "'200' is no error status"),
        (("api", "latency", "2"), "latency: '2' is no duration"),
        (("api", "drop-after", "2s"), "drop-after takes no value, and '2s' was given"),
        (("clear", "api-9"), "no fault api-9 is set"),
    ],
)
def test_what_cannot_be_is_said(
    lab: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert fault(lab, *words) == 2
    assert message in capsys.readouterr().err


def test_without_a_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fault(tmp_path, "list") == 4
    assert "does not exist" in capsys.readouterr().err
