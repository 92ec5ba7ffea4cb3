"""The program's entry, in this process and as the installed command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodeops.cli import main
from nodeops.cli.exit_codes import error_classes
from nodeops.errors import InterruptedRunError, NodeopsError

NODEOPS = Path(sys.executable).parent / "nodeops"


def nodeops(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The installed command, without a terminal and without the cloud of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "NODEOPS_"))}
    return subprocess.run(
        [NODEOPS, *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=kept | variables,
    )


def test_help_names_every_family() -> None:
    done = nodeops("--help")
    assert done.returncode == 0
    for word in ("drain", "undrain", "plan", "apply", "runs", "show", "resume", "status", "doctor"):
        assert f"\n  {word} " in done.stdout


def test_no_command_shows_the_help_and_is_a_usage_error() -> None:
    done = nodeops()
    assert done.returncode == 2
    assert "Usage: nodeops" in done.stdout


def test_version() -> None:
    done = nodeops("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("nodeops ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["drian", "c01"], "no such command 'drian'. Did you mean 'drain'"),
        (["drain"], "missing argument 'HOST'"),
        (["drain", "c01", "c02"], "drain takes one host, 2 were given: c01, c02"),
        (["drain", "c01", "--paralel", "2"], "no such option: --paralel"),
        (["drain", "c01", "--parallel", "0"], "0 is not in the range"),
        (["drain", "c01", "--parallel", "two"], "'two' is not a valid"),
        (["drain", "c01", "--window", "90"], "--window: '90' is no duration"),
        (["drain", "c01", "--rate", "fast"], "--rate: 'fast' is no rate"),
        (["drain", "c01", "--allow", "local-disc"], "--allow local-disc: no such refusal class"),
        (["drain", "c01", "--to", "c02", "--scheduler"], "--to and --scheduler exclude each other"),
        (["drain", "c01", "--to", "c01"], "--to c01 is the host itself"),
        (["drain", "c01", "--on-stuck", "pray"], "'pray' is not one of"),
        (["drain", "c01", "--os-clod", "x"], "no such option --os-clod"),
    ],
)
def test_usage_errors_are_words_with_a_hint(words: list[str], expected: str) -> None:
    done = nodeops(*words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    first, *others = done.stderr.splitlines()
    assert first.startswith("nodeops: ")
    assert expected in first
    assert not first.endswith(".")
    assert any(line.startswith("hint: ") for line in others)
    assert "Traceback" not in done.stderr


def test_errors_are_json_when_json_is_asked_for() -> None:
    done = nodeops("drain", "c01", "--window", "x", "-o", "json")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode == 2
    assert document["error"]["code"] == "usage"
    assert document["error"]["hint"]


def test_a_bug_is_told_in_words_and_its_traceback_is_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = main.tell_bug(RuntimeError("token gAAAAAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
    shown = capsys.readouterr().err
    assert code == 1
    assert "a bug in nodeops: RuntimeError" in shown
    (written,) = (tmp_path / "nodeops").iterdir()
    assert str(written) in shown
    assert "gAAAAAx" not in written.read_text()
    assert written.stat().st_mode & 0o077 == 0


def test_a_signal_outside_a_run_changes_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    error = InterruptedRunError("ended by SIGINT", signal_number=2)
    assert main.tell(error, ["drain", "c01"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "nothing was changed"


@pytest.mark.parametrize("kind", error_classes())
def test_every_error_has_a_code_in_a_known_band_and_a_meaning(kind: type[NodeopsError]) -> None:
    assert kind.exit_code in {*range(2, 14), *range(20, 40)}
    assert kind.code != "bug"
    assert kind.__doc__


def test_codes_for_programs_are_given_once() -> None:
    codes = [kind.code for kind in error_classes()]
    assert len(codes) == len(set(codes))


def test_exit_codes_are_shared_only_by_kinds_of_one_error() -> None:
    """Two classes with one exit code are kin, so that the code has one meaning."""
    for kind in error_classes():
        for other in error_classes():
            if kind.exit_code == other.exit_code:
                assert issubclass(kind, other) or issubclass(other, kind) or kind.__base__ is other.__base__


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nodeops dr", {"drain"}),
        ("nodeops drain c01 --allow lo", {"local-disk", "locked"}),
        ("nodeops drain c01 --on-stuck f", {"force-complete"}),
        ("nodeops drain c0", set()),
    ],
)
def test_completion_offers_what_is_known_and_is_silent_about_the_rest(line: str, expected: set[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = nodeops(_NODEOPS_COMPLETE="complete_bash", HOME="/nonexistent", **words)
    assert set(done.stdout.split()) == expected
    assert done.stderr == ""
