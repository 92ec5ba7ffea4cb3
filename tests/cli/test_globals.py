"""Global options may stand anywhere on the line."""

import pytest

from nodeops.cli.globals import separate
from nodeops.errors import UsageError


def test_the_cloud_is_taken_out_wherever_it_stands() -> None:
    rest, cloud = separate(
        ["drain", "c01", "--os-cloud", "prod", "--yes", "--os-region-name=two", "--insecure"]
    )
    assert rest == ["drain", "c01", "--yes"]
    assert cloud == {"cloud": "prod", "region_name": "two", "verify": False}


def test_other_global_options_come_to_the_front() -> None:
    rest, _ = separate(["status", "-v", "--journal", "sqlite:////tmp/j", "c01", "--color=never"])
    assert rest == ["-v", "--journal", "sqlite:////tmp/j", "--color", "never", "status", "c01"]


def test_what_follows_two_dashes_is_left_alone() -> None:
    rest, cloud = separate(["drain", "--", "--os-cloud"])
    assert (rest, cloud) == (["drain", "--", "--os-cloud"], {})


@pytest.mark.parametrize("words", [["--os-clod", "x"], ["status", "--os-cloud"], ["--journal"]])
def test_a_wrong_or_empty_option_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(UsageError):
        separate(words)
