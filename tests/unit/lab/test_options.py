"""What is chosen about a lab is kept for the next `lab up`."""

from pathlib import Path

import pytest

from nodeops.errors import ConfigurationError, UsageError
from nodeops.lab.layout import Layout
from nodeops.lab.options import LabOptions, choose, read_options


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "east", 20_000, "secret")


def test_without_a_choice_it_is_the_defaults(layout: Layout) -> None:
    assert choose(layout, hosts=None, storage=None) == LabOptions(6, 1, "shared", 512.0)


def test_choices_are_kept_and_changed_one_by_one(layout: Layout) -> None:
    choose(layout, hosts=3, storage="local")
    assert choose(layout, concurrent_migrations=4) == LabOptions(3, 4, "local", 512.0)
    assert read_options(layout) == LabOptions(3, 4, "local", 512.0)


def test_a_lab_grows_but_does_not_shrink(layout: Layout) -> None:
    choose(layout, hosts=3)
    assert choose(layout, hosts=5).hosts == 5
    with pytest.raises(UsageError, match="has 5 hosts and cannot lose any"):
        choose(layout, hosts=4)
    assert read_options(layout).hosts == 5


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"hosts": 0}, "--hosts 0"),
        ({"hosts": 201}, "--hosts 201"),
        ({"storage": "ceph"}, "--storage ceph"),
        ({"concurrent_migrations": 0}, "--concurrent-migrations"),
        ({"migration_rate": 0.0}, "--migration-rate"),
    ],
)
def test_values_out_of_range_are_refused_and_not_kept(
    layout: Layout, chosen: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        choose(layout, **chosen)
    assert read_options(layout) == LabOptions()


def test_a_broken_file_is_said(layout: Layout) -> None:
    (layout.root / "options.json").write_text('{"hosts": 3, "colour": "blue"}')
    with pytest.raises(ConfigurationError, match=r"options\.json cannot be read"):
        read_options(layout)


def test_host_names_sort_as_they_count() -> None:
    assert LabOptions(hosts=2).host_names == ["c01", "c02"]
    many = LabOptions(hosts=120).host_names
    assert many == sorted(many)
    assert (many[0], many[-1]) == ("c001", "c120")
