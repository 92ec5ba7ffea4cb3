"""What each thing in an instances path is, and what of it may be moved aside."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from nodeops.model.facts import Flavor, Server, Storage
from nodeops.model.instance_files import DAY, Domain, Entry, Image, Survey, Use
from nodeops.runbooks.disks import DisksFacts, DisksOptions, Item, plan_clean, same

NOW = 100 * DAY
A, B, C, D = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abcd")
BASE = Entry("_base/one", is_directory=False, inode=90, space=500, newest=NOW - 5 * DAY)


def entry(name: str, inode: int = 1, *, age: float = 2 * DAY) -> Entry:
    return Entry(name, is_directory=True, inode=inode, space=1000, newest=NOW - age)


def use(servers: Mapping[str, int], **more: object) -> Use:
    made = Use("/i", 2, "ext4", "/dev/sda", 10, 5, (), frozenset(), (), servers, NOW)
    return replace(made, **more)  # type: ignore[arg-type]


def server(uuid: str, host: str | None = "c01", **more: object) -> Server:
    made = Server(
        id=uuid,
        name=uuid[:2],
        host=host,
        node=host,
        status="ACTIVE",
        vm_state="active",
        task_state=None,
        power_state=1,
        flavor=Flavor("m1", 1, 512, 1, 0, 0),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def facts(*entries: Entry, servers: tuple[Server, ...] = (), **more: object) -> DisksFacts:
    inodes = {each.name: each.inode for each in entries}
    made = DisksFacts(
        host="c01",
        cloud="cloud",
        survey=Survey(use(inodes), entries, (), ()),
        storage=Storage.UNKNOWN,
        servers={each.id: each for each in servers},
        deleted=frozenset({D}),
        others={"c02": use({"other": 5})},
    )
    return replace(made, **more)  # type: ignore[arg-type]


def items(found: DisksFacts, **options: object) -> dict[str, Item]:
    chosen = DisksOptions(clean=True, **options)  # type: ignore[arg-type]
    return {item.name: item for item in plan_clean(found, chosen)[1]}


def moved(found: DisksFacts, **options: object) -> list[str]:
    chosen = DisksOptions(clean=True, **options)  # type: ignore[arg-type]
    return [step.subject_id for step in plan_clean(found, chosen)[0].steps]


@pytest.mark.parametrize(
    ("name", "servers", "kind"),
    [
        (A, (server(A),), "in-use"),
        (A, (server(A, "c02"),), "moved"),
        (A, (server(A, "c02", task_state="migrating"),), "in-use"),
        (A, (server(A, "c02", status="VERIFY_RESIZE"),), "in-use"),
        (A, (server(A, "c09"),), "in-use"),
        (A, (server(A, None, status="ERROR"),), "in-use"),
        (A, (server(A, None, status="SHELVED_OFFLOADED"),), "moved"),
        (f"{A}_resize", (server(A),), "resize-left"),
        (f"{A}_resize", (server(A, status="VERIFY_RESIZE"),), "in-use"),
        (f"{A}_del", (server(A),), "half-deleted"),
        (f"{D}_del", (), "deleted"),
        (D, (), "deleted"),
        (B, (), "unknown"),
        ("locks", (), "nova"),
        ("notes", (), "foreign"),
    ],
)
def test_classes_of_directories(name: str, servers: tuple[Server, ...], kind: str) -> None:
    assert items(facts(entry(name), servers=servers))[name].kind.name == kind


def test_what_is_moved_aside() -> None:
    found = facts(entry(A, 1), entry(B, 2), entry(D, 3), servers=(server(A, "c02"),))
    assert moved(found) == [A, D]
    assert moved(found, allow=frozenset({"unknown"})) == [A, B, D]
    plan, _ = plan_clean(found, DisksOptions())
    assert plan.steps == (), "without --clean nothing is moved"


def test_nothing_younger_than_a_day() -> None:
    found = facts(entry(D, age=DAY - 1))
    assert moved(found) == []
    assert "less than a day" in items(found)[D].kept


def test_nothing_that_is_in_use_here() -> None:
    found = facts(entry(D))
    for busy in (use({D: 1}, open=frozenset({D})), use({D: 1}, domains=(Domain(D, "shut off", (D,)),))):
        assert moved(replace(found, survey=replace(found.survey, use=busy))) == []


def test_a_shared_path_needs_the_word_of_every_host() -> None:
    shared = facts(entry(D), others={"c02": use({D: 1}), "c03": use({D: 1})})
    assert shared.sharing == {"c02", "c03"}
    assert moved(shared) == [D]
    busy = replace(shared, others={"c02": use({D: 1}), "c03": use({D: 1}, open=frozenset({D}))})
    assert items(busy)[D].kept == "a process has it open on c03"
    unseen = replace(shared, others={"c02": use({D: 1}), "c03": "no answer"})
    assert moved(unseen) == []
    assert "c03" in items(unseen)[D].kept


def test_a_silent_host_matters_unless_the_path_is_known_to_be_local() -> None:
    silent = facts(entry(D), others={"c02": "no answer"})
    assert moved(silent) == []
    assert moved(replace(silent, storage=Storage.SHARED)) == []
    local = replace(silent, storage=Storage.LOCAL)
    assert moved(local) == [D]
    for odd in (use({D: 1}, filesystem="nfs4"), use({D: 1}, users=("c01", "c02"))):
        assert moved(replace(local, survey=replace(local.survey, use=odd))) == []


def test_a_server_of_a_host_that_shares_the_path_is_in_use() -> None:
    found = facts(entry(A), servers=(server(A, "c02"),), others={"c02": use({A: 1})})
    assert items(found)[A].kind.name == "in-use"


def test_same_directory_is_known_by_what_is_in_it() -> None:
    assert same(use({A: 1, B: 2}), use({A: 1}))
    assert not same(use({A: 1}), use({A: 2})), "a copy has its own inode"
    assert not same(use({A: 1}), use({B: 1}))
    assert same(use({}), use({}))
    assert not same(use({}), use({}, size=99))


def with_images(*images: Image, bases: tuple[Entry, ...] = (BASE,)) -> DisksFacts:
    found = facts(entry(A), servers=(server(A),))
    return replace(found, survey=replace(found.survey, images=images, bases=bases))


def test_base_files() -> None:
    used = Image(f"{A}/disk", "qcow2", ("/i/_base/one",), followed=True)
    assert items(with_images(used))[BASE.name].kind.name == "base-used"
    unused = with_images(Image(f"{A}/disk", "qcow2", (), followed=True))
    assert moved(unused) == [BASE.name]
    unread = with_images(used, Image(f"{B}/disk", "", ()), bases=(BASE, replace(BASE, name="_base/two")))
    assert moved(unread) == [], "a chain that cannot be read may end in any base file"
    corrupt = with_images(used, bases=(replace(BASE, trouble="is empty"),))
    assert items(corrupt)[BASE.name].kind.name == "base-corrupt"


def test_broken_chains_and_missing_bases() -> None:
    words = "its backing file /i/_base/gone is missing"
    broken = Image(f"{A}/disk", "qcow2", (), words, "/i/_base/gone")
    found = items(with_images(broken, bases=()))
    assert found["_base/gone"].kind.name == "base-missing"
    assert found[f"{A}/disk"].kind.name == "broken-chain"
    assert found[f"{A}/disk"].kind.serious


def test_servers_without_a_directory() -> None:
    servers = (server(A), server(B, status="BUILD"), server(C, task_state="spawning"), server(D, "c02"))
    found = items(facts(servers=servers))
    assert [name for name, item in found.items() if item.kind.name == "no-directory"] == [A]
