"""Whatever an inventory holds, it is read or refused in words that name the file."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodeops.errors import ConfigurationError
from nodeops.inventory import Inventory, ini, parse

PIECES = st.sampled_from(
    [
        "[a]",
        "[a:vars]",
        "[a:children]",
        "[all]",
        "c[01:03]",
        "c[a:",
        "[1:0]",
        "x=",
        "='",
        '"',
        "{",
        "}",
        "(",
        "#",
        "\\",
        "\n",
        "\n",
        " ",
        "a",
        "nodeops_storage=shared",
        "nodeops_migration_rate=1G",
        "ansible_port=22",
        "\u2028",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))


def read(content: bytes) -> Inventory | ConfigurationError:
    try:
        return parse(content, "inv.ini")
    except ConfigurationError as error:
        return error


@settings(deadline=None)
@given(TEXTS)
@example("h x=" + "[" * 3000 + "\n")
@example("h x=" + "9" * 5000 + "\n")
@example("h[0:99999999]\n")
@example("h[0:9999][0:9999]\n")
@example("h" + "[1:1]" * 3000 + "\n")
@example("".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(1100)) + "[g1100]\nh\n")
@example("h \x00=1\n")
def test_any_text(text: str) -> None:
    ended = read(text.encode("utf-8", "surrogatepass"))
    if isinstance(ended, Inventory):
        assert set(ended.groups["all"]) == set(ended.places)
    else:
        assert "inventory inv.ini" in ended.message
        assert "\n" not in ended.message


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    ended = read(content)
    assert isinstance(ended, Inventory) or "inventory inv.ini" in ended.message


@settings(deadline=None)
@given(TEXTS)
def test_every_host_is_in_all_and_in_a_second_group(text: str) -> None:
    try:
        document = ini.parse(text.splitlines(), "inv.ini")
    except ConfigurationError:
        return
    for host in document.hosts:
        names = {group.name for group in document.groups_of(host)}
        assert "all" in names
        assert len(names) > 1
