"""Who is saved first."""

from dataclasses import replace

import pytest

from nodeops.runbooks.priority import Priority, rank
from tests.fake_world import small_cloud

SERVER = small_cloud(servers=1).nova.servers["s01"]


@pytest.mark.parametrize(
    "text", ["metadata:tier=gold", "metadata:a=b=c", "flavor:m1.large", "flavor:a:b", "project:0af1"]
)
def test_as_it_was_said(text: str) -> None:
    assert str(Priority.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "gold", "metadata:tier", "metadata:=gold", "metadata:tier=", "flavor:", "host:c01", "project"],
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(ValueError, match=text or "^"):
        Priority.parse(text)


def test_the_first_kind_that_fits_counts() -> None:
    order = [Priority.parse(each) for each in ("project:p1", "metadata:tier=gold", "flavor:m1024")]
    gold = replace(SERVER, metadata={"tier": "gold"})
    assert rank(replace(gold, project_id="p1"), order) == 0
    assert rank(gold, order) == 1
    assert rank(SERVER, order) == 2
    assert rank(replace(SERVER, flavor=replace(SERVER.flavor, name="x")), order) == 3
    assert rank(gold, []) == 0
