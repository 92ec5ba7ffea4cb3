"""The README's promises on a populated host: what the dry run says comes true, and it writes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.lab.api_calls import writes
from tests.lab.bed import Bed, Result

EVERY_CLASS = {"suspended", "rescued", "error", "verify-resize", "locked", "affinity", "too-large"}
"""Refusals that a populated host must show."""


def fill(bed: Bed) -> None:
    done = bed.lab("populate", "c01", "--snapshot-time", "30s")
    assert done.code == 0, done.err


@pytest.fixture(scope="module")
def filled(lab_bed: Bed) -> None:
    """A populated host for a test that only looks at it, and then one that drains it."""
    lab_bed.whole()
    fill(lab_bed)


@pytest.fixture
def populated(lab_bed: Bed, filled: None, tmp_path: Path) -> Bed:
    return replace(lab_bed, state=tmp_path)


def test_a_dry_run_names_every_server_and_sends_not_one_write(populated: Bed) -> None:
    with populated.listening() as calls:
        dry = populated.run("drain", "c01", "--dry-run", "-o", "json")
    assert writes(calls) == []
    assert dry.json["run"] is None
    assert set(populated.servers("c01")) <= {server["name"] for server in dry.json["servers"]}
    classes = {part for server in dry.json["servers"] for part in (server["class"] or "").split(",")}
    assert classes >= EVERY_CLASS
    for server in dry.json["servers"]:
        assert server["verdict"] == "MOVED" or server["reason"], server


def test_what_the_dry_run_says_comes_true(populated: Bed) -> None:
    dry = populated.run("drain", "c01", "--dry-run", "--leave-refused", "-o", "json")
    run = populated.run("drain", "c01", "--leave-refused", "--yes", "-o", "json")
    assert disagreements(dry, run) == {}
    left = {server["name"] for server in run.json["servers"] if server["verdict"] == "LEFT"}
    assert run.code == (11 if left else 0), run.err
    assert set(populated.servers("c01")) <= left


def test_with_more_risk_allowed_it_comes_true_as_well(bed: Bed) -> None:
    fill(bed)
    before = bed.servers()
    options = ("--risk", "force", "--leave-refused", "-o", "json")
    dry = bed.run("drain", "c01", "--dry-run", *options)
    run = bed.run("drain", "c01", "--yes", *options)
    assert disagreements(dry, run) == {}
    after = bed.servers()
    for server in run.json["servers"]:
        name = server["name"]
        if server["verdict"] == "MOVED" and before[name]["status"] in {"SUSPENDED", "RESCUE", "PAUSED"}:
            assert after[name]["status"] == before[name]["status"], name


def disagreements(dry: Result, run: Result) -> Mapping[str, tuple[str, str]]:
    """Return the servers of which the two said different things."""
    said, done = dry.verdicts(), run.verdicts()
    assert said.keys() == done.keys()
    return {name: (said[name], done[name]) for name in said if said[name] != done[name]}
