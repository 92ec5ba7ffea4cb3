"""`nodeops failover` and `nodeops readmit` on a real OpenStack whose hosts really go away."""

import json
import subprocess

import pytest

from nodeops.lab import hosts
from nodeops.lab.api_calls import calls_since, mark, writes
from tests.lab.bed import Bed, kill
from tests.lab.dead_host import (
    WORD,
    allocation,
    come_back,
    evacuations,
    fail_over,
    guests,
    inventory,
    is_whole,
    lose,
    moves_again,
    stop_compute,
)

ALLOW = ("--allow", "memory-lost,rescue-lost,shelved-there,resize-open")
STATES = {
    "plain-1": "ACTIVE",
    "plain-2": "ACTIVE",
    "plain-3": "ACTIVE",
    "plain-4": "ACTIVE",
    "plain-5": "ACTIVE",
    "paused": "SHUTOFF",
    "shutoff": "SHUTOFF",
    "suspended": "SHUTOFF",
    "rescued": "RESCUE",
    "shelved": "SHUTOFF",
    "error": "ACTIVE",
    "locked": "ACTIVE",
    "uploading": "ACTIVE",
    "boot-volume": "ACTIVE",
    "data-volume": "ACTIVE",
    "pinned": "ACTIVE",
    "soft-affinity-1": "ACTIVE",
    "soft-affinity-2": "ACTIVE",
    "anti-affinity-1": "ACTIVE",
    "soft-anti-affinity-1": "ACTIVE",
    "verify-resize": "ACTIVE",
}
"""What each kind of server ends as."""
REFUSED = {"too-large": "too-large", "affinity-1": "affinity", "affinity-2": "affinity"}


def names(*kinds: str) -> list[str]:
    return [f"c01-{kind}" for kind in kinds]


def test_every_kind_of_server_is_saved_and_the_host_comes_back(bed: Bed) -> None:
    made = bed.lab("populate", "c01")
    assert made.code == 0, made.err
    lose(bed, "c01")
    result = fail_over(bed, "c01", *ALLOW, "--leave-refused")
    assert result.code == 11, result.err  # some were left, and are told of
    told = {name.removeprefix("c01-"): each for name, each in result.verdicts().items()}
    assert {kind for kind, verdict in told.items() if verdict == "MOVED"} == set(STATES)
    assert {kind: result.server(f"c01-{kind}")["refusals"][0]["class"] for kind in REFUSED} == REFUSED
    assert all(told[kind] == "LEFT" for kind in REFUSED)
    for kind, status in STATES.items():
        is_whole(bed, f"c01-{kind}", status, "c01")
    service = bed.service("c01")
    assert (service["status"], service["forced_down"]) == ("disabled", True)
    saved = {bed.servers()[name]["id"] for name in names(*STATES)}
    assert allocation(bed, bed.servers()["c01-plain-1"]["id"]) > {"c01"}  # by design, until it is back
    movable = [
        *(f"plain-{number}" for number in range(1, 6)),
        *("error", "boot-volume", "data-volume", "verify-resize"),
    ]
    moves_again(bed, names(*movable), "c01")
    _returns(bed, saved)


def _returns(bed: Bed, saved: set[str]) -> None:
    """Its stale guests are gone, and it serves."""
    early = bed.run("readmit", "c01", "--yes", **inventory(bed))
    assert early.code == 5, early.out + early.err
    assert "nova-compute" in early.err
    assert guests(bed, "c01") & saved  # the disks' owners of old, off since the power went
    come_back(bed, "c01")
    back = bed.run("readmit", "c01", "--yes", "-o", "json", **inventory(bed))
    assert back.code == 0, back.out + back.err
    assert guests(bed, "c01") & saved == set()
    service = bed.service("c01")
    assert (service["status"], service["state"], service["forced_down"]) == ("enabled", "up", False)
    for server_id in saved:
        assert "c01" not in allocation(bed, server_id)
    assert bed.run("readmit", "c01", "--yes", **inventory(bed)).code == 0


def test_a_second_run_finds_nothing_to_do(bed: Bed) -> None:
    bed.boot("c01", 3)
    lose(bed, "c01")
    assert fail_over(bed, "c01").code == 0
    with bed.listening() as calls:
        again = fail_over(bed, "c01")
    assert (again.code, again.json["servers"], writes(calls)) == (0, [], [])


def test_a_partition_is_refused_and_forced_and_its_second_copies_are_told(bed: Bed) -> None:
    """Only nova-compute is gone: the guests run on, and nothing but words says otherwise."""
    made = bed.boot("c01", 2)
    ids = {bed.servers()[name]["id"] for name in made}
    stop_compute(bed, "c01")
    begin = mark(bed.root)
    for words in (("--yes",), ("--yes", "--leave-refused"), ("--yes", "--risk", "force")):
        refused = bed.run("failover", "c01", *words, **inventory(bed))
        assert refused.code in {3, 5, 8}, refused.out + refused.err
    said = bed.run("failover", "c01", "--yes", "--fenced-by", WORD, **inventory(bed))
    assert said.code in {3, 5, 8}, said.out + said.err
    assert writes(calls_since(bed.root, begin)) == []
    result = fail_over(bed, "c01", "--allow", "host-alive")
    assert result.code == 0, result.err
    assert guests(bed, "c01") >= ids  # two of each now
    early = bed.run("readmit", "c01", "--yes", "-o", "json", **inventory(bed))
    assert early.code == 5
    codes = {finding["code"] for finding in early.json["findings"]}
    assert codes & {"copies-not-removed", "guests-left"}
    come_back(bed, "c01")
    assert guests(bed, "c01") & ids == set()
    assert bed.run("readmit", "c01", "--yes", **inventory(bed)).code == 0
    assert "c01" not in bed.hosts_of(made).values()


def test_a_host_that_is_up_is_never_evacuated(bed: Bed) -> None:
    bed.boot("c01", 1)
    with bed.listening() as calls:
        result = fail_over(bed, "c01", "--allow", "host-alive", "--risk", "force")
    assert (result.code, writes(calls)) == (5, [])
    assert "its nova-compute is up" in result.err


def until_evacuating(bed: Bed, begin: int, process: "subprocess.Popen[str]") -> None:
    """Wait until the first evacuation was sent."""

    def sent() -> bool:
        assert process.poll() is None, process.communicate()
        return any(call.action == "evacuate" for call in calls_since(bed.root, begin))

    bed.until(sent)


def test_killed_in_the_middle_and_gone_on_with(bed: Bed) -> None:
    made = bed.boot("c01", 6)
    bed.stop(made[0])
    lose(bed, "c01")
    environment = inventory(bed)
    words = ("failover", "c01", "--fenced-by", WORD, "--parallel", "2", "-o", "json")
    digest = bed.run(*words, "--dry-run", **environment).json["digest"]
    begin = mark(bed.root)
    process = bed.start(*words, "--confirm", f"c01@{digest}", **environment)
    until_evacuating(bed, begin, process)
    kill(process)
    result = bed.run(*words, "--yes", **environment)  # the word was given for all that is left
    assert result.code == 0, result.err
    assert "continuing run" in result.err
    assert result.verdicts() == dict.fromkeys(made, "MOVED")
    asked = [call.path for call in calls_since(bed.root, begin) if call.action == "evacuate"]
    assert len(asked) == len(set(asked)) == len(made)
    for name in made:
        is_whole(bed, name, "SHUTOFF" if name == made[0] else "ACTIVE", "c01")


def test_who_goes_first_is_the_operators_order(bed: Bed) -> None:
    made = bed.boot("c01", 3)
    gold = made[2]
    server = bed.servers()[gold]["id"]
    body = {"metadata": {"tier": "gold"}}
    bed.cloud.compute.post(f"/servers/{server}/metadata", json=body).raise_for_status()
    lose(bed, "c01")
    begin = mark(bed.root)
    result = fail_over(bed, "c01", "--parallel", "1", "--priority", "metadata:tier=gold")
    assert result.code == 0, result.err
    asked = [call for call in calls_since(bed.root, begin) if call.action == "evacuate"]
    assert server in asked[0].path


def test_targets_that_cannot_take_them(bed: Bed) -> None:
    made = bed.boot("c01", 2)
    lose(bed, "c01")
    hosts.lose(bed.root, "c02")
    bed.until(lambda: bed.service("c02")["state"] == "down")
    begin = mark(bed.root)
    down = fail_over(bed, "c01", "--to", "c02")
    assert down.code == 5, down.err
    same = fail_over(bed, "c01", "--to", "c01")
    assert same.code == 2, same.err
    unknown = fail_over(bed, "c01", "--to", "c99")
    assert unknown.code == 2, unknown.err
    assert writes(calls_since(bed.root, begin)) == []
    assert fail_over(bed, "c01").code == 0
    assert not {"c01", "c02"} & set(bed.hosts_of(made).values())


def test_a_target_that_fails_is_replaced(bed: Bed) -> None:
    """The target breaks while it builds the first one: nova sets that server to ERROR on its old host."""
    made = bed.boot("c01", 2)
    lose(bed, "c01")
    bed.fault("host", "fail-before", "--target", "c02", "--operation", "evacuate")
    result = fail_over(bed, "c01", "--to", "c02", "--to", "c03")
    assert result.code == 0, result.err
    assert set(bed.hosts_of(made).values()) == {"c03"}
    for name in made:
        is_whole(bed, name, "ACTIVE", "c01")


def test_local_disks_are_not_begun_anew_without_a_word(bed: Bed) -> None:
    bed.boot("c01", 1)
    lose(bed, "c01")
    local = inventory(bed, "[compute]\nc01 nodeops_storage=local\n")
    words = ("failover", "c01", "--fenced-by", WORD, "--risk", "force", "--dry-run", "-o", "json")
    result = bed.run(*words, **local)
    assert result.code == 8, result.err
    refusal = result.json["servers"][0]["refusals"][0]
    assert (refusal["class"], refusal["override"]) == ("would-lose-disk", "--allow would-lose-disk")
    assert bed.run(*words, "--allow", "would-lose-disk", **local).code == 0


def test_what_the_failover_moved_is_given_back(bed: Bed) -> None:
    made = bed.boot("c01", 2)
    lose(bed, "c01")
    assert fail_over(bed, "c01").code == 0
    assert evacuations(bed, "c01", "done")
    come_back(bed, "c01")
    result = bed.run("readmit", "c01", "--give-back", "--yes", "-o", "json", **inventory(bed))
    assert result.code == 0, result.out + result.err
    assert set(bed.hosts_of(made).values()) == {"c01"}
    assert result.verdicts() == dict.fromkeys(made, "MOVED")


@pytest.mark.parametrize("word", ["c01@0000000000000000", "c02"])
def test_another_plan_than_this_is_not_confirmed(bed: Bed, word: str) -> None:
    bed.boot("c01", 1)
    lose(bed, "c01")
    with bed.listening() as calls:
        said = ("failover", "c01", "--fenced-by", WORD, "--confirm", word, "-o", "json")
        result = bed.run(*said, **inventory(bed))
    assert (result.code, writes(calls)) == (3, [])
    assert json.loads(result.out)["error"]["code"] == "declined"
