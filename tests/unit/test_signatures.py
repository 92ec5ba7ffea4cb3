"""Known lines are known in every release that nodeops works with, and mean what they are held to mean."""

import re
import time
from pathlib import Path

import pytest

from nodeops.cli.app import Root
from nodeops.signatures import SIGNATURES, Rank, explain

LINES = Path(__file__).with_name("signature_lines")
"""What services of a release write, with the name of the signature before it; `-` is unknown on purpose.

Wording and format are those of the release's own LOG calls and exceptions.
"""
CASES = [
    pytest.param(*line.split("\t", 1), id=f"{file.stem}-{number}")
    for file in sorted(LINES.glob("*.log"))
    for number, line in enumerate(file.read_text().splitlines(), start=1)
]
OTHER_PROGRAMS = frozenset({"openstack"})
MOST_SECONDS = 0.2


def test_there_are_lines_of_at_least_three_releases() -> None:
    assert {file.stem for file in LINES.glob("*.log")} >= {"zed", "2024.1", "2026.2"}


@pytest.mark.parametrize(("name", "line"), CASES)
def test_a_line_is_known_by_its_name(name: str, line: str) -> None:
    found = explain(line)
    assert (found.name if found else "-") == name


@pytest.mark.parametrize(("name", "line"), CASES)
def test_nothing_stays_unfilled(name: str, line: str) -> None:
    found = explain(line)
    if name == "-" or found is None:
        return
    assert "{" not in found.meaning + found.next_command


def test_what_a_line_names_stands_in_its_meaning() -> None:
    found = explain("Live Migration failure: unable to connect to server at 'c02:16509': Connection refused")
    assert found is not None
    assert found.meaning.startswith(
        "the target does not take the connection at c02:16509: Connection refused"
    )


def test_a_cause_comes_before_the_failure_that_quotes_it() -> None:
    found = explain(
        "Live Migration failure: Unsafe migration: Migration without shared storage is unsafe: "
        "libvirt.libvirtError"
    )
    assert found is not None
    assert (found.name, found.rank) == ("unsafe-migration", Rank.CAUSE)


def test_a_filter_that_is_not_known_is_named_all_the_same() -> None:
    found = explain("Filter OurOwnFilter returned 0 hosts")
    assert found is not None
    assert found.meaning == "no host is left after the scheduler's OurOwnFilter"


def test_a_sentence_of_the_api_is_known_like_a_line() -> None:
    found = explain("No valid host was found. There are not enough hosts available.")
    assert found is not None
    assert found.rank is Rank.FAILURE


def test_what_is_not_known_is_nothing() -> None:
    assert explain("Deleted allocation for instance") is None
    assert explain("") is None


def test_every_next_command_is_one_that_there_is() -> None:
    ours = {entry.name for entry in Root.entries}
    for each in SIGNATURES:
        program, command = each.next_command.split()[:2]
        assert program in OTHER_PROGRAMS or (program == "nodeops" and command in ours), each.next_command


def test_names_in_words_are_groups_of_the_pattern() -> None:
    for each in SIGNATURES:
        named = set(re.findall(r"\{(\w+)\}", each.meaning + each.next_command))
        assert named <= set(each.pattern.groupindex), each.name


def test_a_long_word_does_not_make_a_pattern_slow() -> None:
    line = "x" * 20_000
    for each in SIGNATURES:
        begun = time.process_time()
        each.pattern.search(line)
        assert time.process_time() - begun < MOST_SECONDS, each.name
