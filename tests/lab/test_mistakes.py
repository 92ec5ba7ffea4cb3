"""An operator's mistakes and a cloud that forbids: one clear error, the right exit code, nothing changed."""

import json

import pytest

from nodeops.lab.api_calls import writes
from tests.lab.bed import Bed


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("drain", "c1"), 2, "c01"),
        (("drain", "C01"), 2, "c01"),
        (("drain", "c01", "c02"), 2, "one"),
        (("drain", "c01", "--to", "c99"), 2, "c99"),
        (("drain", "c01", "--dry-run", "--window", "ninety"), 2, "ninety"),
        (("drain", "c01", "--dry-run", "--rate", "fast"), 2, "fast"),
        (("drain", "c01", "--allow", "local-dsk"), 2, "local-disk"),
        (("drain", "c01", "--inventory", "nowhere.ini"), 4, "nowhere.ini"),
        (("drain", "c01", "--journal", "sqlite:////proc/journal.db"), 4, "/proc/journal.db"),
        (("apply", "nowhere.json"), 4, "nowhere.json"),
        (("resume", "d-nothing"), 2, "d-nothing"),
        (("show", "d-nothing"), 2, "d-nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_named_and_changes_nothing(
    bed: Bed, arguments: tuple[str, ...], code: int, words: str
) -> None:
    with bed.listening() as calls:
        result = bed.run(*arguments)
    assert result.code == code, result.err
    assert words in result.err
    assert "Traceback" not in result.err
    assert writes(calls) == []


def test_without_a_terminal_and_without_yes_nothing_is_done(bed: Bed) -> None:
    bed.boot("c01", 1)
    with bed.listening() as calls:
        result = bed.run("drain", "c01")
    assert (result.code, writes(calls)) == (3, [])


def test_a_member_is_told_what_is_forbidden(bed: Bed) -> None:
    result = bed.run("drain", "c01", "--yes", cloud=f"{bed.layout.name}-member")
    assert result.code == 24, result.err
    assert "hint:" in result.err


def test_a_wrong_password_is_told(bed: Bed) -> None:
    result = bed.run("drain", "c01", "--yes", "--os-password", "wrong")
    assert result.code == 23, result.err
    assert "wrong" not in result.err.replace("wrong password", "")


def test_no_credentials_at_all(bed: Bed) -> None:
    result = bed.run("status", cloud="no-such-cloud")
    assert result.code in {4, 23}, result.err
    assert "no-such-cloud" in result.err


def test_a_host_whose_nova_compute_is_down_is_not_drained(bed: Bed) -> None:
    bed.boot("c05", 1)
    bed.lab("stop-compute", "c05")
    bed.until(lambda: bed.service("c05")["state"] == "down")
    with bed.listening() as calls:
        result = bed.run("drain", "c05", "--yes")
    assert result.code == 5, result.err
    assert writes(calls) == []


def test_the_last_host_in_service_is_not_drained(bed: Bed) -> None:
    bed.boot("c01", 1)
    for host in ("c02", "c03", "c04", "c05"):
        bed.set_service(host, status="disabled", disabled_reason="test")
    with bed.listening() as calls:
        result = bed.run("drain", "c01", "--yes")
    assert result.code == 5, result.err
    assert writes(calls) == []


def test_an_empty_host_is_only_disabled(bed: Bed) -> None:
    result = bed.run("drain", "c03", "--yes", "-o", "json")
    assert (result.code, result.json["servers"]) == (0, [])
    assert bed.service("c03")["status"] == "disabled"


def test_a_plan_file_edited_by_hand_is_refused(bed: Bed) -> None:
    bed.boot("c01", 1)
    path = bed.state / "plan.json"
    assert bed.run("plan", "drain", "c01", "-o", str(path)).code == 0
    path.write_text(path.read_text().replace('"c01"', '"c02"'))
    with bed.listening() as calls:
        result = bed.run("apply", str(path), "--yes")
    assert result.code == 4, result.err
    assert writes(calls) == []


def test_errors_are_json_when_json_is_asked_for(bed: Bed) -> None:
    result = bed.run("drain", "c1", "-o", "json")
    assert result.code == 2
    error = json.loads(result.out or result.err)["error"]
    assert error["code"] == "unknown-host"
